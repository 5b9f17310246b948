"""Dynamic Memory Fusion: several base losses, a weighting that remembers them, an auxiliary loss that fades."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dmf.accumulation import Accumulation
from dmf.checks import require
from dmf.losses import MEAN, FusedLosses, Loss, Single, build_loss, loss_class
from dmf.scales import Scale, scales_of
from dmf.schedule import AuxiliarySchedule
from dmf.targets import SOFTMAX
from dmf.weightings import Weighting, build_weighting


class FusionOutput(NamedTuple):
    """One step. Only `total` carries a gradient.

    Attributes:
        total: Float (), what to differentiate.
        losses: Float (N,), the base losses; (B, N) for `reduction="none"`, which makes `total` and `auxiliary` (B,).
        weights: Float (N,), the effective weights ∂total/∂L_i.
        gamma: Float (), γ(t); 0 without an auxiliary loss.
        auxiliary: Float (), L_a itself, not yet times γ; 0 without one.
    """

    total: Float[Tensor, "*B"]
    losses: Float[Tensor, "*B N"]
    weights: Float[Tensor, " N"]
    gamma: Float[Tensor, ""]
    auxiliary: Float[Tensor, "*B"]


class DynamicMemoryFusion(nn.Module):
    """L = Σ_i w_i L_i + γ(t) L_a, equation (1) of the DMF paper; one call is one training step.

    >>> fusion = DynamicMemoryFusion(["cross_entropy", "iou", "dice"], "variance", "cb_dice", num_classes=2)
    >>> out = fusion(torch.zeros(4, 2, 8, 8, requires_grad=True), torch.zeros(4, 8, 8, dtype=torch.long))
    >>> out.total.backward()
    >>> [round(weight, 4) for weight in out.weights.tolist()], out.gamma.item()  # the memory has not spoken yet
    ([0.3333, 0.3333, 0.3333], 5.0)

    All losses come from one shared pass over the logits. The state (memory, schedule, learned weights) lies in
    `state_dict`: a run that is interrupted and restored goes on bit for bit as if it had not been. After `eval()`, and
    without gradients (`torch.no_grad()`), a call answers from memory and schedule and leaves both alone. A loss that
    is NaN or infinite shows in `losses` and, unless fidelity "stable" can leave it out, in `total`; it is never
    remembered.

    One optimiser step is one step of memory and schedule:

    - Deep supervision: give the logits of all scales as a list, that of full resolution first. Each loss is the mean
      over the scales by `scale_weights`.
    - Gradient accumulation: `accumulation_steps` calls make one step. The weights of each call are those of the mean
      losses of the step so far, and `total` has their value; its gradient is that of the call's own batch. Divide it
      by the number of micro-batches yourself, as for any loss.

    Args:
        losses: Base losses: names in `dmf.losses.LOSSES`, modules, or any callable of logits and target that returns
            a scalar, which is evaluated by itself.
        weighting: Name in `dmf.weightings.WEIGHTINGS`, or a module for as many losses.
        auxiliary: The auxiliary loss, a name or a module, or None.
        num_classes: C; default 2; 1 for one logit, with `activation="sigmoid"`.
        ignore_index, activation, class_weights, include_background: For losses that are given by name, as `Loss` has
            them; without a background, losses that are means over pixels still count all of them.
        reduction: "mean", or "none", which gives every sample's losses and total. The weights are those of their means,
            and the mean of the totals is what "mean" would give if each loss were a mean over samples.
        fidelity: "paper", "reference" or "stable", for everything that is given by name.
        weighting_params: Hyperparameters of a weighting given by name, among them `scale`.
        gamma0, tau, tick, total_steps: See `dmf.schedule.AuxiliarySchedule`.
        scale_weights: Of the scales of deep supervision, divided by their sum; default 1, 1/2, 1/4, ...
        accumulation_steps: Calls that make one optimiser step; default 1.

    Attributes:
        loss_names: The `name` of each base loss. A second loss of the same name is called "<name>_2".

    Raises:
        UnknownName: for a name that is not registered, listing those that are.
        ValueError: for a parameter out of its range, naming it.

    Warns:
        UserWarning: once, if it is called again before a backward pass: that was two steps of memory.

    Source: Golnari and Diba, arXiv 2410.19745, equations (1, 2).
    """

    def __init__(
        self,
        losses: Sequence[str | Loss | Callable[[Tensor, Tensor], Tensor]],
        weighting: str | Weighting = "variance",
        auxiliary: str | Loss | Callable[[Tensor, Tensor], Tensor] | None = None,
        num_classes: int = 2,
        *,
        ignore_index: int | None = None,
        activation: str = SOFTMAX,
        class_weights: Sequence[float] | None = None,
        include_background: bool = True,
        reduction: str = MEAN,
        fidelity: str = "paper",
        weighting_params: Mapping[str, Any] | None = None,
        gamma0: float = 5.0,
        tau: float = 0.05,
        tick: int = 100,
        total_steps: int | None = None,
        scale_weights: Sequence[float] | None = None,
        accumulation_steps: int = 1,
    ) -> None:
        super().__init__()
        several = not isinstance(losses, str) and len(losses) > 0
        require(several, "losses", losses, "a sequence of at least one loss")

        common = {"activation": activation, "reduction": reduction, "class_weights": class_weights}
        asked: dict[str, Any] = {name: value for name, value in common.items() if value not in (SOFTMAX, MEAN, None)}

        def resolve(loss: str | Loss | Callable[[Tensor, Tensor], Tensor]) -> Loss | Single:
            if not isinstance(loss, str):
                return loss if isinstance(loss, Loss) else Single(loss)
            over_pixels = activation == SOFTMAX and loss_class(loss, fidelity).over_pixels
            own = {} if include_background or over_pixels else {"include_background": False}
            return build_loss(loss, num_classes, fidelity, ignore_index=ignore_index, **asked, **own)

        base = [resolve(loss) for loss in losses]
        self.loss_names = _distinct([loss.name for loss in base])
        self.weighting = _resolve_weighting(weighting, len(base), fidelity, weighting_params or {})
        self.schedule: AuxiliarySchedule | None = None
        if auxiliary is not None:
            base.append(resolve(auxiliary))
            self.schedule = AuxiliarySchedule(gamma0, tau, tick=tick, total_steps=total_steps, fidelity=fidelity)
        self.losses = FusedLosses(base, reduction)
        self.scale_weights = None if scale_weights is None else tuple(scale_weights)
        self.accumulation: Accumulation | None = None
        if accumulation_steps != 1:
            self.accumulation = Accumulation(len(self.loss_names), accumulation_steps)
        self._awaits_backward = self._warned = False

    def set_epoch(self, epoch: int) -> None:
        """Tell the losses which epoch begins, counted from 0; needed by those that change with it (`paced_focal`)."""
        for loss in self.losses.losses:
            if isinstance(loss, Loss):
                loss.set_epoch(epoch)

    def forward(
        self,
        logits: Float[Tensor, "B C *spatial"] | Sequence[Float[Tensor, "B C *scale"]],
        target: Tensor | Sequence[Tensor],
    ) -> FusionOutput:
        """The losses of this batch, weighted by what is remembered of them, this batch included.

        Args:
            logits: Of the batch; of deep supervision a list, see above.
            target: Labels in a form that `Loss` takes; for a list of logits one for each, or those of the first.
        """
        scales = scales_of(logits, target, self.scale_weights)
        values = self._values(scales)
        base = values[..., : len(self.loss_names)]
        mean = base if base.ndim == 1 else base.mean(0)
        training = self.training and torch.is_grad_enabled()
        seen, last = (mean, True) if self.accumulation is None or not training else self.accumulation(mean)
        step = self.weighting.combine if training and last else self.weighting.look
        total, weights = step(seen, [one for _, one, _ in scales] if len(scales) > 1 else scales[0][1])
        gamma = auxiliary = torch.zeros_like(total)
        if base.ndim > 1:  # to first order this is the total of each sample
            total = total + ((base - mean) * weights.to(base.dtype)).sum(-1)  # a product `@` is autocast
        if self.schedule is not None:
            auxiliary = values[..., -1]
            gamma = self.schedule(advance=training and last).to(total.dtype)
            total = total + gamma * auxiliary
        if training and total.requires_grad and not torch.compiler.is_compiling():
            self._expect_backward(total)
        return FusionOutput(total, base.detach(), weights.detach(), gamma.detach(), auxiliary.detach())

    def _values(self, scales: Sequence[Scale]) -> Float[Tensor, "*B N"]:
        """Every loss, the mean over the scales."""
        if len(scales) == 1:
            return self.losses(*scales[0][1:])
        return torch.stack([weight * self.losses(*pair) for weight, *pair in scales]).sum(0)

    def _expect_backward(self, total: Tensor) -> None:
        """Take note of the backward pass; say so once if there has been none since the last call."""
        if self._awaits_backward and not self._warned:
            self._warned = True
            warnings.warn(
                "DynamicMemoryFusion was called twice before a backward pass, which is two steps of memory. Give "
                "the scales of deep supervision as one list of logits, micro-batches with `accumulation_steps`, and "
                "call `eval()` before validation.",
                stacklevel=4,
            )
        self._awaits_backward = True
        total.register_hook(self._backward_begins)  # type: ignore[no-untyped-call]

    def _backward_begins(self, gradient: Tensor) -> None:
        self._awaits_backward = False


def _resolve_weighting(
    weighting: str | Weighting, num_losses: int, fidelity: str, params: Mapping[str, Any]
) -> Weighting:
    named = weighting if isinstance(weighting, str) else type(weighting).__name__
    if isinstance(weighting, str):
        weighting, params = build_weighting(weighting, num_losses, fidelity, **params), {}
    if weighting.of_parameters:
        raise ValueError(
            f"Weighting {named!r} cannot be used here: it looks at gradients with respect to parameters, and losses of "
            "one head share logits. In a loop of your own its `combine` takes the parameters."
        )
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
