"""The U-Net made of shifted-window transformers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dmf.checks import require, require_at_least
from dmf.models.layers import padded
from dmf.models.pretrained import import_library, pretrained_donor
from dmf.models.registry import MODELS

PATCH = 4
PRETRAINED = "swin_tiny_patch4_window7_224.ms_in1k"


class PatchExpanding(nn.Module):
    """The reverse of patch merging: a dense layer to `factor**2` times `out_channels`, laid out as that many pixels."""

    def __init__(self, in_channels: int, out_channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.expand = nn.Linear(in_channels, factor**2 * out_channels, bias=False)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Float[Tensor, " B H W C"]) -> Float[Tensor, " B fH fW D"]:
        squares = self.expand(x).unflatten(3, (self.factor, self.factor, -1))
        return self.norm(squares.transpose(2, 3).flatten(3, 4).flatten(1, 2))


class _Up(nn.Module):
    def __init__(self, below: int, blocks: nn.Module) -> None:
        super().__init__()
        self.expand = PatchExpanding(below, below // 2, 2)
        self.join = nn.Linear(below, below // 2)
        self.blocks = blocks

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.blocks(self.join(torch.cat([self.expand(x), skip], dim=-1)))


@MODELS.register("swin_unet")
class SwinUNet(nn.Module):
    """Swin-UNet (Cao et al., ECCV workshops 2022, arXiv 2105.05537, section 3): no convolution but at its two ends.

    Patches of 4 x 4 pixels; per stage, blocks of attention within windows, every second block with windows shifted by
    half; patch merging between stages halves the sides and doubles the channels. Up, per stage: patch expanding,
    concatenation with the skip, a dense layer to half, blocks as before. Last, patch expanding by 4 and a 1x1
    convolution. Blocks and merging are timm's. With the defaults, 27 million parameters.

    Shapes: `(B, in_channels, H, W)` to logits `(B, num_classes, H, W)`, for any H and W: images are padded at the
    right and bottom, repeating the last pixel, to the next multiple of the coarsest pixel (32), and the logits cut
    back. Maps that windows do not tile are filled up with zeros for the attention.

    Args:
        in_channels: channels of the image.
        num_classes: classes, background included.
        image_size: side or (height, width) in pixels; a stage whose map fits into one window does not shift it.
        dim: channels of the first stage.
        depths: blocks of each stage, on the way down and on the way up; even numbers, to shift every second.
        heads: attention heads of each stage.
        window: side of the windows in patches; 1/32 of the image's shorter side unless given, Swin's own ratio.
        drop_path: rate of the last block down at which a block is skipped in training, growing to it linearly.
        pretrained: start from Swin-T's weights of ImageNet, as the authors do, the way up like the way down; needs the
            default layout. "if available" does so where they can be had.

    Attributes:
        pretrained: whether the network carries pretrained weights.

    Raises:
        ValueError: for counts below 1, heads that do not divide the channels of their stage, lists of different length,
            `pretrained` with another layout than the default, or weights that cannot be had.

    Warns:
        PretrainedWeightsMissing: in the place of the error, with `pretrained="if available"`.
    """

    usage = "swin_unet"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        image_size: int | tuple[int, int] = 224,
        dim: int = 96,
        depths: Sequence[int] = (2, 2, 2, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        window: int | None = None,
        drop_path: float = 0.1,
        pretrained: bool | str = False,
    ) -> None:
        super().__init__()
        require_at_least(1, in_channels=in_channels, num_classes=num_classes, dim=dim)
        _check(dim, depths, heads, pretrained)
        sides = (image_size, image_size) if isinstance(image_size, int) else image_size
        channels = [dim << stage for stage in range(len(depths))]
        self.multiple = PATCH << (len(depths) - 1)
        grid = [math.ceil(side / self.multiple) * self.multiple // PATCH for side in sides]
        window = max(1, min(grid) // 8) if window is None else window
        require_at_least(1, window=window)
        last = max(1, sum(depths) - 1)

        def stage(level: int, *, merge: bool) -> nn.Module:
            return _stage(
                dim=channels[level - merge],
                out_dim=channels[level],
                input_resolution=tuple(side >> (level - merge) for side in grid),
                downsample=merge,
                depth=depths[level],
                num_heads=heads[level],
                window_size=window,
                drop_path=[drop_path * (sum(depths[:level]) + block) / last for block in range(depths[level])],
            )

        self.embed = nn.Conv2d(in_channels, dim, PATCH, stride=PATCH)
        self.embed_norm = nn.LayerNorm(dim)
        self.down = nn.ModuleList(stage(level, merge=level > 0) for level in range(len(depths)))
        self.bottom_norm = nn.LayerNorm(channels[-1])
        self.up = nn.ModuleList(
            _Up(channels[level + 1], stage(level, merge=False)) for level in reversed(range(len(depths) - 1))
        )
        self.top_norm = nn.LayerNorm(dim)
        self.last = PatchExpanding(dim, dim, PATCH)
        self.head = nn.Conv2d(dim, num_classes, 1, bias=False)
        self.apply(_initialise)

        arguments = {"in_chans": in_channels, "img_size": tuple(PATCH * side for side in grid), "window_size": window}
        donor = pretrained_donor(PRETRAINED, "swin_unet", pretrained, **arguments)
        self.pretrained = donor is not None
        if donor is not None:
            self.load(donor)

    def forward(self, images: Float[Tensor, " B C H W"]) -> Float[Tensor, " B K H W"]:
        return padded(self._logits, images, self.multiple)

    def _logits(self, images: Tensor) -> Tensor:
        x = self.embed_norm(self.embed(images).permute(0, 2, 3, 1))
        stages = []
        for stage in self.down:
            x = stage(x)
            stages.append(x)
        x = self.bottom_norm(x)
        for up, skip in zip(self.up, reversed(stages[:-1]), strict=True):
            x = up(x, skip)
        return self.head(self.last(self.top_norm(x)).permute(0, 3, 1, 2).contiguous())

    def load(self, donor: Any) -> None:
        """Take timm's weights, for a stage on the way up those of its counterpart; its longer stages are cut short."""
        embed, stages = donor.patch_embed, list(donor.layers)
        pairs: list[tuple[Any, Any]] = [(self.embed, embed.proj), (self.embed_norm, embed.norm)]
        pairs += [*zip(self.down, stages, strict=True), (self.bottom_norm, donor.norm)]
        pairs += [(up.blocks, stage) for up, stage in zip(self.up, stages[-2::-1], strict=True)]
        for ours, theirs in pairs:
            weights = theirs.state_dict()
            ours.load_state_dict({name: weights[name] for name in ours.state_dict()})


def _stage(**arguments: Any) -> nn.Module:
    import_library("timm", needed_for="swin_unet")
    from timm.models.swin_transformer import SwinTransformerStage

    return SwinTransformerStage(**arguments, dynamic_mask=True)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _check(dim: int, depths: Sequence[int], heads: Sequence[int], pretrained: bool | str) -> None:
    several = len(depths) >= 2 and min(depths) >= 1
    require(several, "depths", list(depths), "at least 2 counts of at least 1")
    channels = [dim << level for level in range(len(depths))]
    fits = len(heads) == len(depths) and not any(h < 1 or c % h for c, h in zip(channels, heads, strict=True))
    require(fits, "heads", list(heads), f"divisors of the stages' channels {', '.join(map(str, channels))}")
    if pretrained and (dim, *depths, *heads) != (96, 2, 2, 2, 2, 3, 6, 12, 24):
        raise ValueError(
            "Parameter `pretrained` needs the default `dim`, `depths` and `heads`. "
            f"Found {dim}, {list(depths)}, {list(heads)}."
        )
