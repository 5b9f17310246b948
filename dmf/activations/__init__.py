"""Activation functions by name, and a network's own put in their place: `replace_activations(model, "jacobi")`."""

from dmf.activations.jacobi import Jacobi
from dmf.activations.lerch import Lerch
from dmf.activations.mittag_leffler import MittagLeffler
from dmf.activations.registry import ACTIVATIONS, build_activation, replace_activations
from dmf.activations.weierstrass import Weierstrass

__all__ = [
    "ACTIVATIONS",
    "Jacobi",
    "Lerch",
    "MittagLeffler",
    "Weierstrass",
    "build_activation",
    "replace_activations",
]
