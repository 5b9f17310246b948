"""A small convolutional network for classification."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from dmf.checks import require_at_least
from dmf.models.layers import convolution
from dmf.models.registry import MODELS


@MODELS.register("small_cnn")
class SmallCNN(nn.Module):
    """The "CNN" beside VGG16 and U-Net in the loss-fusion paper, which says nothing of its layers; ours are these.

    Per block: 3x3 convolution, batch norm, ReLU, 2x2 max-pool; filters double from `base_filters`. Then the mean over
    all pixels, a dense layer of `hidden` units with ReLU, and one of `num_classes`.

    Shapes: `(B, in_channels, H, W)` to logits `(B, num_classes)`, for any H and W: pooling rounds odd sides up.

    Args:
        in_channels: channels of the image.
        num_classes: classes.
        base_filters: filters of the first block.
        blocks: number of blocks.
        hidden: units of the dense layer.

    Raises:
        ValueError: for counts below 1.
    """

    usage = "small_cnn"

    def __init__(
        self, in_channels: int, num_classes: int, *, base_filters: int = 32, blocks: int = 4, hidden: int = 128
    ) -> None:
        super().__init__()
        counts = {"in_channels": in_channels, "num_classes": num_classes, "base_filters": base_filters}
        require_at_least(1, **counts, blocks=blocks, hidden=hidden)
        filters = [base_filters << block for block in range(blocks)]
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(convolution(i, o), nn.MaxPool2d(2, ceil_mode=True))
                for i, o in zip([in_channels, *filters], filters, strict=False)
            )
        )
        self.head = nn.Sequential(nn.Linear(filters[-1], hidden), nn.ReLU(), nn.Linear(hidden, num_classes))

    def forward(self, images: Float[Tensor, " B C H W"]) -> Float[Tensor, " B K"]:
        return self.head(self.blocks(images).mean((-2, -1)))
