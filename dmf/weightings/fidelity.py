"""Three fidelities: the paper's equations, its authors' notebook to the letter, and a repair of where they break."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dmf.checks import require, require_at_least
from dmf.fidelity import PAPER, REFERENCE, STABLE
from dmf.registry import Registry
from dmf.weightings.statistics import History, median_absolute_deviation, normalise, shares

EPSILON = 1e-7


class Context(NamedTuple):
    """What decides whether a loss may have weight.

    Attributes:
        losses: Float (N,), of this step.
        history: Normalised histories, this step included.
        statistic: Float (N,), of each history.
        history_size: Length of the warm-up.
        ready: Bool (), whether it is over.
    """

    losses: Float[Tensor, " N"]
    history: History
    statistic: Float[Tensor, " N"]
    history_size: int
    ready: Bool[Tensor, ""]


RULES: Registry[Paper] = Registry("fidelity")


@RULES.register(PAPER)
class Paper:
    """The equations of the DMF paper, section 4.

    - Normalisation: symmetric logarithm (10), then min-max (9); a history without spread becomes 0.
    - The median of an even number of values is the mean of the two in the middle.
    - MAD^-1 in (6) and (7) is 1 / max(MAD, 1e-7). The paper's 1 / MAD is infinite for a history of which more than
      half is one value; the floor keeps that limit (such a loss takes nearly all the weight) and keeps it finite.
    - The prior p_i of (8) is fixed: the initial weights. With equal ones, (8) is therefore (6).
    - Weights are numbers: no gradient flows through them.
    - Weights are the initial ones until every loss has `history_size` remembered values, and where a sum to divide
      by is 0 (variance weighting when all histories are constant).
    - A NaN or infinite loss is not remembered.
    """

    differentiable = False
    epsilon = 0.0
    inverted_parity = False
    fractional_schedule = False

    def sizes(self, history_size: int, history_size_max: int) -> tuple[int, int]:
        """Warm-up length and capacity of the memory, checked."""
        require_at_least(1, history_size=history_size)
        expected = f"at least `history_size` = {history_size}"
        require(history_size_max >= history_size, "history_size_max", history_size_max, expected)
        return history_size, history_size_max

    def normalise(self, memory: Float[Tensor, "N n"]) -> History:
        """Equations (10), then (9)."""
        return normalise(memory, self.epsilon)

    def mad(self, history: History) -> Float[Tensor, " N"]:
        """Equation (5)."""
        return median_absolute_deviation(history, inverted_parity=self.inverted_parity)

    def inverse(self, mad: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """MAD^-1 of (6) and (7)."""
        return 1 / mad.clamp(min=EPSILON)

    def ready(self, history: History, history_size: int, step: Int[Tensor, ""]) -> Bool[Tensor, ""]:
        """Whether the warm-up is over."""
        return history.number.amin() >= history_size

    def confine(
        self, scores: Float[Tensor, " N"], initial: Float[Tensor, " N"], context: Context
    ) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Scores and initial weights, with 0 for losses that may have no weight at this step."""
        return scores, initial

    def contributions(self, weights: Float[Tensor, " N"], losses: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """What is added up to the total."""
        return weights * losses

    def settle(self, posterior: Float[Tensor, " N"], prior: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """The weights that `bayesian` makes of its posterior (8)."""
        return posterior

    def next_prior(self, weights: Float[Tensor, " N"], initial: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """The prior of (8) at the next step."""
        return initial


@RULES.register(REFERENCE)
class Reference(Paper):
    """The authors' notebook to the letter, for audit and comparison.

    It differs from `Paper` in this:

    - `history_size` is raised to 30 and `history_size_max` to 90 without a word.
    - Min-max divides by max - min + 1e-7; MAD^-1 is 1 / (MAD + 1e-7).
    - The parity test of the median is inverted: for an odd number n of values it is the mean of the sorted ones at
      n // 2 - 1 and n // 2 (counted from 0), for an even number the one at n // 2.
    - Each posterior is the prior of the next step, rounded to float32 as there: one that has become 0 stays 0.
    - Gradient flows through the statistics, by way of the losses of the current step.

    Where the notebook would go on with NaN (0 / 0, a loss that is not finite) it does as `Paper`.
    """

    differentiable = True
    epsilon = EPSILON
    inverted_parity = True

    def sizes(self, history_size: int, history_size_max: int) -> tuple[int, int]:
        return max(history_size, 30), max(history_size_max, 90)

    def inverse(self, mad: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        return 1 / (mad + EPSILON)

    def next_prior(self, weights: Float[Tensor, " N"], initial: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        return weights.float().to(weights.dtype)


@RULES.register(STABLE)
class Stable(Paper):
    """The paper's equations, repaired where they break down.

    - A loss has weight only if it is finite at this step and, once the warm-up is over, has `history_size`
      remembered values, is not constant, (max - min) > 1e-6 max|H| after the symmetric logarithm, and its statistic
      exceeds 1e-6. The others share the sum of 1; where there is none, weights are the initial ones.
    - A loss without weight is left out of the total, finite or not.
    - `bayesian`: the prior forgets towards the initial one, p_i(t) ∝ w_i(t-1)^λ p_i^(1-λ) with λ = 0.5, so that for
      steady MADs w ∝ p MAD^-1/(1-λ) = p MAD^-2 and no weight is lost for good; then the weights get a floor,
      w ← (1 - φ) w + φ p with φ = 0.05, where p is shared among the losses that may have weight.
    - The warm-up counts steps, so that one loss that is never finite does not hold up the others.
    """

    fractional_schedule = True
    tolerance = 1e-6
    forgetting = 0.5
    floor = 0.05

    def ready(self, history: History, history_size: int, step: Int[Tensor, ""]) -> Bool[Tensor, ""]:
        return step >= history_size

    def confine(
        self, scores: Float[Tensor, " N"], initial: Float[Tensor, " N"], context: Context
    ) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        history = context.history
        low, high, number = history.low[:, 0], history.high[:, 0], history.number[:, 0]
        spread = (high - low) / torch.maximum(high.abs(), low.abs())
        varies = (spread > self.tolerance) & (context.statistic > self.tolerance) & (number >= context.history_size)
        finite = context.losses.isfinite()
        usable = finite & (varies | ~context.ready)
        initial = shares(initial.masked_fill(~finite, 0.0), initial)
        return scores.masked_fill(~usable, 0.0), shares(initial.masked_fill(~usable, 0.0), initial)

    def contributions(self, weights: Float[Tensor, " N"], losses: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        return (weights * losses).masked_fill(weights == 0, 0.0)

    def settle(self, posterior: Float[Tensor, " N"], prior: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        return (1 - self.floor) * posterior + self.floor * prior

    def next_prior(self, weights: Float[Tensor, " N"], initial: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        carried = torch.where(weights > 0, weights, initial)
        return shares(carried**self.forgetting * initial ** (1 - self.forgetting), initial)
