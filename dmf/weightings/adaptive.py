"""The three weightings of the DMF paper, from the memory of the losses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dmf.weightings.base import WEIGHTINGS, Combination, Shared, Weighting, as_weights, differentiating
from dmf.weightings.fidelity import RULES, Context
from dmf.weightings.memory import RingBuffer
from dmf.weightings.statistics import History, shares, variance


class MemoryWeighting(Weighting):
    """Weights that sum to 1, from a statistic of the normalised history of each loss.

    The value of a step is remembered before its weights are computed, and they count in this same step.

    Args:
        num_losses: N.
        history_size: Values of each loss from which on weights follow them; the initial ones until then. Default 50.
        history_size_max: Values of each loss that are remembered, the window of the statistic; default 150.
        initial: Initial weights, the prior of `bayesian` too; divided by their sum; default 1/N each.
        fidelity: "paper", "reference" or "stable": see `dmf.weightings.fidelity`.
        scale: See `Weighting`.

    Source: Golnari and Diba, "Adaptive Real-Time Multi-Loss Function Optimization Using Dynamic Memory Fusion
    Framework", arXiv 2410.19745, section 4. The paper names no window; 50 and 150 are its notebook's.
    """

    initial: Float[Tensor, " N"]

    def __init__(
        self,
        num_losses: int,
        *,
        history_size: int = 50,
        history_size_max: int = 150,
        initial: Sequence[float] | None = None,
        fidelity: str = "paper",
        scale: str = "own",
    ) -> None:
        super().__init__(num_losses, scale=scale)
        self.fidelity = fidelity
        self.rules = RULES[fidelity]()
        self.history_size, capacity = self.rules.sizes(history_size, history_size_max)
        weights = as_weights(initial, num_losses, "initial")
        self.register_buffer("initial", weights / weights.sum())
        self.memory = RingBuffer(num_losses, capacity)
        self.prepare()

    def prepare(self) -> None:
        """Register further buffers of the method."""

    @property
    def sums_to(self) -> float:
        return 1.0

    @abstractmethod
    def statistic(self, history: History) -> Float[Tensor, " N"]:
        """What is computed of each history."""

    @abstractmethod
    def scores(self, statistic: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """What the weights are proportional to."""

    def weigh(self, observed: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        rules = self.rules
        history = rules.normalise(self.memory.append(observed if rules.differentiable else observed.detach()))
        ready = rules.ready(history, self.history_size, self.memory.step)
        statistic = self.statistic(history)
        scores = torch.where(ready, self.scores(statistic), self.initial)
        context = Context(observed, history, statistic, self.history_size, ready)
        scores, initial = rules.confine(scores, self.initial, context)
        return self.settle(shares(scores, initial), initial, ready)

    def settle(
        self, weights: Float[Tensor, " N"], initial: Float[Tensor, " N"], ready: Bool[Tensor, ""]
    ) -> Float[Tensor, " N"]:
        """The last word on the weights; `initial` are the initial ones of the losses that may have weight."""
        return weights

    def _combine(self, losses: Float[Tensor, " N"], shared: Shared, each: Iterable[Tensor]) -> Combination:
        if not self.rules.differentiable:
            weights = self(losses)
            return Combination(self.rules.contributions(weights, losses).sum(), weights)
        return self._combine_through_statistics(losses)

    def _combine_through_statistics(self, losses: Float[Tensor, " N"]) -> Combination:
        """The weights depend on the losses: the total carries ∂total/∂L_i = w_i + Σ_j L_j ∂w_j/∂L_i."""
        with differentiating():
            leaf = losses.detach().clone().requires_grad_()
            total = (self(leaf) * leaf).sum()
            (effective,) = torch.autograd.grad(total, leaf)
        return Combination(total.detach() + (effective * (losses - losses.detach())).sum(), effective)


@WEIGHTINGS.register("variance")
class Variance(MemoryWeighting):
    """w_i = Var(H_i) / Σ_j Var(H_j), population variance: equations (3, 4). The livelier loss gets the more weight.

    >>> weighting = Variance(2, history_size=2)
    >>> weights = [weighting(losses) for losses in torch.tensor([[1.0, 4.0], [2.0, 4.0]])][-1]
    >>> [round(weight, 4) for weight in weights.tolist()]  # only the first varies
    [1.0, 0.0]
    """

    def statistic(self, history: History) -> Float[Tensor, " N"]:
        return variance(history)

    def scores(self, statistic: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        return statistic


@WEIGHTINGS.register("mad")
class MAD(MemoryWeighting):
    """w_i = MAD(H_i)^-1 / Σ_j MAD(H_j)^-1, MAD = median |H - median H|: equations (5, 6). The steadier gets more.

    >>> weighting = MAD(2, history_size=2)
    >>> weights = [weighting(losses) for losses in torch.tensor([[1.0, 4.0], [2.0, 4.0]])][-1]
    >>> [round(weight, 4) for weight in weights.tolist()]  # the second is steady
    [0.0, 1.0]
    """

    def statistic(self, history: History) -> Float[Tensor, " N"]:
        return self.rules.mad(history)

    def scores(self, statistic: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        return self.rules.inverse(statistic)


@WEIGHTINGS.register("bayesian")
class Bayesian(MAD):
    """w_i = p_i / MAD(H_i), divided by its sum: equations (7, 8), with prior p = `initial`.

    The paper calls p_i the prior probability of the i-th loss and gives no rule that changes it. So in fidelity
    "paper" it is fixed, and an equal prior, the default, makes these the weights of `mad`. Its notebook feeds each
    posterior back as the next prior ("reference"), which over overlapping windows drives one weight to 1; "stable"
    feeds it back with a forgetting factor and a floor.

    >>> weighting = Bayesian(2, history_size=2, initial=[0.75, 0.25])
    >>> weights = [weighting(losses) for losses in torch.tensor([[1.0, 4.0], [2.0, 8.0]])][-1]
    >>> [round(weight, 4) for weight in weights.tolist()]  # both vary alike: the prior decides
    [0.75, 0.25]
    """

    prior: Float[Tensor, " N"]

    def prepare(self) -> None:
        self.register_buffer("prior", self.initial.clone())

    def scores(self, statistic: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        return self.rules.inverse(statistic) * self.prior.clone()  # the buffer changes before the gradient is taken

    def settle(
        self, weights: Float[Tensor, " N"], initial: Float[Tensor, " N"], ready: Bool[Tensor, ""]
    ) -> Float[Tensor, " N"]:
        weights = self.rules.settle(weights, initial)
        prior = self.rules.next_prior(weights.detach(), self.initial)
        self.prior.copy_(torch.where(ready, prior, self.prior))
        return weights
