"""The U-Net whose skips are gated by what lies below them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dmf.models.layers import convolution, layers_of
from dmf.models.registry import MODELS
from dmf.models.ushape import UShape, double_convolution, widths


class AttentionGate(nn.Module):
    """Additive attention, equations (1) and (2) of Oktay et al.

    `α = σ(ψ(ReLU(W_x x + W_g g)))` in [0, 1] for each pixel, and the skip becomes `α x`. W_x, W_g and ψ are 1x1
    convolutions with batch norm, the former two to `inner` channels.
    """

    def __init__(self, skip: int, gate: int, inner: int, *, spatial_dims: int) -> None:
        super().__init__()
        self.of_skip = convolution(skip, inner, 1, spatial_dims=spatial_dims, activation=None)
        self.of_gate = convolution(gate, inner, 1, spatial_dims=spatial_dims, activation=None)
        self.activate = nn.ReLU()
        self.score = convolution(inner, 1, 1, spatial_dims=spatial_dims, activation=nn.Sigmoid)

    def forward(
        self, skip: Float[Tensor, " B S *spatial"], gate: Float[Tensor, " B G *spatial"]
    ) -> Float[Tensor, " B S *spatial"]:
        return skip * self.score(self.activate(self.of_skip(skip) + self.of_gate(gate)))


class _GatedUp(nn.Module):
    def __init__(self, below: int, filters: int, *, spatial_dims: int) -> None:
        super().__init__()
        self.after_upsampling = convolution(below, filters, spatial_dims=spatial_dims)
        self.gate = AttentionGate(filters, filters, filters // 2 or 1, spatial_dims=spatial_dims)
        self.convolve = double_convolution(2 * filters, filters, spatial_dims=spatial_dims)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        upsampled = self.after_upsampling(F.interpolate(x, size=skip.shape[2:], mode="nearest"))
        return self.convolve(torch.cat([self.gate(skip, upsampled), upsampled], dim=1))


@MODELS.register("attention_unet")
class AttentionUNet(UShape):
    """Attention U-Net (Oktay et al., MIDL 2018, arXiv 1804.03999).

    Down as in `unet_classic`. Up, per level: nearest upsampling, 3x3 convolution, batch norm, ReLU; the skip goes
    through an `AttentionGate` that the upsampled features steer; concatenation, twice 3x3 convolution, batch norm,
    ReLU. Last, a 1x1 convolution.

    Shapes: `(B, in_channels, H, W)` to logits `(B, num_classes, H, W)`, for any H, W >= 2**depth.

    Where we differ from the paper: it computes α at half the skip's resolution, from the features before upsampling,
    and interpolates it; here α is computed at the skip's resolution. This is the variant that later papers, among them
    Zarrin and Nikkhah's, report: 34.9 million parameters and, at 256 x 256 x 3, 66.6 billion multiply-adds.

    Args:
        in_channels: channels of the image.
        num_classes: classes, background included.
        base_filters: filters of the first level.
        depth: number of poolings.
        spatial_dims: 2 for images, 3 for volumes `(B, C, D, H, W)`.

    Raises:
        ValueError: for counts below 1, and in `forward` for images smaller than 2**depth.
    """

    usage = "attention_unet"

    def __init__(
        self, in_channels: int, num_classes: int, *, base_filters: int = 64, depth: int = 4, spatial_dims: int = 2
    ) -> None:
        filters = widths(in_channels, num_classes, base_filters, depth)
        super().__init__(
            down=[
                double_convolution(i, o, spatial_dims=spatial_dims)
                for i, o in zip([in_channels, *filters], filters, strict=False)
            ],
            up=[_GatedUp(2 * f, f, spatial_dims=spatial_dims) for f in filters[:-1]],
            head=layers_of(spatial_dims).convolution(base_filters, num_classes, 1),
            spatial_dims=spatial_dims,
        )
