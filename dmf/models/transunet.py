"""The U-Net whose encoder ends in a vision transformer."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dmf.checks import require, require_at_least
from dmf.models.layers import convolution, padded
from dmf.models.pretrained import import_library, pretrained_donor
from dmf.models.registry import MODELS
from dmf.models.ushape import double_convolution

STRIDE = 16
PRETRAINED = "vit_base_r50_s16_224.orig_in21k"


class HybridEncoder(nn.Module):
    """ResNet (v2, group norm, standardised weights) to 1/16 of the size, then a vision transformer on its pixels.

    Both are timm's. Returns the transformer's output as a map, and the ResNet's features at 1/2, 1/4 and 1/8.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        grid: tuple[int, int],
        width: int,
        blocks: Sequence[int],
        dim: int,
        depth: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        import_library("timm", needed_for="transunet")
        from timm.layers import GroupNormAct, StdConv2dSame
        from timm.models.resnetv2 import ResNetV2
        from timm.models.vision_transformer import Block

        self.backbone = ResNetV2(
            layers=list(blocks),
            channels=tuple(4 * width << stage for stage in range(len(blocks))),
            stem_chs=width,
            stem_type="same",
            in_chans=in_channels,
            num_classes=0,
            global_pool="",
            preact=False,
            conv_layer=functools.partial(StdConv2dSame, eps=1e-8),
            norm_layer=functools.partial(GroupNormAct, num_groups=math.gcd(width, 32)),
        )
        self.project = nn.Conv2d(self.backbone.num_features, dim, 1)
        self.grid = grid
        self.position = nn.Parameter(torch.empty(1, grid[0] * grid[1], dim))
        nn.init.trunc_normal_(self.position, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(dim, heads, qkv_bias=True, proj_drop=dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, images: Float[Tensor, " B C H W"]) -> tuple[Float[Tensor, " B D h w"], list[Tensor]]:
        from timm.layers import resample_abs_pos_embed

        x, features = self.backbone.forward_intermediates(images)
        x = self.project(x)
        sides = list(x.shape[2:])
        position = resample_abs_pos_embed(self.position, sides, list(self.grid), num_prefix_tokens=0)
        tokens = self.dropout(x.flatten(2).transpose(1, 2) + position)
        tokens = self.norm(self.blocks(tokens))
        return tokens.transpose(1, 2).unflatten(2, sides), features[:3]

    def load(self, pretrained: nn.Module) -> None:
        """Take the weights of timm's model of the same layout; its class token has no counterpart here."""
        theirs = pretrained.state_dict()
        renamed = {
            "position": theirs["pos_embed"][:, 1:],
            **{f"backbone.{key}": value for key, value in _below(theirs, "patch_embed.backbone.").items()},
            **{f"project.{key}": value for key, value in _below(theirs, "patch_embed.proj.").items()},
            **{key: value for key, value in theirs.items() if key.startswith(("blocks.", "norm."))},
        }
        self.load_state_dict(renamed)


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


class _Up(nn.Module):
    def __init__(self, below: int, skip: int, out_channels: int) -> None:
        super().__init__()
        self.convolve = double_convolution(below + skip, out_channels)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        return self.convolve(x if skip is None else torch.cat([x, skip], dim=1))


@MODELS.register("transunet")
class TransUNet(nn.Module):
    """TransUNet (Chen et al., arXiv 2102.04306, section 3): a hybrid of ResNet-50 and ViT-B/16, and a CNN on top.

    Encoder: `HybridEncoder`. Decoder: 3x3 convolution of the transformer's map; then four times bilinear upsampling by
    2, concatenation with the ResNet's features of that size (none at full size), twice 3x3 convolution, batch norm,
    ReLU. Last, a 3x3 convolution. With the defaults, 105 million parameters.

    Shapes: `(B, in_channels, H, W)` to logits `(B, num_classes, H, W)`, for any H and W: images are padded at the
    right and bottom, repeating the last pixel, to the next multiple of 16, and the logits cut back. Position
    embeddings are learned for `image_size` and interpolated for any other.

    Where we differ from the authors' code: position embeddings start from a normal of 0.02 instead of zero, and
    dropout also follows the projection of each attention, as in timm.

    Args:
        in_channels: channels of the image.
        num_classes: classes, background included.
        image_size: side or (height, width) in pixels that the position embeddings are made for.
        width: channels of the ResNet's stem; its stages have 4, 8, 16 times as many.
        blocks: residual blocks of the three stages.
        dim, depth, heads: width, number of blocks and attention heads of the transformer.
        decoder: channels of the four decoder stages, the coarsest first.
        dropout: rate in the transformer.
        pretrained: start the encoder from the weights of ImageNet-21k that the authors use; needs the default layout.
            "if available" does so where they can be had.

    Attributes:
        pretrained: whether the encoder carries pretrained weights.

    Raises:
        ValueError: for counts below 1, heads that do not divide `dim`, lists of another length, `pretrained` with
            another layout than the default, or weights that cannot be had.

    Warns:
        PretrainedWeightsMissing: in the place of the error, with `pretrained="if available"`.
    """

    usage = "transunet"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        image_size: int | tuple[int, int] = 224,
        width: int = 64,
        blocks: Sequence[int] = (3, 4, 9),
        dim: int = 768,
        depth: int = 12,
        heads: int = 12,
        decoder: Sequence[int] = (256, 128, 64, 16),
        dropout: float = 0.1,
        pretrained: bool | str = False,
    ) -> None:
        super().__init__()
        require_at_least(1, in_channels=in_channels, num_classes=num_classes, width=width, dim=dim, depth=depth)
        require_at_least(1, heads=heads)
        require(dim % heads == 0, "heads", heads, f"a divisor of `dim` = {dim}")
        for name, values, length in (("blocks", blocks, 3), ("decoder", decoder, 4)):
            fits = len(values) == length and min(values) >= 1
            require(fits, name, list(values), f"{length} counts of at least 1")
        layout = {"width": width, "blocks": tuple(blocks), "dim": dim, "depth": depth, "heads": heads}
        if pretrained and layout != {"width": 64, "blocks": (3, 4, 9), "dim": 768, "depth": 12, "heads": 12}:
            raise ValueError(
                f"Parameter `pretrained` needs the default width, blocks, dim, depth and heads. Found {layout}."
            )
        height, wide = (image_size, image_size) if isinstance(image_size, int) else image_size
        grid = (math.ceil(height / STRIDE), math.ceil(wide / STRIDE))

        self.encoder = HybridEncoder(in_channels, grid=grid, dropout=dropout, **layout)  # type: ignore[arg-type]
        self.bottom = convolution(dim, 2 * decoder[0])
        below = [2 * decoder[0], *decoder]
        skips = [8 * width, 4 * width, width, 0]
        self.up = nn.ModuleList(_Up(b, s, o) for b, s, o in zip(below, skips, decoder, strict=False))
        self.head = nn.Conv2d(decoder[-1], num_classes, 3, padding=1)

        arguments = {"in_chans": in_channels, "img_size": tuple(STRIDE * side for side in grid)}
        donor = pretrained_donor(PRETRAINED, "transunet", pretrained, **arguments)
        self.pretrained = donor is not None
        if donor is not None:
            self.encoder.load(donor)

    def forward(self, images: Float[Tensor, " B C H W"]) -> Float[Tensor, " B K H W"]:
        return padded(self._logits, images, STRIDE)

    def _logits(self, images: Tensor) -> Tensor:
        x, features = self.encoder(images)
        x = self.bottom(x)
        for up, skip in zip(self.up, [*reversed(features), None], strict=True):
            x = up(x, skip)
        return self.head(x)
