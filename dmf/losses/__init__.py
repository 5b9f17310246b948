"""Losses: small modules with their equation in the docstring, and one shared pass for any number of them."""

from dmf.losses import adaptive_focal, paced, probability, reference, region, true_class
from dmf.losses.base import (
    FIDELITIES,
    LOSSES,
    REFERENCE,
    STABLE,
    Loss,
    ProbabilityLoss,
    RegionLoss,
    TrueClassLoss,
    build_loss,
    loss_class,
)
from dmf.losses.families import Counts, Pixels
from dmf.losses.fused import FusedLosses, evaluate

__all__ = [
    "FIDELITIES",
    "LOSSES",
    "REFERENCE",
    "STABLE",
    "Counts",
    "FusedLosses",
    "Loss",
    "Pixels",
    "ProbabilityLoss",
    "RegionLoss",
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
