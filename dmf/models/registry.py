"""Models by name."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from dmf.registry import Registry

MODELS: Registry[nn.Module] = Registry("model")


def build_model(
    name: str, in_channels: int, num_classes: int, *, image_size: int | tuple[int, int] | None = None, **params: Any
) -> nn.Module:
    """Build a model whose forward maps images `(B, in_channels, H, W)` to logits.

    Names: `unet`; `smp:<architecture>/<encoder>` for everything segmentation-models-pytorch offers, logits
    `(B, num_classes, H, W)`; `timm:<classifier>` for every timm classifier, logits `(B, num_classes)`. The part before
    the colon is a class in `MODELS`, the part after it that class's `variant`.

    Initial weights are drawn from the global torch generator: same seed, same weights.

    Args:
        name: a name as above.
        in_channels: channels of the images.
        num_classes: classes, background included.
        image_size: side or (height, width) in pixels, for the models whose layout depends on it; others ignore it.
        params: keyword arguments of the model's constructor.

    Raises:
        UnknownName: for a name that is not registered.
        ValueError: for a missing or surplus variant, or a parameter that the model does not have.

    >>> import torch
    >>> model = build_model("unet", in_channels=1, num_classes=2, image_size=32, base_filters=4)
    >>> model(torch.zeros(8, 1, 32, 32)).shape
    torch.Size([8, 2, 32, 32])
    """
    kind, colon, variant = name.partition(":")
    model = MODELS[kind]
    if colon:
        params["variant"] = variant
    signature = inspect.signature(model)
    if image_size is not None and "image_size" in signature.parameters:
        params["image_size"] = image_size
    try:
        signature.bind(in_channels, num_classes, **params)
    except TypeError as error:
        named = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY and p.name != "variant"]
        raise ValueError(
            f"Model {name!r} cannot be built: {error}. "
            f"Write the name as {getattr(model, 'usage', kind)}; its parameters are {', '.join(named)}."
        ) from None
    return model(in_channels, num_classes, **params)
