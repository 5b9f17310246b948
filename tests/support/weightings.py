"""Every weighting by name, with parameters that let it show what it does within a few steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from dmf.weightings import KINDS, WEIGHTINGS, Weighting, build_weighting
from dmf.weightings.torchjd import PREFIX, REFUSED, methods

# Memory short enough for traces of some steps; `reference` raises it to 30 and 90.
SHORT: dict[str, dict[str, Any]] = {
    **{name: {"history_size": 4, "history_size_max": 8} for name in ("variance", "mad", "bayesian")},
    "dwa": {"period": 3},
    "random": {"seed": 7},
    "relobralo": {"seed": 7, "alpha": 0.9, "rho": 0.5},
}

# Of TorchJD's methods those that cannot be built without any.
TORCHJD: dict[str, dict[str, Any]] = {
    "CAGrad": {"c": 0.5},
    "Constant": {"weights": [0.2, 0.3, 0.5]},
    "COSMOS": {"lambda_": 0.5, "weights": [0.2, 0.3, 0.5]},
    "CRMOGM": {"weighting": "GradVac", "alpha": 0.5},
    "FairGrad": {"alpha": 1.0},
    "Krum": {"n_byzantine": 0},
    "PBI": {"theta": 2.0, "weights": [0.2, 0.3, 0.5], "reference": [0.1, 0.0, -0.1]},
    "PCD": {"tau": 1.0, "beta": 0.5},
    "STCH": {"mu": 0.1},
}


def torchjd_methods(kind: str) -> list[str]:
    """Those that can be used, of "gradients", "parameters" or "scalarization"; skips without TorchJD."""
    pytest.importorskip("torchjd")
    return sorted(name for name, (found, _) in methods().items() if found == kind and name not in REFUSED)


def every_weighting() -> list[str]:
    """All names that `build_weighting` takes."""
    return [*WEIGHTINGS, *(f"{PREFIX}{method}" for kind in KINDS for method in torchjd_methods(kind))]


def build(name: str, num_losses: int | Sequence[str], fidelity: str = "paper", **params: Any) -> Weighting:
    """The weighting with its parameters from above; the test is skipped where a method's solver is not installed."""
    usual = TORCHJD.get(name.removeprefix(PREFIX), {}) if name.startswith(PREFIX) else SHORT.get(name, {})
    try:
        return build_weighting(name, num_losses, fidelity, **{**usual, **params})
    except ImportError as error:
        pytest.skip(str(error))
