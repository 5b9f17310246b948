"""The U-Net for volumes."""

from __future__ import annotations

from torch import nn

from dmf.models.registry import MODELS
from dmf.models.ushape import TransposedUp, UShape, double_convolution, widths


@MODELS.register("unet3d")
class UNet3D(UShape):
    """3D U-Net (Çiçek, Abdulkadir, Lienkamp, Brox, Ronneberger, MICCAI 2016, arXiv 1606.06650, figure 2).

    Down, per level: two 3x3x3 convolutions with batch norm and ReLU, the first to `base_filters` times 2**level, the
    second to twice that (kept as skip), then 2x2x2 max-pool. Up, per level: 2x2x2 transposed convolution of stride 2
    that keeps the filters, concatenation with the skip, two 3x3x3 convolutions. Last, a 1x1x1 convolution. Filters
    double before each pooling, so that no layer is a bottleneck.

    Shapes: `(B, in_channels, D, H, W)` to logits `(B, num_classes, D, H, W)`, for any sides of at least 2**depth.

    Where we differ from the paper: convolutions pad, so that logits have the size of the volume; batch norms have a
    learned scale beside the shift, where the paper's convolutions have a bias.

    Args:
        in_channels: channels of the volume, for example 3 for T2, ADC and high b-value.
        num_classes: classes, background included.
        base_filters: filters of the first convolution.
        depth: number of poolings.

    Raises:
        ValueError: for counts below 1, and in `forward` for volumes smaller than 2**depth.
    """

    usage = "unet3d"

    def __init__(self, in_channels: int, num_classes: int, *, base_filters: int = 32, depth: int = 3) -> None:
        filters = [2 * width for width in widths(in_channels, num_classes, base_filters, depth)]
        super().__init__(
            down=[
                double_convolution(i, o, between=o // 2, spatial_dims=3)
                for i, o in zip([in_channels, *filters], filters, strict=False)
            ],
            up=[TransposedUp(2 * f, 2 * f, f, f, spatial_dims=3) for f in filters[:-1]],
            head=nn.Conv3d(filters[0], num_classes, 1),
            spatial_dims=3,
        )
