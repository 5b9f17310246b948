"""Dynamic Memory Fusion: several base losses, a weighting that remembers them, an auxiliary loss that fades."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dmf.checks import require
from dmf.losses import FusedLosses, Loss, build_loss
from dmf.schedule import AuxiliarySchedule
from dmf.weightings import Weighting, build_weighting


class FusionOutput(NamedTuple):
    """One step. Only `total` carries a gradient.

    Attributes:
        total: Float (), what to differentiate.
        losses: Float (N,), the base losses.
        weights: Float (N,), the effective weights ∂total/∂L_i.
        gamma: Float (), γ(t); 0 without an auxiliary loss.
        auxiliary: Float (), L_a itself, not yet times γ; 0 without one.
    """

    total: Float[Tensor, ""]
    losses: Float[Tensor, " N"]
    weights: Float[Tensor, " N"]
    gamma: Float[Tensor, ""]
    auxiliary: Float[Tensor, ""]


class DynamicMemoryFusion(nn.Module):
    """L = Σ_i w_i L_i + γ(t) L_a, equation (1) of the DMF paper; one call is one training step.

    >>> fusion = DynamicMemoryFusion(["cross_entropy", "iou", "dice"], "variance", "cb_dice", num_classes=2)
    >>> out = fusion(torch.zeros(4, 2, 8, 8, requires_grad=True), torch.zeros(4, 8, 8, dtype=torch.long))
    >>> out.total.backward()
    >>> [round(weight, 4) for weight in out.weights.tolist()], out.gamma.item()  # the memory has not spoken yet
    ([0.3333, 0.3333, 0.3333], 5.0)

    All losses come from one shared pass over the logits. The state (memory, schedule, learned weights) lies in
    `state_dict`: a run that is interrupted and restored goes on bit for bit as if it had not been. Every call is
    remembered, in evaluation mode too, so call it in training steps only. A loss that is NaN or infinite shows in
    `losses` and, unless fidelity "stable" can leave it out, in `total`; it is never remembered.

    Args:
        losses: Base losses: names in `dmf.losses.LOSSES`, or modules.
        weighting: Name in `dmf.weightings.WEIGHTINGS`, or a module for as many losses.
        auxiliary: The auxiliary loss, a name or a module, or None.
        num_classes: C; default 2.
        ignore_index: Label of pixels that count nowhere, for losses that are given by name; None if there is none.
        fidelity: "paper", "reference" or "stable", for everything that is given by name.
        weighting_params: Hyperparameters of a weighting given by name, among them `scale`.
        gamma0, tau, tick, total_steps: See `dmf.schedule.AuxiliarySchedule`.

    Attributes:
        loss_names: The `name` of each base loss. A second loss of the same name is called "<name>_2".

    Raises:
        UnknownName: for a name that is not registered, listing those that are.
        ValueError: for a parameter out of its range, naming it.

    Source: Golnari and Diba, arXiv 2410.19745, equations (1, 2).
    """

    def __init__(
        self,
        losses: Sequence[str | Loss],
        weighting: str | Weighting = "variance",
        auxiliary: str | Loss | None = None,
        num_classes: int = 2,
        *,
        ignore_index: int | None = None,
        fidelity: str = "paper",
        weighting_params: Mapping[str, Any] | None = None,
        gamma0: float = 5.0,
        tau: float = 0.05,
        tick: int = 100,
        total_steps: int | None = None,
    ) -> None:
        super().__init__()
        several = not isinstance(losses, str) and len(losses) > 0
        require(several, "losses", losses, "a sequence of at least one loss")

        def resolve(loss: str | Loss) -> Loss:
            if not isinstance(loss, str):
                return loss
            return build_loss(loss, num_classes, fidelity=fidelity, ignore_index=ignore_index)

        base = [resolve(loss) for loss in losses]
        self.loss_names = _distinct([loss.name for loss in base])
        self.weighting = _resolve_weighting(weighting, len(base), fidelity, weighting_params or {})
        self.schedule: AuxiliarySchedule | None = None
        if auxiliary is not None:
            base.append(resolve(auxiliary))
            self.schedule = AuxiliarySchedule(gamma0, tau, tick=tick, total_steps=total_steps, fidelity=fidelity)
        self.losses = FusedLosses(base)

    def set_epoch(self, epoch: int) -> None:
        """Tell the losses which epoch begins, counted from 0; needed by those that change with it (`paced_focal`)."""
        for loss in self.losses.losses:
            loss.set_epoch(epoch)  # type: ignore[operator]

    def forward(self, logits: Float[Tensor, "B C *spatial"], target: Int[Tensor, " B *spatial"]) -> FusionOutput:
        """The losses of this batch, weighted by what is remembered of them, this batch included."""
        values = self.losses(logits, target)
        base = values[: len(self.loss_names)]
        total, weights = self.weighting.combine(base, logits)
        gamma = auxiliary = torch.zeros_like(total)
        if self.schedule is not None:
            auxiliary = values[-1]
            gamma = self.schedule().to(total.dtype)
            total = total + gamma * auxiliary
        return FusionOutput(total, base.detach(), weights.detach(), gamma.detach(), auxiliary.detach())


def _resolve_weighting(
    weighting: str | Weighting, num_losses: int, fidelity: str, params: Mapping[str, Any]
) -> Weighting:
    if isinstance(weighting, str):
        return build_weighting(weighting, num_losses, fidelity, **params)
    if params:
        raise ValueError("Parameter `weighting_params` needs `weighting` given by name. Found a module and parameters.")
    found = weighting.num_losses
    require(found == num_losses, "weighting", found, f"for as many losses as `losses` holds, {num_losses}")
    return weighting


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names with a number behind the second and later of a kind."""
    seen: Counter[str] = Counter()
    answer = []
    for name in names:
        seen[name] += 1
        answer.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(answer)
