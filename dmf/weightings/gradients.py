"""Weightings that look at gradients, as TorchJD has them."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dmf.checks import invalid, require_choice
from dmf.weightings.base import Combination, Shared, Weighting, mean_across_ranks

SUFFIX = "Weighting"

REFUSED = {
    "ExcessMTL": "sums up squared gradients of the network's parameters, and sees those of each batch's logits here",
    "MoDo": "needs the gradients of two independent batches at each step",
    "SDMGrad": "needs the gradients of two independent batches at each step",
}
"""TorchJD's methods that weigh no Gramian of one batch, and what keeps each from being used."""

_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


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
    draws from torch's generator. Nash-MTL weighs no Gramian and TorchJD has no GradNorm, so neither is here; those of
    `REFUSED` need what a step does not have. What a method remembers from step to step (GradVac, PCD, CRMOGM) is in
    `state_dict`, which TorchJD's own is not able to load. In evaluation mode the weights are those of the last step.

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
        self.solver = _solver(method, params)
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

    def look(self, losses: Float[Tensor, " N"], shared: Shared = None) -> Combination:
        """The losses by the weights of the last step (1/N before the first), since evaluation has no gradients."""
        weights = self.latest.to(losses.dtype)
        return self._scaled(Combination((weights * losses).sum(), weights))

    def _combine(self, losses: Float[Tensor, " N"], shared: Shared) -> Combination:
        sources = [shared] if isinstance(shared, Tensor) else list(shared or ())
        if not sources or not all(source.requires_grad for source in sources):
            expected = "the tensor that requires a gradient and that all losses were computed from, such as the logits"
            given = None if shared is None else "a tensor without gradient"
            raise invalid("shared", given, expected, of=self.method)
        gradients = [torch.autograd.grad(loss, sources, retain_graph=True) for loss in losses]
        rows = [torch.cat([gradient.flatten() for gradient in of_loss]) for of_loss in gradients]
        jacobian = torch.stack(rows).double()
        gramian = mean_across_ranks(jacobian @ jacobian.T)
        gramian = gramian / gramian.diagonal().mean()
        usable = bool(gramian.isfinite().all())
        found = self.solver.cpu()(gramian.cpu()) if usable else torch.full_like(gramian[0], 1 / self.num_losses)
        weights = found.detach().to(losses)
        self.latest.copy_(weights)
        return Combination((weights * losses).sum(), weights)

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


def _solver(method: str, params: dict[str, Any]) -> nn.Module:
    """TorchJD's weighting of that name."""
    try:
        from torchjd import aggregation
    except ImportError as error:
        raise ImportError(
            f"Weighting 'torchjd:{method}' needs TorchJD: pip install 'dynamic-memory-fusion[gradients]'."
        ) from error
    if method in REFUSED:
        raise ValueError(f"Weighting 'torchjd:{method}' cannot be used here: it {REFUSED[method]}. Take another one.")
    named = {name.removesuffix(SUFFIX) for name in aggregation.__all__ if name.endswith(SUFFIX) and name != SUFFIX}
    require_choice("method", method, sorted(named - REFUSED.keys()))
    given = {name: torch.tensor(value).double() if isinstance(value, list) else value for name, value in params.items()}
    if method == "CRMOGM" and isinstance(params.get("weighting"), str):
        given["weighting"] = _solver(params["weighting"], {})
    try:
        return getattr(aggregation, method + SUFFIX)(**given)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"Weighting 'torchjd:{method}' cannot take these parameters: {error}.") from error


def _attributes(module: nn.Module) -> dict[str, Any]:
    """What a module holds beside what every module has: settings, memory, buffers."""
    held = {name: value for name, value in vars(module).items() if name not in _OF_EVERY_MODULE}
    return held | vars(module)["_buffers"]
