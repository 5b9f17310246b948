"""What a person would want to be told while a run trains, found in its recorded history."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from dmf.checks import require_at_least
from dmf.training.recorder import StepColumns

logger = logging.getLogger(__name__)

COLLAPSED = 0.99
UNIFORM = 0.01
MOVED = 0.05
DOMINANT = 0.5
CONSTANT = 1e-6

RANDOM_START = "random_start"
"""The kind of finding that a trial begins with where pretrained weights were asked for and could not be had."""

History = Mapping[str, Float[np.ndarray, " n"]]


@dataclass(frozen=True)
class Finding:
    """One thing that went, or may go, wrong.

    Attributes:
        kind: `RANDOM_START`, "non_finite_loss", "weight_collapse", "drift_to_uniform", "auxiliary_dominance" or
            "constant_loss".
        step: The first step at which it could be said, counted from 0 over the whole run.
        message: One sentence for a person.
        subject: The loss or column it is about; empty if it is about all of them.
    """

    kind: str
    step: int
    message: str
    subject: str = ""

    @property
    def tag(self) -> tuple[str, str]:
        """Key and value for a tracking system, such as ("diagnostics.weight_collapse.dice", "412")."""
        return ".".join(part for part in ("diagnostics", self.kind, self.subject) if part), str(self.step)


class Diagnostics:
    """Watches a run an epoch at a time; each finding is logged and returned once.

    A condition other than a non-finite loss has to hold for `patience` steps on end, across epochs too.

    - `non_finite_loss`: a loss, the auxiliary loss or the total is NaN or infinite.
    - `weight_collapse`: one loss has 99 % or more of the weights' absolute sum, among two or more losses.
    - `drift_to_uniform`: all shares are within 0.01 of 1/N after one of them had been 0.05 or more away from it.
    - `auxiliary_dominance`: |γ L_a| is more than half of |γ L_a| + Σ |w_i L_i|.
    - `constant_loss`: a loss stays within 1e-6 of its own size. "stable" gives it no weight, `mad` nearly all.

    Args:
        loss_names: Names of the base losses, as in `StepColumns`.
        patience: Steps, default 50: what the memory needs before it speaks.
    """

    def __init__(self, loss_names: Sequence[str], *, patience: int = 50) -> None:
        require_at_least(1, "step", patience=patience)
        self.loss_names = tuple(loss_names)
        self.patience = patience
        self._steps = 0
        self._runs: dict[tuple[str, str], int] = {}
        self._told: set[tuple[str, str]] = set()
        self._moved = False
        self._previous = np.full(len(self.loss_names), np.nan)

    def observe(self, history: History) -> list[Finding]:
        """New findings in the next stretch of the run.

        Args:
            history: All of `StepColumns.of(loss_names)`, each of length n.
        """
        with np.errstate(all="ignore"):
            findings = sorted(self._find(history), key=lambda finding: finding.step)
        self._steps += len(history[StepColumns.total])
        for finding in findings:
            logger.warning("Step %d: %s", finding.step, finding.message)
        return findings

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far, as plain values."""
        return {
            "steps": self._steps,
            "runs": [[*key, run] for key, run in self._runs.items()],
            "told": [list(key) for key in sorted(self._told)],
            "moved": self._moved,
            "previous": self._previous.tolist(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict` of diagnostics of the same losses."""
        self._steps = state["steps"]
        self._runs = {(kind, subject): run for kind, subject, run in state["runs"]}
        self._told = {(kind, subject) for kind, subject in state["told"]}
        self._moved = state["moved"]
        self._previous = np.array(state["previous"])

    def _find(self, history: History) -> Iterator[Finding]:
        losses = self._together(history, StepColumns.loss)
        weights = self._together(history, StepColumns.weight)
        yield from self._non_finite(history)
        if len(self.loss_names) > 1:
            yield from self._shares(np.abs(weights) / np.abs(weights).sum(1, keepdims=True))
        yield from self._auxiliary(history, losses, weights)
        yield from self._constant(losses)

    def _non_finite(self, history: History) -> Iterator[Finding]:
        columns = [(name, StepColumns.loss(name)) for name in self.loss_names]
        for name, column in (*columns, *((name, name) for name in (StepColumns.auxiliary, StepColumns.total))):
            values = history[column]
            for at in self._once("non_finite_loss", name, ~np.isfinite(values), patience=1):
                yield self._finding("non_finite_loss", at, f"`{name}` is {values[at]}.", name)

    def _shares(self, shares: Float[np.ndarray, "n N"]) -> Iterator[Finding]:
        for column, name in enumerate(self.loss_names):
            for at in self._once("weight_collapse", name, shares[:, column] >= COLLAPSED):
                message = f"`{name}` has had {COLLAPSED:.0%} of the weight or more for {self.patience} steps."
                yield self._finding("weight_collapse", at, message, name)
        away = np.abs(shares - 1 / len(self.loss_names)).max(1)
        moved = np.logical_or.accumulate(np.append(self._moved, away >= MOVED))
        self._moved = bool(moved[-1])
        for at in self._once("drift_to_uniform", "", moved[1:] & (away <= UNIFORM)):
            message = f"The weights have gone back to 1/{len(self.loss_names)} each for {self.patience} steps."
            yield self._finding("drift_to_uniform", at, message)

    def _auxiliary(
        self, history: History, losses: Float[np.ndarray, "n N"], weights: Float[np.ndarray, "n N"]
    ) -> Iterator[Finding]:
        auxiliary = np.abs(history[StepColumns.gamma] * history[StepColumns.auxiliary])
        share = auxiliary / (auxiliary + np.abs(weights * losses).sum(1))
        for at in self._once("auxiliary_dominance", "", share > DOMINANT):
            message = (
                f"The auxiliary loss has been more than half of the total for {self.patience} steps "
                f"({share[at]:.0%} now, with gamma {history[StepColumns.gamma][at]:.3g})."
            )
            yield self._finding("auxiliary_dominance", at, message)

    def _constant(self, losses: Float[np.ndarray, "n N"]) -> Iterator[Finding]:
        for column, name in enumerate(self.loss_names):
            values = np.append(self._previous[column], losses[:, column])
            still = np.abs(np.diff(values)) <= CONSTANT * np.abs(values[1:])
            for at in self._once("constant_loss", name, still):
                message = f"`{name}` has not changed for {self.patience} steps, so it carries no signal."
                yield self._finding("constant_loss", at, message, name)
        self._previous = np.concatenate([self._previous[None], losses])[-1]

    def _once(
        self, kind: str, subject: str, holds: Bool[np.ndarray, " n"], *, patience: int | None = None
    ) -> Iterator[int]:
        """The row that ends `patience` steps on end of `holds`: at most one, and none if it was told before."""
        key = (kind, subject)
        run = self._runs.get(key, 0)
        for at, held in enumerate(holds):
            run = run + 1 if held else 0
            if run >= (patience or self.patience) and key not in self._told:
                self._told.add(key)
                yield at
        self._runs[key] = run

    def _finding(self, kind: str, at: int, message: str, subject: str = "") -> Finding:
        return Finding(kind, self._steps + at, message, subject)

    def _together(self, history: History, column: Callable[[str], str]) -> Float[np.ndarray, "n N"]:
        return np.stack([history[column(name)] for name in self.loss_names], axis=1)
