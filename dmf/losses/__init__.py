"""Losses: small modules with their equation in the docstring, and one shared pass for any number of them."""

from dmf.losses import adaptive_focal, paced, probability, reference, region, true_class
from dmf.losses.base import (
    LOSSES,
    REFERENCE,
    STABLE,
    VARIANTS,
    Common,
    Loss,
    ProbabilityLoss,
    RegionLoss,
    TrueClassLoss,
    build_loss,
    loss_class,
)
from dmf.losses.families import Counts, Pixels
from dmf.losses.fused import MEAN, FusedLosses, Single, evaluate

__all__ = [
    "LOSSES",
    "MEAN",
    "REFERENCE",
    "STABLE",
    "VARIANTS",
    "Common",
    "Counts",
    "FusedLosses",
    "Loss",
    "Pixels",
    "ProbabilityLoss",
    "RegionLoss",
    "Single",
    "TrueClassLoss",
    "adaptive_focal",
    "build_loss",
    "evaluate",
    "loss_class",
    "paced",
    "probability",
    "reference",
    "region",
    "true_class",
]
