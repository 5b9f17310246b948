"""Trials that must come out alike whatever the data: one of them is trained, and the rows of both show it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dmf.training.spec import TrialSpec


@dataclass(frozen=True)
class Equality:
    """Why some trials must come out as others: `twin` gives the other one of a trial, None if the rule is not about it.

    `reason` is what the report says.
    """

    twin: Callable[[TrialSpec], TrialSpec | None]
    reason: str


def _mad_of_bayesian(spec: TrialSpec) -> TrialSpec | None:
    prior = spec.weighting_params.get("initial") or [1]
    if (spec.weighting, spec.fidelity) != ("bayesian", "paper") or len(set(prior)) > 1:
        return None
    return dataclasses.replace(spec, weighting="mad")


EQUALITIES = (
    Equality(
        _mad_of_bayesian,
        "Under the paper's equations (6) to (8), Bayesian weights with equal priors are those of MAD: such trials are "
        "trained once and shown in both rows.",
    ),
)


def twin_among(spec: TrialSpec, others: Sequence[TrialSpec | None]) -> tuple[int, str] | None:
    """Which of the others a trial must equal, and why; None if it is one of its kind."""
    for equality in EQUALITIES:
        twin = equality.twin(spec)
        if twin is not None and twin in others:
            return others.index(twin), equality.reason
    return None
