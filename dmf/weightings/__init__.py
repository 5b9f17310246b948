"""Weightings: N losses in, N weights out.

`WEIGHTINGS` maps names to classes and `build_weighting` builds one. A module of this package that defines a weighting
is imported here, which files it.
"""

from __future__ import annotations

import inspect
from typing import Any

from dmf.checks import refuse_unknown
from dmf.weightings.adaptive import MAD, Bayesian, MemoryWeighting, Variance
from dmf.weightings.base import WEIGHTINGS, Combination, Weighting
from dmf.weightings.cov import CoV
from dmf.weightings.dwa import DWA
from dmf.weightings.famo import FAMO
from dmf.weightings.fidelity import RULES
from dmf.weightings.fixed import Equal, Fixed
from dmf.weightings.gls import GLS
from dmf.weightings.gradients import TorchJDWeighting
from dmf.weightings.random import RandomWeighting
from dmf.weightings.relobralo import ReLoBRaLo
from dmf.weightings.softadapt import SoftAdapt
from dmf.weightings.uncertainty import Uncertainty

__all__ = [
    "DWA",
    "FAMO",
    "GLS",
    "MAD",
    "RULES",
    "WEIGHTINGS",
    "Bayesian",
    "CoV",
    "Combination",
    "Equal",
    "Fixed",
    "MemoryWeighting",
    "RandomWeighting",
    "ReLoBRaLo",
    "SoftAdapt",
    "TorchJDWeighting",
    "Uncertainty",
    "Variance",
    "Weighting",
    "build_weighting",
    "weighting_class",
]

TORCHJD = "torchjd:"
_GIVEN = ("num_losses", "fidelity")


def weighting_class(name: str) -> type[Weighting]:
    """The class that `build_weighting` builds. Raises UnknownName for a name that does not exist."""
    return TorchJDWeighting if name.startswith(TORCHJD) else WEIGHTINGS[name]


def build_weighting(name: str, num_losses: int, fidelity: str = "paper", **params: Any) -> Weighting:
    """The weighting registered under `name`.

    Args:
        name: One of `WEIGHTINGS`, or "torchjd:<method>" for one of TorchJD's that look at gradients.
        num_losses: N.
        fidelity: "paper", "reference" or "stable"; a method that has no such variants is the same in all three.
        params: Hyperparameters of the method, and `scale`.

    Raises:
        UnknownName: for a name or fidelity that does not exist, listing those that do.
        ValueError: for a parameter that the method does not have, or out of its range.

    >>> import torch
    >>> weighting = build_weighting("gls", 2)
    >>> weighting(torch.tensor([1.0, 4.0])).tolist()
    [1.0, 0.25]
    """
    rules = RULES[fidelity]
    cls = weighting_class(name)
    if issubclass(cls, TorchJDWeighting):
        return cls(num_losses, method=name.removeprefix(TORCHJD), **params)
    known = (parameter for parameter in inspect.signature(cls).parameters if parameter not in _GIVEN)
    refuse_unknown(f"Weighting {name!r}", params, known)
    if issubclass(cls, MemoryWeighting):
        params["fidelity"] = RULES.name_of(rules)
    return cls(num_losses, **params)
