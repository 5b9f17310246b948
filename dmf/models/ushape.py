"""What U-shaped networks of two convolutions a level share: down with pooling, up with skips, images of any size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dmf.checks import require_at_least
from dmf.models.layers import convolution, cut, layers_of


def double_convolution(
    in_channels: int, out_channels: int, *, between: int | None = None, spatial_dims: int = 2, batch_norm: bool = True
) -> nn.Sequential:
    """Two 3x3 (or 3x3x3) convolutions, each with batch norm and ReLU; `between` channels after the first."""
    middle = out_channels if between is None else between
    return nn.Sequential(
        convolution(in_channels, middle, spatial_dims=spatial_dims, batch_norm=batch_norm),
        convolution(middle, out_channels, spatial_dims=spatial_dims, batch_norm=batch_norm),
    )


class TransposedUp(nn.Module):
    """Transposed convolution of kernel and stride 2, concatenation with the skip, two convolutions."""

    def __init__(
        self,
        below: int,
        upsampled: int,
        skip: int,
        out_channels: int,
        *,
        spatial_dims: int = 2,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        transposed = layers_of(spatial_dims).transposed
        self.upsample = transposed(below, upsampled, 2, stride=2, bias=not batch_norm)
        self.convolve = double_convolution(
            upsampled + skip, out_channels, spatial_dims=spatial_dims, batch_norm=batch_norm
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        # Pooling rounds odd sides up, so upsampling may overshoot by one.
        upsampled = cut(self.upsample(x), skip.shape[2:])
        return self.convolve(torch.cat([skip, upsampled], dim=1))


class UShape(nn.Module):
    """Down through `down` with max-pooling in between, up through `up`, each with its skip, and a last `head`.

    Shapes: `(B, in_channels, *spatial)` to logits `(B, num_classes, *spatial)`, for any sides of at least 2**depth,
    where depth is the number of poolings. Odd sides are rounded up by pooling and cut back on the way up, so that no
    padding is visible outside.

    Args:
        down: `depth + 1` modules, the finest first; the last is the bottom.
        up: `depth` modules `(x, skip) -> x`, the finest first.
        head: from the finest features to logits.
        spatial_dims: 2 for images, 3 for volumes.
    """

    def __init__(
        self, down: Sequence[nn.Module], up: Sequence[nn.Module], head: nn.Module, *, spatial_dims: int = 2
    ) -> None:
        super().__init__()
        self.down, self.up, self.head = nn.ModuleList(down), nn.ModuleList(up), head
        self.pool = layers_of(spatial_dims).max_pool(2, ceil_mode=True)
        self.spatial_dims = spatial_dims

    @property
    def depth(self) -> int:
        """Number of poolings."""
        return len(self.up)

    def features(self, images: Float[Tensor, " B C *spatial"]) -> Float[Tensor, " B F *spatial"]:
        """What the head reads: the finest features of the way up."""
        if min(images.shape[2:]) < 2**self.depth:
            needed, found = (
                " x ".join(map(str, sides)) for sides in ([2**self.depth] * self.spatial_dims, images.shape[2:])
            )
            raise ValueError(
                f"A network of depth {self.depth} needs images of at least {needed} pixels. "
                f"Found {found}; lower `depth` or enlarge the images."
            )
        x, skips = self.down[0](images), []
        for down in list(self.down)[1:]:
            skips.append(x)
            x = down(self.pool(x))
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = up(x, skip)
        return x

    def forward(self, images: Float[Tensor, " B C *spatial"]) -> Float[Tensor, " B K *spatial"]:
        return self.head(self.features(images))


def widths(in_channels: int, num_classes: int, base_filters: int, depth: int) -> list[int]:
    """Filters of each level, doubling from `base_filters`. Raises ValueError for counts below 1."""
    require_at_least(1, in_channels=in_channels, num_classes=num_classes, base_filters=base_filters, depth=depth)
    return [base_filters << level for level in range(depth + 1)]
