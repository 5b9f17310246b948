"""Networks that segmentation-models-pytorch and timm offer by name; both are imported when first asked for."""

from __future__ import annotations

import difflib
import importlib
import inspect
import warnings
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dmf.models.registry import MODELS
from dmf.registry import UnknownName

# Networks built for one size pad images to a multiple of this; the largest stride of the common encoders.
_FIXED_STRIDE = 32
# Arguments of the architectures that are not for the caller: given by us, or changing what `forward` returns.
_GIVEN = ("encoder_name", "encoder_weights", "in_channels", "classes", "activation", "aux_params")


class PretrainedWeightsMissing(UserWarning):
    """Pretrained weights were asked for and cannot be had; the network starts from random ones instead."""


@MODELS.register("smp")
class SegmentationModel(nn.Module):
    """A network of segmentation-models-pytorch: `smp:<architecture>/<encoder>`, for example `smp:fpn/tu-convnext_tiny`.

    Shapes: `(B, in_channels, H, W)` to logits `(B, num_classes, H, W)`, for any H and W: images are padded at the right
    and bottom, repeating the last pixel, to the next multiple of the network's stride, and the logits cut back.

    Args:
        in_channels: channels of the image.
        num_classes: classes, background included.
        variant: `<architecture>/<encoder>`; the encoder may be `tu-` and a timm name.
        image_size: side or (height, width) in pixels, for encoders built for one size such as vision transformers.
        encoder_weights: name of pretrained weights, for example "imagenet"; None starts from random ones.
        options: further arguments of the architecture, for example `encoder_depth=4`, or of a `tu-` encoder.

    Attributes:
        pretrained: whether the encoder carries pretrained weights.

    Raises:
        UnknownName: for an architecture or encoder that the library does not have.
        ValueError: for options that the architecture does not take, or weights that the encoder does not have.

    Warns:
        PretrainedWeightsMissing: if the weights cannot be downloaded. Nothing else changes: the random weights are
            those that `encoder_weights=None` gives for the same seed.
    """

    usage = "smp:<architecture>/<encoder>, for example smp:unet/resnet34"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        variant: str,
        image_size: int | tuple[int, int] | None = None,
        encoder_weights: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        smp = _import("segmentation_models_pytorch", needed_for="smp")
        architecture, slash, encoder = variant.partition("/")
        if not slash:
            raise UnknownName(f"Model 'smp:{variant}' names no encoder. Write it as {self.usage}.")
        _require_known("architecture", architecture, smp.MODEL_ARCHITECTURES_MAPPING)
        make = smp.MODEL_ARCHITECTURES_MAPPING[architecture]
        size: dict[str, Any] = {}
        if encoder.startswith("tu-"):
            _require_known("encoder", encoder, (f"tu-{name}" for name in _timm_names(encoder[3:])))
            size = _fixed_size(encoder[3:], image_size, multiple=_FIXED_STRIDE)
        else:
            _require_known("encoder", encoder, smp.encoders.get_encoder_names())
            _require_options(f"smp:{architecture}", options, make)

        def build(weights: str | None) -> nn.Module:
            common = {"encoder_name": encoder, "in_channels": in_channels, "classes": num_classes}
            return make(encoder_weights=weights, **common, **{**size, **options})

        self.network, self.pretrained = _with_pretrained(build, encoder_weights, f"smp:{variant}")
        encoder_module: Any = self.network.encoder
        self.stride = _FIXED_STRIDE if size else int(encoder_module.output_stride)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K H W"]:
        height, width = images.shape[-2:]
        bottom, right = -height % self.stride, -width % self.stride
        if bottom or right:
            images = F.pad(images, (0, right, 0, bottom), mode="replicate")
        return self.network(images)[..., :height, :width]


