"""The U-Net with receptive-field enhancement of the Adapt Exponential Loss paper."""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dmf.checks import require_at_least, require_choice, require_known
from dmf.models.layers import convolution, padded
from dmf.models.pretrained import import_library, timm_names, with_pretrained
from dmf.models.registry import MODELS

STAGES = 5


def _silu(in_channels: int, out_channels: int, kernel: int = 1) -> nn.Sequential:
    return convolution(in_channels, out_channels, kernel, activation=nn.SiLU)


class SPPF(nn.Module):
    """Fast spatial pyramid pooling of YOLOv8.

    1x1 convolution to half the channels, three 5x5 max-pools in a chain (windows of 5, 9 and 13 pixels), concatenation
    of all four, 1x1 convolution back.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = _silu(channels, channels // 2)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.join = _silu(4 * (channels // 2), channels)

    def forward(self, x: Float[Tensor, " B C H W"]) -> Float[Tensor, " B C H W"]:
        scales = [self.reduce(x)]
        for _ in range(3):
            scales.append(self.pool(scales[-1]))
        return self.join(torch.cat(scales, dim=1))


class C2f(nn.Module):
    """The block C2f of YOLOv8.

    1x1 convolution, split in two halves, `bottlenecks` pairs of 3x3 convolutions in a chain that begins with the
    second half, concatenation of both halves and every link of the chain, 1x1 convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, bottlenecks: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.split = _silu(in_channels, 2 * half)
        self.chain = nn.ModuleList(
            nn.Sequential(_silu(half, half, 3), _silu(half, half, 3)) for _ in range(bottlenecks)
        )
        self.join = _silu((2 + bottlenecks) * half, out_channels)

    def forward(self, x: Float[Tensor, " B C H W"]) -> Float[Tensor, " B K H W"]:
        parts = list(self.split(x).chunk(2, dim=1))
        for bottleneck in self.chain:
            parts.append(bottleneck(parts[-1]))
        return self.join(torch.cat(parts, dim=1))


class ReceptiveFieldEnhancement(nn.Module):
    """A skip that sees two stages: SPPF of each, the coarser upsampled (nearest), concatenation, C2f (figure 2)."""

    def __init__(self, fine: int, coarse: int, bottlenecks: int) -> None:
        super().__init__()
        self.of_fine, self.of_coarse = SPPF(fine), SPPF(coarse)
        self.fuse = C2f(fine + coarse, fine, bottlenecks)

    def forward(self, fine: Float[Tensor, " B C H W"], coarse: Float[Tensor, " B D h w"]) -> Float[Tensor, " B C H W"]:
        enlarged = F.interpolate(self.of_coarse(coarse), size=fine.shape[2:], mode="nearest")
        return self.fuse(torch.cat([self.of_fine(fine), enlarged], dim=1))


class _Plain(nn.Module):
    """The finer stage as it is."""

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        return fine


class _Up(nn.Module):
    def __init__(self, below: int, skip: int, out_channels: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(below, out_channels, 2, stride=2)
        self.convolve = _silu(out_channels + skip, out_channels, 3)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        upsampled = self.upsample(x)
        return self.convolve(upsampled if skip is None else torch.cat([upsampled, skip], dim=1))


@MODELS.register("rfe_unet")
class RFEUNet(nn.Module):
    """RFE U-Net (Zarrin, Nikkhah, JADM 2025, sections 3.1 and 3.2): `rfe_unet:<encoder>`.

    The paper's are `rfe_unet:resnet34`, `rfe_unet:resnet50` and `rfe_unet:resnet101`.

    The encoder is timm's, five stages from half to 1/32 of the size. Each stage but the last has as its skip a
    `ReceptiveFieldEnhancement` of itself and the next. Up, per stage: 2x2 transposed convolution of stride 2,
    concatenation with the skip, 3x3 convolution, batch norm, SiLU; the last step to full size has no skip. Then a 1x1
    convolution.

    Shapes: `(B, in_channels, H, W)` to logits `(B, num_classes, H, W)`, for any H and W: images are padded at the
    right and bottom, repeating the last pixel, to the next multiple of 32, and the logits cut back.

    The paper gives no widths, only what the three networks cost: 9.0, 39.7 and 44.6 billion operations. Ours come
    within 1 % of all three (docs/models.md): a skip has the channels of its encoder stage, and so has a decoder stage,
    but for the two finest, which have `fine_filters`; a C2f has two bottlenecks, SPPF and C2f else as in YOLOv8.

    Args:
        in_channels: channels of the image.
        num_classes: classes, background included.
        variant: the encoder's name in timm, with or without the tag of its weights.
        bottlenecks: in each C2f.
        fine_filters: filters of the decoder at half and full size.
        skips: "rfe", or "plain" for the encoder's stages as they are: the baseline of the paper's table 9.
        pretrained: start the encoder from timm's pretrained weights, as the paper does; "if available" does so where
            they can be had.

    Attributes:
        pretrained: whether the encoder carries pretrained weights.

    Raises:
        UnknownName: for an encoder that timm does not have.
        ValueError: for counts below 1, other skips, an encoder without five stages that each halve the size, or weights
            that cannot be had.

    Warns:
        PretrainedWeightsMissing: in the place of the error, with `pretrained="if available"`.
    """

    usage = "rfe_unet:<encoder>, for example rfe_unet:resnet34"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        variant: str,
        bottlenecks: int = 2,
        fine_filters: int = 32,
        skips: str = "rfe",
        pretrained: bool | str = False,
    ) -> None:
        super().__init__()
        counts = {"in_channels": in_channels, "num_classes": num_classes}
        require_at_least(1, **counts, bottlenecks=bottlenecks, fine_filters=fine_filters)
        require_choice("skips", skips, ("rfe", "plain"))
        timm = import_library("timm", needed_for="rfe_unet:...")
        require_known("encoder", variant, timm_names(variant))

        def build(weights: str | None) -> nn.Module:
            return timm.create_model(variant, weights is not None, features_only=True, in_chans=in_channels)

        name = f"rfe_unet:{variant}"
        self.encoder, self.pretrained = with_pretrained(build, "timm", name, pretrained)
        info: Any = self.encoder.feature_info
        reductions = info.reduction()
        if reductions != [2 << stage for stage in range(STAGES)]:
            raise ValueError(
                f"Model {name!r} needs an encoder of five stages at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size. Found "
                f"{', '.join(f'1/{reduction}' for reduction in reductions)}; take for example resnet34."
            )
        channels = info.channels()
        filters = [fine_filters, *channels[1:]]
        pairs = list(itertools.pairwise(channels))
        self.skips = nn.ModuleList(
            ReceptiveFieldEnhancement(fine, coarse, bottlenecks) if skips == "rfe" else _Plain()
            for fine, coarse in pairs
        )
        self.up = nn.ModuleList(
            _Up(below, skip, out) for below, skip, out in zip(channels[1:], channels, filters, strict=False)
        )
        self.last = _Up(fine_filters, 0, fine_filters)
        self.head = nn.Conv2d(fine_filters, num_classes, 1)

    def forward(self, images: Float[Tensor, " B C H W"]) -> Float[Tensor, " B K H W"]:
        return padded(self._logits, images, 2**STAGES)

    def _logits(self, images: Tensor) -> Tensor:
        stages = self.encoder(images)
        x = stages[-1]
        for level in reversed(range(len(self.up))):
            x = self.up[level](x, self.skips[level](stages[level], stages[level + 1]))
        return self.head(self.last(x))
