"""Networks from images to logits, by name: `build_model("unet", in_channels=1, num_classes=2)`."""

from dmf.models.attention_unet import AttentionUNet
from dmf.models.libraries import Classifier, SegmentationModel
from dmf.models.pretrained import IF_AVAILABLE, PretrainedWeightsMissing, unfetched
from dmf.models.registry import MODELS, build_model
from dmf.models.rfe_unet import RFEUNet
from dmf.models.small_cnn import SmallCNN
from dmf.models.swin_unet import SwinUNet
from dmf.models.transunet import TransUNet
from dmf.models.unet import UNet
from dmf.models.unet3d import UNet3D
from dmf.models.unet_classic import ClassicUNet
from dmf.models.unet_classifier import UNetClassifier

__all__ = [
    "IF_AVAILABLE",
    "MODELS",
    "AttentionUNet",
    "ClassicUNet",
    "Classifier",
    "PretrainedWeightsMissing",
    "RFEUNet",
    "SegmentationModel",
    "SmallCNN",
    "SwinUNet",
    "TransUNet",
    "UNet",
    "UNet3D",
    "UNetClassifier",
    "build_model",
    "unfetched",
]