@MODELS.register("timm")
class Classifier(nn.Module):
    """A classifier of timm: `timm:<name>`, for example `timm:vgg16`.

    Shapes: `(B, in_channels, H, W)` to logits `(B, num_classes)`.

    Args:
        in_channels: channels of the image.
        num_classes: classes.
        variant: the name in timm, with or without the tag of its weights.
        image_size: side or (height, width) in pixels, for networks built for one size such as vision transformers.
        pretrained: start from timm's pretrained weights, except for the last layer.
        options: further arguments of `timm.create_model`, for example `drop_rate=0.5`.

    Attributes:
        pretrained: whether the network carries pretrained weights.

    Raises:
        UnknownName: for a name that timm does not have.

    Warns:
        PretrainedWeightsMissing: as in `SegmentationModel`.
    """

    usage = "timm:<classifier>, for example timm:vgg16"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        variant: str,
        image_size: int | tuple[int, int] | None = None,
        pretrained: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        timm = _import("timm", needed_for="timm")
        _require_known("timm classifier", variant, _timm_names(variant))
        size = _fixed_size(variant, image_size, multiple=1)

        def build(weights: str | None) -> nn.Module:
            loaded = weights is not None
            return timm.create_model(
                variant, loaded, in_chans=in_channels, num_classes=num_classes, **{**size, **options}
            )

        self.network, self.pretrained = _with_pretrained(build, "timm" if pretrained else None, f"timm:{variant}")

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        return self.network(images)


def _with_pretrained(
    build: Callable[[str | None], nn.Module], weights: str | None, name: str
) -> tuple[nn.Module, bool]:
    """The model and whether it is pretrained; where the weights cannot be had, the model that none would have given."""
    # On the meta device there are shapes and no values, so there is nothing to download.
    if torch.get_default_device().type == "meta":
        weights = None
    before = torch.get_rng_state()
    try:
        return build(weights), weights is not None
    except OSError as error:
        torch.set_rng_state(before)
        cause = str(error).partition("\n")[0]
        warnings.warn(
            f"Pretrained weights {weights!r} of {name} cannot be had ({type(error).__name__}: {cause}). It starts from "
            "the random weights of its seed. Connect to the network, or fill the cache in $HF_HOME or $TORCH_HOME.",
            PretrainedWeightsMissing,
            stacklevel=4,
        )
        return build(None), False
    except TypeError as error:
        raise ValueError(f"Model {name} does not take these parameters: {error}.") from error
    except KeyError as error:
        raise ValueError(f"Model {name} has no pretrained weights {weights!r}: {error.args[0]}.") from error


def _fixed_size(name: str, image_size: int | tuple[int, int] | None, *, multiple: int) -> dict[str, Any]:
    """Arguments that build a network of timm for images of this size, if it belongs to those made for one size."""
    settings = _import("timm", needed_for="timm").get_pretrained_cfg(name)
    if image_size is None or settings is None or not settings.fixed_input_size:
        return {}
    sides = (image_size, image_size) if isinstance(image_size, int) else image_size
    return {"img_size": tuple(side + -side % multiple for side in sides)}


def _timm_names(wanted: str) -> list[str]:
    """Timm's names, and `wanted` itself if it is one of them with the tag of its weights."""
    timm = _import("timm", needed_for="timm")
    return [*timm.list_models(), *([wanted] if timm.is_model(wanted) else [])]


def _require_known(kind: str, name: str, known: Iterable[str]) -> None:
    names = sorted(known)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=5)
        listed = f"Did you mean {', '.join(close)}?" if close else f"Known: {', '.join(names[:20])} ..."
        raise UnknownName(f"Unknown {kind} {name!r}. {listed}")


def _require_options(name: str, options: dict[str, Any], make: Callable[..., object]) -> None:
    known = set(inspect.signature(make).parameters) - {*_GIVEN, "kwargs"}
    for option in options:
        if option not in known:
            raise ValueError(f"Model {name} has no parameter `{option}`. It takes {', '.join(sorted(known))}.")


def _import(library: str, *, needed_for: str) -> ModuleType:
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Models named `{needed_for}:...` need {library}, which is not installed: pip install 'dmf[models]'."
        ) from error
