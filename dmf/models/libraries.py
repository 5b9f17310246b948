"""Networks that segmentation-models-pytorch and timm offer by name; both are imported when first asked for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from dmf.checks import UnknownName, refuse_unknown, require_known
from dmf.models.layers import pad, padded
from dmf.models.pretrained import IF_AVAILABLE, import_library, timm_names, with_pretrained
from dmf.models.registry import MODELS

# Classifiers and networks built for one size pad images to a multiple of this, the largest stride of common encoders.
_FIXED_STRIDE = 32
# Arguments of the architectures that are not for the caller: given by us, or changing what `forward` returns.
_GIVEN = ("encoder_name", "encoder_weights", "in_channels", "classes", "activation", "aux_params")


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
        pretrained: "if available" starts from random weights where those of `encoder_weights` cannot be had. They are
            those that `encoder_weights=None` gives for the same seed.
        options: further arguments of the architecture, for example `encoder_depth=4`, or of a `tu-` encoder.

    Attributes:
        pretrained: whether the encoder carries pretrained weights.

    Raises:
        UnknownName: for an architecture or encoder that the library does not have.
        ValueError: for options that the architecture does not take, weights that the encoder does not have or that
            cannot be had, or images too small for the network.

    Warns:
        PretrainedWeightsMissing: in the place of the error, with `pretrained="if available"`.
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
        pretrained: bool | str = True,
        **options: Any,
    ) -> None:
        super().__init__()
        self.name = f"smp:{variant}"
        smp = import_library("segmentation_models_pytorch", needed_for="smp:...")
        architecture, slash, encoder = variant.partition("/")
        if not slash:
            raise UnknownName(f"Model 'smp:{variant}' names no encoder. Write it as {self.usage}.")
        require_known("architecture", architecture, smp.MODEL_ARCHITECTURES_MAPPING)
        make = smp.MODEL_ARCHITECTURES_MAPPING[architecture]
        size: dict[str, Any] = {}
        if encoder.startswith("tu-"):
            require_known("encoder", encoder, (f"tu-{name}" for name in timm_names(encoder[3:])))
            size = _fixed_size(encoder[3:], image_size)
        else:
            require_known("encoder", encoder, smp.encoders.get_encoder_names())
            _require_options(f"smp:{architecture}", options, make)

        def build(weights: str | None) -> nn.Module:
            common = {"encoder_name": encoder, "in_channels": in_channels, "classes": num_classes}
            return make(encoder_weights=weights, **common, **{**size, **options})

        if pretrained == IF_AVAILABLE and encoder_weights is None:
            raise ValueError(f"Model {self.name}: `pretrained: {IF_AVAILABLE}` needs `encoder_weights`. Found none.")
        wanted = pretrained if encoder_weights else False
        self.network, self.pretrained = with_pretrained(build, str(encoder_weights), self.name, wanted)
        encoder_module: Any = self.network.encoder
        self.stride = _FIXED_STRIDE if size else int(encoder_module.output_stride)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K H W"]:
        with _large_enough(self.name, images):
            return padded(self.network, images, self.stride)


@MODELS.register("timm")
class Classifier(nn.Module):
    """A classifier of timm: `timm:<name>`, for example `timm:vgg16`.

    Shapes: `(B, in_channels, H, W)` to logits `(B, num_classes)`, for any H and W that the network is not too deep for:
    images are padded at the right and bottom, repeating the last pixel, to the next multiple of 32.

    Args:
        in_channels: channels of the image.
        num_classes: classes.
        variant: the name in timm, with or without the tag of its weights.
        image_size: side or (height, width) in pixels, for networks built for one size such as vision transformers.
        pretrained: start from timm's pretrained weights, except for the last layer; "if available" does so where they
            can be had.
        options: further arguments of `timm.create_model`, for example `drop_rate=0.5`.

    Attributes:
        pretrained: whether the network carries pretrained weights.

    Raises:
        UnknownName: for a name that timm does not have.
        ValueError: for weights that cannot be had, or images too small for the network.

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
        pretrained: bool | str = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self.name = f"timm:{variant}"
        timm = import_library("timm", needed_for="timm:...")
        require_known("timm classifier", variant, timm_names(variant))
        size = _fixed_size(variant, image_size)

        def build(weights: str | None) -> nn.Module:
            loaded = weights is not None
            return timm.create_model(
                variant, loaded, in_chans=in_channels, num_classes=num_classes, **{**size, **options}
            )

        self.network, self.pretrained = with_pretrained(build, "timm", self.name, pretrained)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        with _large_enough(self.name, images):
            return self.network(pad(images, _FIXED_STRIDE))


@contextmanager
def _large_enough(name: str, images: Tensor) -> Iterator[None]:
    """What torch says of a map that a pooling or a kernel does not fit into, as a fault of the image's size."""
    try:
        yield
    except RuntimeError as error:
        if not re.search("too small|greater than actual input size", str(error)):
            raise
        pixels = " x ".join(map(str, images.shape[2:]))
        raise ValueError(
            f"Model {name} needs larger images: its deepest layers have nothing left of {pixels} pixels. Raise "
            "`image_size`, or take a network with fewer stages."
        ) from error


def _fixed_size(name: str, image_size: int | tuple[int, int] | None) -> dict[str, Any]:
    """Arguments that build a network of timm for images of this size, if it belongs to those made for one size."""
    settings = import_library("timm", needed_for="timm:...").get_pretrained_cfg(name)
    if image_size is None or settings is None or not settings.fixed_input_size:
        return {}
    sides = (image_size, image_size) if isinstance(image_size, int) else image_size
    return {"img_size": tuple(side + -side % _FIXED_STRIDE for side in sides)}


def _require_options(name: str, options: dict[str, Any], make: Callable[..., object]) -> None:
    known = (parameter for parameter in inspect.signature(make).parameters if parameter not in {*_GIVEN, "kwargs"})
    refuse_unknown(f"Model {name}", options, sorted(known))
