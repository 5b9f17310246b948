"""Weightings: N losses in, N weights out.

`WEIGHTINGS` maps names to classes and `build_weighting` builds one. A module of this package that defines a weighting
is imported here, which files it.
"""

from __future__ import annotations

from typing import Any

from dmf.weightings.adaptive import MAD, Bayesian, MemoryWeighting, Variance
from dmf.weightings.base import WEIGHTINGS, Combination, Weighting
from dmf.weightings.fidelity import FIDELITIES
from dmf.weightings.fixed import Equal, Fixed

__all__ = [
    "FIDELITIES",
    "MAD",
    "WEIGHTINGS",
    "Bayesian",
    "Combination",
    "Equal",
    "Fixed",
    "MemoryWeighting",
    "Variance",
    "Weighting",
    "build_weighting",
]


def build_weighting(name: str, num_losses: int, fidelity: str = "paper", **params: Any) -> Weighting:
    """The weighting registered under `name`.

    Args:
        name: One of `WEIGHTINGS`.
        num_losses: N.
        fidelity: "paper", "reference" or "stable"; a method that has no such variants is the same in all three.
        params: Hyperparameters of the method, and `scale`.

    Raises:
        UnknownName: for a name or fidelity that does not exist, listing those that do.
        ValueError: for a parameter that the method does not have, or out of its range.
    """
    cls = WEIGHTINGS[name]
    rules = FIDELITIES[fidelity]
    if issubclass(cls, MemoryWeighting):
        params["fidelity"] = FIDELITIES.name_of(rules)
    try:
        return cls(num_losses, **params)
    except TypeError as error:
        raise ValueError(f"Weighting {name!r} does not accept these parameters: {error}.") from error
