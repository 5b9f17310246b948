"""How much the auxiliary loss counts as training goes on."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dmf.checks import invalid, require_at_least
from dmf.weightings.fidelity import RULES

HORIZON = 100


class AuxiliarySchedule(nn.Module):
    """γ(t) = γ0 exp(-τ t), equation (2) of the DMF paper.

    - "paper", "reference": t = floor(step / tick), step counted from 0. The paper does not say what a step of t is;
      its notebook advances t once every 100 batches, so γ hardly falls in a short training.
    - "stable": t = 100 step / total_steps, a fraction of training: whatever the number of batches, γ falls smoothly
      from γ0 to γ0 exp(-100 τ), which is 0.7 % of γ0 for the default τ.

    Args:
        gamma0: γ0 >= 0, default 5.
        tau: τ >= 0 per unit of t, default 0.05.
        tick: Batches per unit of t, default 100; not used by "stable".
        total_steps: Batches in the whole training; needed by "stable", not used by the others.
        fidelity: "paper", "reference" or "stable".

    Raises:
        ValueError: for a parameter out of its range, or "stable" without `total_steps`.
        UnknownName: for another fidelity.

    >>> schedule = AuxiliarySchedule(gamma0=5.0, tau=0.05, tick=1)
    >>> [round(schedule().item(), 4) for _ in range(3)]  # 5, 5 exp −0.05, 5 exp −0.1
    [5.0, 4.7561, 4.5242]
    """

    step: Int[Tensor, ""]

    def __init__(
        self,
        gamma0: float = 5.0,
        tau: float = 0.05,
        *,
        tick: int = 100,
        total_steps: int | None = None,
        fidelity: str = "paper",
    ) -> None:
        super().__init__()
        require_at_least(0, gamma0=gamma0, tau=tau)
        require_at_least(1, "batch", tick=tick)
        self.gamma0, self.tau, self.tick = gamma0, tau, tick
        self.total_steps: int | None = None
        if RULES[fidelity].fractional_schedule:
            if total_steps is None or total_steps < 1:
                expected = f"the number of batches in the whole training for fidelity {fidelity!r}"
                raise invalid("total_steps", total_steps, expected)
            self.total_steps = total_steps
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, *, advance: bool = True) -> Float[Tensor, ""]:
        """γ of this step, float32; the next call is the next step, unless in evaluation mode or without `advance`."""
        at, unit = (self.step // self.tick, 1) if self.total_steps is None else (HORIZON * self.step, self.total_steps)
        gamma = self.gamma0 * torch.exp(-self.tau * (at.float() / unit))  # whatever type is torch's default
        if self.training and advance:
            self.step.add_(1)
        return gamma

    def extra_repr(self) -> str:
        unit = f"tick={self.tick}" if self.total_steps is None else f"total_steps={self.total_steps}"
        return f"gamma0={self.gamma0}, tau={self.tau}, {unit}"
