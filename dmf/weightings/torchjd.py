"""TorchJD's methods by name: which there are, which are refused and why, and how one is built."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from dmf.checks import require, require_choice
from dmf.registry import Registry
from dmf.weightings.base import Weighting

PREFIX = "torchjd:"
SUFFIX = "Weighting"

KINDS: Registry[Weighting] = Registry("kind of TorchJD's methods")
"""What adapts them: those that look at "gradients", those that look at gradients of "parameters", and those that are a
"scalarization", a function of the losses alone."""

OF_TWO_BATCHES = ("MoDo", "SDMGrad")
OF_PARAMETERS = ("ExcessMTL", *OF_TWO_BATCHES)

_ENTRYWISE = "combines gradients entry by entry, and so gives no loss a weight"

REFUSED = {
    "ConFIG": "turns the gradients themselves into a direction, and gives no loss a weight",
    "DWA": "has to be told where each epoch ends, and keeps its averages in no state_dict; `dwa` has a period instead",
    "FAMO": "evaluates each batch again after the step, and keeps its optimiser in no state_dict; `famo` does neither",
    "GradDrop": _ENTRYWISE,
    "NashMTL": "keeps what it remembers in the objects of a solver, which no state_dict can hold",
    "TrimmedMean": _ENTRYWISE,
}
"""TorchJD's methods that cannot be used, and what keeps each from it."""


def methods() -> dict[str, tuple[str, type[nn.Module]]]:
    """Kind and class of each of TorchJD's weightings and scalarizations, refused ones included.

    Constant, Mean, Random and Sum are in both of its packages and the same; here they are of kind "gradients".
    Raises ImportError without TorchJD.
    """
    from torchjd import aggregation, scalarization

    functions = {name: getattr(scalarization, name) for name in scalarization.__all__ if name != "Scalarizer"}
    solvers = {
        name.removesuffix(SUFFIX): getattr(aggregation, name)
        for name in aggregation.__all__
        if name.endswith(SUFFIX) and name != SUFFIX
    }
    found = {name: ("scalarization", cls) for name, cls in functions.items()}
    return found | {
        name: ("parameters" if name in OF_PARAMETERS else "gradients", cls) for name, cls in solvers.items()
    }


def adapter_of(method: str) -> type[Weighting]:
    """The class for a method; for one that does not exist, or without TorchJD, one that says so when it is built."""
    try:
        kind, _ = methods().get(method, ("gradients", None))
    except ImportError:
        kind = "gradients"
    return KINDS[kind]


def build_method(method: str, num_losses: int, params: Mapping[str, Any]) -> nn.Module:
    """TorchJD's module for N losses. A list among `params` is a vector (N,), a `weighting` one of its methods.

    Raises:
        ImportError: without TorchJD, or without what it needs for this method, saying what to install.
        ValueError: for a method that it does not have or that is one of `REFUSED`, and for parameters that the method
            does not take.
    """
    which = f"Weighting '{PREFIX}{method}'"
    if method in REFUSED:
        raise ValueError(f"{which} cannot be used here: it {REFUSED[method]}. Take another one.")
    try:
        known = methods()
    except ImportError as error:
        raise ImportError(f"{which} needs TorchJD: pip install 'dynamic-memory-fusion[gradients]'.") from error
    require_choice("method", method, sorted(known.keys() - REFUSED.keys()))
    _, cls = known[method]
    given = {name: _argument(name, value, num_losses) for name, value in params.items()}
    try:
        if "shape" in inspect.signature(cls).parameters:
            given["shape"] = num_losses
        return cls(**given)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{which} cannot take these parameters: {error}.") from error


def _argument(name: str, value: Any, num_losses: int) -> Any:
    if name == SUFFIX.lower() and isinstance(value, str):
        require_choice(name, value, sorted(known for known, (kind, _) in methods().items() if kind == "gradients"))
        return build_method(value, num_losses, {})
    if not isinstance(value, list):
        return value
    require(len(value) == num_losses, name, value, f"{num_losses} numbers, one for each loss")
    return torch.tensor(value).double()
