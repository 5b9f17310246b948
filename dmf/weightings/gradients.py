"""Weightings that look at gradients, as TorchJD has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dmf.checks import invalid
from dmf.weightings.base import Combination, Shared, Weighting, mean_across_ranks
from dmf.weightings.torchjd import KINDS, build_method

_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


@KINDS.register("gradients")
class TorchJDWeighting(Weighting):
    """Any of TorchJD's weightings of a Gramian: UPGrad, MGDA, PCGrad, CAGrad, FairGrad, AlignedMTL, GradVac, PCD, ...

    w = f(J Jᵀ), where row i of J is the gradient of L_i with respect to the tensor that all losses were computed from,
    here the logits: one small backward pass a loss, none through the network. With respect to the parameters the
    Gramian would be another one; that of the shared features is the usual economy (MGDA-UB, Sener and Koltun 2018).
    The total is Σ_i w_i L_i with detached weights. They have no sum in common and may have no fixed one.

    Where we differ: the Gramian is divided by its mean diagonal first, since TorchJD takes entries below 1e-4 for zero.
    Those of mean losses over the logits are: UPGrad would give equal weights for ever, and CAGrad none. One that is
    zero or not finite gives each loss 1/N. Under `torch.distributed` the Gramian is averaged over the ranks. The
    solvers run on the CPU, so a step waits for the device, and it is not for CUDA graphs. What draws at random (PCGrad)
    draws from torch's generator. TorchJD has no GradNorm, and those of `REFUSED` cannot be used. What a method
    remembers from step to step (GradVac, PCD, CRMOGM) is in `state_dict`, which TorchJD's own is not able to load. In
    evaluation mode the weights are those of the last step.

    Args:
        num_losses: N.
        method: TorchJD's name without "Weighting": "UPGrad", "MGDA", ...
        scale: See `Weighting`.
        params: Arguments of TorchJD's class; a list stands for a tensor, and CRMOGM's `weighting` is given by name.

    Raises:
        ImportError: without TorchJD, or without what TorchJD needs for this method, saying what to install.
        ValueError: for a method that TorchJD does not have or that is one of `REFUSED`, or a parameter that it does not
            take.
    """

    latest: Float[Tensor, " N"]

    def __init__(self, num_losses: int, *, method: str, scale: str = "own", **params: Any) -> None:
        super().__init__(num_losses, scale=scale)
        self.method = method
        self.solver = build_method(method, num_losses, params)
        self.register_buffer("latest", torch.full((num_losses,), 1 / num_losses, dtype=torch.float64))
        for module in self.solver.modules():
            for name, value in list(vars(module)["_buffers"].items()):
                module.register_buffer(name, value, persistent=False)
        self._built = {name: _attributes(module) for name, module in self.solver.named_modules()}

    @property
    def sums_to(self) -> None:
        return None

    def weigh(self, observed: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        raise ValueError(f"{self.method} weighs gradients: call `combine(losses, shared)`, not the module itself.")

    def _combine(self, losses: Float[Tensor, " N"], shared: Shared, each: Iterable[Tensor]) -> Combination:
        if self._looking:
            weights = self.latest.to(losses.dtype)
            return Combination((weights * losses).sum(), weights)
        sources = [shared] if isinstance(shared, Tensor) else list(shared or ())
        if not sources or not all(source.requires_grad for source in sources):
            expected = "the tensor that requires a gradient and that all losses were computed from, such as the logits"
            given = None if shared is None else "a tensor without gradient"
            raise invalid("shared", given, expected, of=self.method)
        weights = self._solve(each, sources).to(losses)
        self.latest.copy_(weights)
        return Combination((weights * losses).sum(), weights)

    def _solve(self, each: Iterable[Tensor], sources: Sequence[Tensor]) -> Float[Tensor, " N"]:
        jacobian = self._jacobian(each, sources).double()
        gramian = mean_across_ranks(jacobian @ jacobian.T)
        return self._found(gramian / gramian.diagonal().mean())

    def _found(self, matrix: Float[Tensor, "N m"]) -> Float[Tensor, " N"]:
        """TorchJD's weights of a matrix, or equal ones where it is not finite."""
        usable = bool(matrix.isfinite().all())
        return self.solver.cpu()(matrix.cpu()).detach() if usable else torch.full_like(matrix[:, 0], 1 / len(matrix))

    def _jacobian(self, each: Iterable[Tensor], sources: Sequence[Tensor]) -> Float[Tensor, "N n"]:
        return torch.stack([self._row(loss, sources) for loss in each])

    def _row(self, loss: Float[Tensor, ""], sources: Sequence[Tensor]) -> Float[Tensor, " n"]:
        """Its gradient with respect to all sources; 0 for those that it was not computed from."""
        gradients: Sequence[Tensor | None] = [None]
        if loss.requires_grad:
            gradients = torch.autograd.grad(loss, sources, retain_graph=True, allow_unused=True)
        if all(gradient is None for gradient in gradients):
            raise invalid("shared", "a loss without it", "what all losses were computed from", of=self.method)
        pairs = zip(gradients, sources, strict=True)
        return torch.cat([(torch.zeros_like(at) if one is None else one).flatten() for one, at in pairs])

    def get_extra_state(self) -> dict[str, dict[str, Any]]:
        """What the solver's modules hold and did not when they were built."""
        return {
            name: {
                key: value for key, value in _attributes(module).items() if value is not self._built[name].get(key, ...)
            }
            for name, module in self.solver.named_modules()
        }

    def set_extra_state(self, state: dict[str, dict[str, Any]]) -> None:
        """Go on from `get_extra_state` of the same method; what it does not name is as it was when it was built."""
        for name, module in self.solver.named_modules():
            for key, value in {**self._built[name], **state.get(name, {})}.items():
                setattr(module, key, value.clone() if isinstance(value, Tensor) else value)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, method={self.method!r}"


def _attributes(module: nn.Module) -> dict[str, Any]:
    """What a module holds beside what every module has: settings, memory, buffers."""
    held = {name: value for name, value in vars(module).items() if name not in _OF_EVERY_MODULE}
    return held | vars(module)["_buffers"]
