"""Weightings that look at gradients with respect to parameters, as TorchJD has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from dmf.checks import require
from dmf.weightings.base import Combination, Shared, mean_across_ranks
from dmf.weightings.gradients import TorchJDWeighting
from dmf.weightings.torchjd import KINDS, OF_TWO_BATCHES

PAIR = (2,)


@KINDS.register("parameters")
class TorchJDParameterWeighting(TorchJDWeighting):
    """TorchJD's ExcessMTL, w = f(J), and MoDo and SDMGrad, w = f(J₁ J₂ᵀ), for loops of several heads.

    Row i of J is the gradient of L_i with respect to the parameters in `shared`, mostly those of the trunk: what these
    methods put together from batch to batch, or from two batches, has a meaning for parameters only. Hence they cannot
    be the weighting of a `DynamicMemoryFusion`, which shares logits.

    MoDo and SDMGrad want two independent batches a step, such as the halves of one: each loss is a pair (2,), and its
    mean is what is weighed in the total.

    ExcessMTL remembers a matrix of the size of J, which is in `state_dict`. Where we differ: a matrix that is not
    finite gives each loss 1/N and is not remembered. Under `torch.distributed` J is averaged over the ranks. All runs
    on the CPU. In evaluation mode the weights are those of the last step.

    Args:
        num_losses: N.
        method: "ExcessMTL", "MoDo" or "SDMGrad".
        scale: See `Weighting`.
        params: Arguments of TorchJD's class; a list stands for a tensor.

    Raises:
        ImportError: without TorchJD, saying what to install.
        ValueError: for a parameter that the method does not take, and at a step for `shared` that holds no parameters.
    """

    of_parameters = True

    def __init__(self, num_losses: int, *, method: str, scale: str = "own", **params: Any) -> None:
        super().__init__(num_losses, method=method, scale=scale, **params)
        self.loss_shape = PAIR if method in OF_TWO_BATCHES else ()

    def _combine(self, losses: Float[Tensor, "N ..."], shared: Shared, each: Iterable[Tensor]) -> Combination:
        return super()._combine(losses.flatten(1).mean(1) if self.loss_shape else losses, shared, each)

    def _solve(self, each: Iterable[Tensor], sources: Sequence[Tensor]) -> Float[Tensor, " N"]:
        leaves = all(source.is_leaf for source in sources)
        require(leaves, "shared", "what was computed", f"parameters, such as those of the trunk, for {self.method}")
        if self.loss_shape:
            halves = zip(*(pair.unbind() for pair in each), strict=True)
            first, second = (mean_across_ranks(self._jacobian(half, sources).double()) for half in halves)
            return self._found(first @ second.T)
        return self._found(mean_across_ranks(self._jacobian(each, sources)))
