"""Weightings: N losses in, N weights out.

`WEIGHTINGS` maps names to classes and `build_weighting` builds one. A module of this package that defines a weighting
is imported here, which files it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from dmf.checks import refuse_unknown
from dmf.weightings.adaptive import MAD, Bayesian, MemoryWeighting, Variance
from dmf.weightings.base import WEIGHTINGS, Combination, NamedCombination, Weighting
from dmf.weightings.cov import CoV
from dmf.weightings.dwa import DWA
from dmf.weightings.famo import FAMO
from dmf.weightings.fidelity import RULES
from dmf.weightings.fixed import Equal, Fixed
from dmf.weightings.gls import GLS
from dmf.weightings.gradients import TorchJDWeighting
from dmf.weightings.names import require_names
from dmf.weightings.parameters import TorchJDParameterWeighting
from dmf.weightings.random import RandomWeighting
from dmf.weightings.relobralo import ReLoBRaLo
from dmf.weightings.scalarization import TorchJDScalarization
from dmf.weightings.softadapt import SoftAdapt
from dmf.weightings.torchjd import KINDS, PREFIX, adapter_of
from dmf.weightings.uncertainty import Uncertainty

__all__ = [
    "DWA",
    "FAMO",
    "GLS",
    "KINDS",
    "MAD",
    "RULES",
    "WEIGHTINGS",
    "Bayesian",
    "CoV",
    "Combination",
    "Equal",
    "Fixed",
    "MemoryWeighting",
    "NamedCombination",
    "RandomWeighting",
    "ReLoBRaLo",
    "SoftAdapt",
    "TorchJDParameterWeighting",
    "TorchJDScalarization",
    "TorchJDWeighting",
    "Uncertainty",
    "Variance",
    "Weighting",
    "build_weighting",
    "weighting_class",
]

_GIVEN = ("num_losses", "fidelity")


def weighting_class(name: str) -> type[Weighting]:
    """The class that `build_weighting` builds. Raises UnknownName for a name that does not exist."""
    return adapter_of(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else WEIGHTINGS[name]


def build_weighting(name: str, num_losses: int | Sequence[str], fidelity: str = "paper", **params: Any) -> Weighting:
    """The weighting registered under `name`.

    Args:
        name: One of `WEIGHTINGS`, or "torchjd:<method>" for a weighting or a scalarization of TorchJD's.
        num_losses: N, or the names of N losses, as of a network's heads.
        fidelity: "paper", "reference" or "stable"; a method that has no such variants is the same in all three.
        params: Hyperparameters of the method, and `scale`.

    Raises:
        UnknownName: for a name or fidelity that does not exist, listing those that do.
        ValueError: for a parameter that the method does not have, or out of its range.

    >>> import torch
    >>> weighting = build_weighting("gls", ["depth", "edges"])
    >>> total, weights = weighting.combine({"edges": torch.tensor(4.0), "depth": torch.tensor(1.0)})
    >>> {name: round(weight.item(), 4) for name, weight in weights.items()}
    {'depth': 1.0, 'edges': 0.25}
    """
    if isinstance(num_losses, int):
        return _build(name, num_losses, fidelity, params)
    names = require_names(num_losses)
    weighting = _build(name, len(names), fidelity, params)
    weighting.names = names
    return weighting


def _build(name: str, num_losses: int, fidelity: str, params: dict[str, Any]) -> Weighting:
    rules = RULES[fidelity]
    cls = weighting_class(name)
    if name.startswith(PREFIX):
        adapter: Any = cls
        return adapter(num_losses, method=name.removeprefix(PREFIX), **params)
    known = (parameter for parameter in inspect.signature(cls).parameters if parameter not in _GIVEN)
    refuse_unknown(f"Weighting {name!r}", params, known)
    if issubclass(cls, MemoryWeighting):
        params["fidelity"] = RULES.name_of(rules)
    return cls(num_losses, **params)
