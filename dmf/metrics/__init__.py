"""How good a prediction is: counts, overlap metrics per image, protocols, and distances between surfaces."""

from dmf.metrics.counts import confusion_counts, confusion_matrix
from dmf.metrics.protocols import PROTOCOLS, Protocol, summarise
from dmf.metrics.scores import METRICS, cb_dice, class_scores, empty_masks, per_image

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "Protocol",
    "cb_dice",
    "class_scores",
    "confusion_counts",
    "confusion_matrix",
    "empty_masks",
    "per_image",
    "summarise",
]
