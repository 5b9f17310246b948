"""A U-Net that classifies whole images."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from dmf.models.registry import MODELS
from dmf.models.unet_classic import ClassicUNet


@MODELS.register("unet_classifier")
class UNetClassifier(nn.Module):
    """The U-Net of the loss-fusion paper, which classifies with it and does not say how; ours works like this.

    The whole `unet_classic`, down and up, without its last convolution; the mean of its finest features over all
    pixels; a dense layer of `num_classes`. That is the segmentation network whose map of logits is averaged.

    Shapes: `(B, in_channels, H, W)` to logits `(B, num_classes)`, for any H, W >= 2**depth.

    Args:
        in_channels: channels of the image.
        num_classes: classes.
        base_filters: filters of the first level.
        depth: number of poolings.
        batch_norm: whether a batch norm follows each 3x3 convolution.

    Raises:
        ValueError: for counts below 1, and in `forward` for images smaller than 2**depth.
    """

    usage = "unet_classifier"

    def __init__(
        self, in_channels: int, num_classes: int, *, base_filters: int = 64, depth: int = 4, batch_norm: bool = True
    ) -> None:
        super().__init__()
        self.network = ClassicUNet(
            in_channels, num_classes, base_filters=base_filters, depth=depth, batch_norm=batch_norm
        )
        self.network.head = nn.Linear(base_filters, num_classes)

    def forward(self, images: Float[Tensor, " B C H W"]) -> Float[Tensor, " B K"]:
        return self.network.head(self.network.features(images).mean((-2, -1)))
