"""Losses: one base class, explicit registries, and one shared pass for any number of them."""

from dmf.losses import pixelwise as _pixelwise
from dmf.losses import region as _region
from dmf.losses.base import FIDELITIES, LOSSES, Loss, build_loss
from dmf.losses.fused import FusedLosses

__all__ = ["FIDELITIES", "LOSSES", "FusedLosses", "Loss", "build_loss"]
