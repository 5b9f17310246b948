"""Networks from images to logits, by name: `build_model("unet", in_channels=1, num_classes=2)`."""

from dmf.models.libraries import Classifier, PretrainedWeightsMissing, SegmentationModel
from dmf.models.registry import MODELS, build_model
from dmf.models.unet import UNet

__all__ = ["MODELS", "Classifier", "PretrainedWeightsMissing", "SegmentationModel", "UNet", "build_model"]
