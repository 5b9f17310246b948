"""How names in a study read in print, and in which colour they are drawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dmf.metrics import SOFT
from pipelines.papers import measures

# Only what capitalising would get wrong.
_PRINTED = {
    "cb_dice": "CB-Dice",
    "iou": "IoU",
    "mad": "MAD",
    "mse": "MSE",
    "dwa": "DWA",
    "cov": "CoV",
    "gls": "GLS",
    "famo": "FAMO",
    "relobralo": "ReLoBRaLo",
    "softadapt": "SoftAdapt",
    "smooth_l1": "Smooth L1",
    "adapt_exp": "Adapt Exp",
    "unet": "U-Net",
    "unet_classic": "Classic U-Net",
    "unet_classifier": "U-Net classifier",
    "unet3d": "3D U-Net",
    "attention_unet": "Attention U-Net",
    "transunet": "TransUNet",
    "swin_unet": "Swin-UNet",
    "rfe_unet": "RFE U-Net",
    "small_cnn": "Small CNN",
    "smp": "smp",
    "timm": "timm",
    "torchjd": "TorchJD",
    "mittag_leffler": "Mittag-Leffler",
    "hd95": "HD95 (px)",
    "hausdorff": "HD (px)",
    "hd95_original": "HD95 (original px)",
    "hausdorff_original": "HD (original px)",
    "f1": "F1",
    "model_params": "Model parameters",
    "loss_params": "Loss parameters",
    "weighting_params": "Weighting parameters",
    "adamw": "AdamW",
    "sgd": "SGD",
    "fp32": "fp32",
    "bf16": "bf16",
    "torch": "PyTorch",
    "weighting": "Weighting",
    "auxiliary": "Auxiliary loss",
    "losses": "Base losses",
    "gamma0": "γ0",
    "tau": "τ",
    "tick": "Batches per step of γ(t)",
    "filtered": "Bilaterally filtered",
    "output_activation": "Before the softmax, too",
    "image_size": "Image size (px)",
    "selection": "Tested epoch, by validation",
}


def printed(name: str) -> str:
    """`cb_dice` -> CB-Dice, `learning_rate` -> Learning rate, `timm:vgg16` -> timm vgg16; other text as it is."""
    if name in _PRINTED:
        return _PRINTED[name]
    family, colon, member = name.partition(":")
    if colon and family in _PRINTED:
        return f"{_PRINTED[family]} {member}"
    return name.replace("_", " ").capitalize() if name.replace("_", "").isalnum() and name.islower() else name


@dataclass(frozen=True)
class Metric:
    """How a score is printed: shares of 1 as percent; distances as they are, and smaller is better."""

    name: str

    @property
    def is_distance(self) -> bool:
        return measures.is_distance(self.name)

    @property
    def scale(self) -> float:
        return measures.scale_of(self.name)

    @property
    def label(self) -> str:
        return printed(self.name)


@dataclass(frozen=True)
class ProtocolText:
    """What a table under a protocol is called, which scores it prints and what its numbers mean."""

    title: str
    metrics: tuple[str, ...]
    meaning: str

    def about(self, foreground: str) -> ProtocolText:
        """The same with the foreground's name, such as lesion, in its place."""
        title, meaning = (text.format(foreground=foreground) for text in (self.title, self.meaning))
        return ProtocolText(title[:1].upper() + title[1:], self.metrics, meaning)

    def under(self, variant: str) -> ProtocolText:
        """The same for test images that were changed, such as by noise=0.1."""
        if not variant:
            return self
        name, _, value = variant.partition("=")
        changed = f"Gaussian noise of standard deviation {value}" if name == "noise" else variant
        return ProtocolText(f"{self.title}, under {changed}", self.metrics, f"{self.meaning} Test images: {changed}.")


# Of every protocol of `dmf.metrics`; the CSV files hold every score that was measured.
# Under `reference` the columns are those of the paper's tables 1 to 3.
PROTOCOL_TEXTS = {
    "reference": ProtocolText(
        "scores as the paper computes them",
        ("dice", "iou", "f1", "precision", "recall", "cb_dice"),
        "Counts averaged over the test images, the metric per class, then the mean over all classes, background "
        "included: the arithmetic of the paper's authors. Background lifts these numbers.",
    ),
    "per_image": ProtocolText(
        "{foreground} scores, mean over images",
        ("dice", "iou", "precision", "recall", "specificity", "cb_dice", "hd95", "hausdorff"),
        "The score of the {foreground} in each test image, then the mean over images (F1 is Dice here, recall is "
        "sensitivity); CB-Dice takes the background in.",
    ),
    "pooled": ProtocolText(
        "{foreground} scores, counts pooled over images",
        ("dice", "iou", "precision", "recall", "specificity", "cb_dice"),
        "The score of the {foreground} from counts summed over all test images (F1 is Dice here, recall is "
        "sensitivity): large ones weigh more. CB-Dice takes the background in.",
    ),
    SOFT: ProtocolText(
        "scores of probabilities, mean over classes",
        ("dice", "iou"),
        "Sigmoids in the place of decisions, squares below, the mean over background and {foreground}: "
        "the arithmetic of the Adaptive Focal Loss's authors.",
    ),
    "macro": ProtocolText(
        "scores, mean over classes",
        ("accuracy", "f1", "iou", "precision", "recall"),
        "Every class weighs the same.",
    ),
    "weighted": ProtocolText(
        "scores, mean over cases",
        ("accuracy", "f1", "iou", "precision", "recall"),
        "Every class weighs as many times as it occurs.",
    ),
}

# Where a data set's most telling score is found, by task: protocol, metric, and what it is called.
HEADLINES = {
    "segmentation": (
        ("per_image", "dice", "Dice, mean over images"),
        ("reference", "cb_dice", "CB-Dice, as the paper"),
    ),
    "classification": (("macro", "f1", "F1, mean over classes"),),
}

# Okabe and Ito's palette, told apart under the common colour-vision deficiencies.
_WEIGHTING_COLOURS = {
    "fixed": "#5f6368",
    "equal": "#5f6368",
    "variance": "#0072b2",
    "mad": "#d55e00",
    "bayesian": "#009e73",
    "uncertainty": "#cc79a7",
    "random": "#e69f00",
    "dwa": "#56b4e9",
}
# Paul Tol's muted palette for losses, so that a loss is never mistaken for a weighting.
_LOSS_COLOURS = {
    "cross_entropy": "#332288",
    "iou": "#cc6677",
    "dice": "#44aa99",
    "tversky": "#999933",
    "focal": "#aa4499",
    "cb_dice": "#117733",
    "binary_cross_entropy": "#88ccee",
}
_SPARE = ("#882255", "#ddaa33", "#004488", "#997700", "#6699cc", "#bb5566", "#000000", "#228833", "#aa66cc", "#44bbaa")


def weighting_colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each weighting, the same in every figure and study."""
    return _assign(names, _WEIGHTING_COLOURS)


def loss_colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each loss, the same in every figure and study."""
    return _assign(names, _LOSS_COLOURS)


def line_colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each line of a figure whose lines are neither weightings nor losses."""
    return _assign(names, {})


def _assign(names: Iterable[str], known: dict[str, str]) -> dict[str, str]:
    unique = list(dict.fromkeys(names))
    spare = [name for name in unique if name not in known]
    return {name: known.get(name) or _SPARE[spare.index(name) % len(_SPARE)] for name in unique}
