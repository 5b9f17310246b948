"""The U-Net as it was published first."""

from __future__ import annotations

from typing import Any

from dmf.models.layers import layers_of
from dmf.models.registry import MODELS
from dmf.models.ushape import TransposedUp, UShape, double_convolution, widths


@MODELS.register("unet_classic")
class ClassicUNet(UShape):
    """U-Net with two convolutions a level (Ronneberger, Fischer, Brox, MICCAI 2015, arXiv 1505.04597, figure 1).

    Down, per level: twice 3x3 convolution and ReLU (kept as skip), then 2x2 max-pool; filters double from
    `base_filters`. Up, per level: 2x2 transposed convolution of stride 2 that halves the filters, concatenation with
    the skip, twice 3x3 convolution and ReLU. Last, a 1x1 convolution.

    Shapes: `(B, in_channels, H, W)` to logits `(B, num_classes, H, W)`, for any H, W >= 2**depth.

    Where we differ from the paper: convolutions pad, so that the logits have the size of the image and skips are not
    cropped; batch norm follows each 3x3 convolution unless it is switched off; there is no dropout. So it is the U-Net
    that later papers compare with: 31.0 million parameters and, at 256 x 256 x 3, 54.7 billion multiply-adds.

    Args:
        in_channels: channels of the image.
        num_classes: classes, background included.
        base_filters: filters of the first level.
        depth: number of poolings.
        batch_norm: whether a batch norm follows each 3x3 convolution; without it, convolutions have biases.
        spatial_dims: 2 for images, 3 for volumes `(B, C, D, H, W)`.

    Raises:
        ValueError: for counts below 1, and in `forward` for images smaller than 2**depth.
    """

    usage = "unet_classic"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        base_filters: int = 64,
        depth: int = 4,
        batch_norm: bool = True,
        spatial_dims: int = 2,
    ) -> None:
        filters = widths(in_channels, num_classes, base_filters, depth)
        kind: dict[str, Any] = {"spatial_dims": spatial_dims, "batch_norm": batch_norm}
        super().__init__(
            down=[double_convolution(i, o, **kind) for i, o in zip([in_channels, *filters], filters, strict=False)],
            up=[TransposedUp(2 * f, f, f, f, **kind) for f in filters[:-1]],
            head=layers_of(spatial_dims).convolution(base_filters, num_classes, 1),
            spatial_dims=spatial_dims,
        )
