"""The U-Net of the DMF paper's notebook."""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dmf.checks import require_at_least
from dmf.models.norm_relu import NormReLU
from dmf.models.registry import MODELS

# Below this side the notebook stops halving.
SMALLEST_SIDE = 8


def depth_for(image_size: int | tuple[int, int]) -> int:
    """How often the notebook halves an image: while both sides exceed 8 pixels (128 -> 4, 64 -> 3)."""
    side = image_size if isinstance(image_size, int) else min(image_size)
    return next(level for level in itertools.count() if side >> level <= SMALLEST_SIDE)


def _down(in_channels: int, filters: int, momentum: float) -> NormReLU:
    return NormReLU(
        nn.Conv2d(in_channels, filters, 3, padding=1, bias=False),
        nn.BatchNorm2d(filters, eps=1e-3, momentum=momentum),
        nn.ReLU(inplace=True),
    )


class _Up(nn.Module):
    def __init__(self, in_channels: int, filters: int, momentum: float) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(in_channels, filters, 3, stride=2, padding=1, bias=False)
        self.activate = NormReLU(nn.BatchNorm2d(filters, eps=1e-3, momentum=momentum), nn.ReLU(inplace=True))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        upsampled = self.upsample(x, output_size=list(skip.shape[-2:]))
        return torch.cat([self.activate(upsampled), skip], dim=1)


@MODELS.register("unet")
class UNet(nn.Module):
    """U-Net with one convolution per level, as in the notebook of Golnari and Diba (BSPC 111:108388, 2026).

    Down, per level: 3x3 convolution, batch norm, ReLU (kept as skip), 2x2 max-pool; filters double from
    `base_filters`. Up, per level: 3x3 transposed convolution of stride 2, batch norm, ReLU, concatenation with the
    skip. Last, a 1x1 convolution. There is no convolution between the two paths.

    Shapes: `(B, in_channels, H, W)` to logits `(B, num_classes, H, W)`, for any H, W >= 2**depth. Where a side is odd
    pooling rounds up and upsampling crops, so that no padding is visible outside; divisible sides are unaffected.

    Initial values are Keras's, since they belong to the published numbers: Glorot-uniform kernels, zero bias, batch
    norm epsilon 1e-3. They are drawn from the global torch generator. Where we differ from the notebook:

    - logits come out instead of softmax probabilities (the losses apply a log-softmax, which is safe at any scale);
    - convolutions in front of a batch norm have no bias, since the norm subtracts it again;
    - running statistics move by `momentum` 0.1 a step (torch's default; Keras's .99 is `momentum=0.01` here). They do
      not touch training, but after 100 steps Keras's are still 37 % their initial values, which spoils the evaluation
      of short runs.

    Args:
        in_channels: channels of the image, for example 1 for grey.
        num_classes: classes, background included.
        base_filters: filters of the first level.
        image_size: side or (height, width) in pixels from which `depth` follows: halve while both sides exceed 8.
        depth: number of levels, in place of the one that follows from `image_size`.
        momentum: of the batch norms' running statistics.

    Raises:
        ValueError: for counts below 1, and in `forward` for images smaller than 2**depth.
    """

    usage = "unet"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        base_filters: int = 32,
        image_size: int | tuple[int, int] = 128,
        depth: int | None = None,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.depth = depth_for(image_size) if depth is None else depth
        counts = {"in_channels": in_channels, "num_classes": num_classes, "base_filters": base_filters}
        require_at_least(1, **counts, depth=self.depth)
        filters = [base_filters << level for level in range(self.depth)]
        into_down = [in_channels, *filters[:-1]]
        # Going up, a level reads the level below it after its concatenation; the lowest reads the pooled features.
        into_up = [2 * below for below in filters[1:]] + filters[-1:]
        self.down = nn.ModuleList(_down(i, o, momentum) for i, o in zip(into_down, filters, strict=True))
        self.up = nn.ModuleList(_Up(i, o, momentum) for i, o in zip(into_up, filters, strict=True))
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.head = nn.Conv2d(2 * base_filters, num_classes, 1)
        self.apply(_initialise_like_keras)

    def forward(self, images: Float[Tensor, " B C H W"]) -> Float[Tensor, " B K H W"]:
        if min(images.shape[-2:]) < 2**self.depth:
            height, width = images.shape[-2:]
            raise ValueError(
                f"A U-Net of depth {self.depth} needs images of at least {2**self.depth} x {2**self.depth} pixels. "
                f"Found {height} x {width}; lower `depth` or enlarge the images."
            )
        x, skips = images, []
        down: NormReLU
        for down in self.down:  # type: ignore[assignment]
            skip, x = down.branched(x)
            skips.append(skip)
            x = self.pool(x)
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = up(x, skip)
        return self.head(x)


def _initialise_like_keras(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
