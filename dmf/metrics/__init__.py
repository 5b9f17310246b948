"""How good a prediction is: counts, overlap metrics per image, protocols, and distances between surfaces."""

from dmf.metrics.counts import confusion_counts, confusion_matrix
from dmf.metrics.protocols import PROTOCOLS, Protocol, protocols_of, selecting_protocol, summarise
from dmf.metrics.scores import METRICS, cb_dice, class_scores, empty_masks, per_image
from dmf.metrics.soft import SOFT, soft_sums, summarise_soft
from dmf.metrics.surface import hausdorff, hd95, surface_dice

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "SOFT",
    "Protocol",
    "cb_dice",
    "class_scores",
    "confusion_counts",
    "confusion_matrix",
    "empty_masks",
    "hausdorff",
    "hd95",
    "per_image",
    "protocols_of",
    "selecting_protocol",
    "soft_sums",
    "summarise",
    "summarise_soft",
    "surface_dice",
]
