"""Parts that several networks share: convolutions in two or three dimensions, and images of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from dmf.checks import require
from dmf.models.norm_relu import NormReLU


class Layers(NamedTuple):
    """The layers of one number of spatial dimensions."""

    convolution: Callable[..., nn.Module]
    transposed: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    max_pool: Callable[..., nn.Module]


_LAYERS = {
    2: Layers(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.MaxPool2d),
    3: Layers(nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.MaxPool3d),
}


def layers_of(spatial_dims: int) -> Layers:
    """Layers for images (2) or volumes (3). Raises ValueError for any other number."""
    require(spatial_dims in _LAYERS, "spatial_dims", spatial_dims, "2 or 3")
    return _LAYERS[spatial_dims]


def convolution(
    in_channels: int,
    out_channels: int,
    kernel: int = 3,
    *,
    spatial_dims: int = 2,
    batch_norm: bool = True,
    activation: Callable[[], nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """Convolution that keeps the size, batch norm, activation. A bias would be subtracted again by the norm."""
    layers = layers_of(spatial_dims)
    parts = [layers.convolution(in_channels, out_channels, kernel, padding=kernel // 2, bias=not batch_norm)]
    if batch_norm and activation is nn.ReLU:
        return NormReLU(*parts, layers.norm(out_channels), nn.ReLU())
    if batch_norm:
        parts.append(layers.norm(out_channels))
    if activation is not None:
        parts.append(activation())
    return nn.Sequential(*parts)


def pad(images: Tensor, multiple: int) -> Tensor:
    """Images with sides divisible by `multiple`: the last pixel of each side is repeated as often as it takes."""
    missing = [-side % multiple for side in images.shape[2:]]
    if not any(missing):
        return images
    return F.pad(images, [amount for side in reversed(missing) for amount in (0, side)], mode="replicate")


def padded(network: Callable[[Tensor], Tensor], images: Tensor, multiple: int) -> Tensor:
    """Output of a network that needs sides divisible by `multiple`, for images of any size: padded, and cut back."""
    return cut(network(pad(images, multiple)), images.shape[2:])


def cut(x: Tensor, sides: Sequence[int]) -> Tensor:
    """The first `sides` pixels of each spatial dimension."""
    for dim, side in enumerate(sides, start=2):
        x = x.narrow(dim, 0, side)
    return x
