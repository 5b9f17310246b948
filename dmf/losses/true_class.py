"""Losses on the probability of the true class, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Unpack

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.checks import require, require_at_least
from dmf.losses.base import LOSSES, Common, TrueClassLoss
from dmf.losses.families import Pixels
from dmf.losses.labels import Labels
from dmf.losses.weighted import class_weights
from dmf.targets import SOFTMAX


def emphasised(values: Float[Tensor, "B S"], pixels: Pixels, weight: float) -> Float[Tensor, "B S"]:
    """Values times `1 + weight (1 − p)`."""
    return values * (1 + weight * pixels.q) if weight else values


def emphasised_power(degree: int, factor: float, weight: float) -> list[float]:
    """Coefficients of `factor q^degree (1 + weight q)`."""
    return [0.0] * degree + [factor] + ([factor * weight] if weight else [])


def emphasised_slope(
    slope: Float[Tensor, "B S"], values: Callable[[], Float[Tensor, "B S"]], pixels: Pixels, weight: float
) -> Float[Tensor, "B S"]:
    """Derivative with respect to `log p` of `emphasised`, from that of the values."""
    return slope * (1 + weight * pixels.q) - weight * pixels.times_p(values()) if weight else slope


@LOSSES.register("cross_entropy")
class CrossEntropyLoss(TrueClassLoss):
    """Categorical cross-entropy: `−1/N Σ_i (1 + w (1 − p_i)) log p_i`, `p_i` the probability of pixel i's class.

    `difficulty_weight` w >= 0 (default 0) lets hard pixels count up to 1 + w times. Source: DMF (BSPC 111:108388,
    2026), equation (16); w is named by Ramani et al. (loss fusion) without a formula, this one is ours.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(CrossEntropyLoss(2)(p.log(), y).item(), 4)  # −(log ¾ + log ½) / 2
    0.4904
    """

    def __init__(self, num_classes: int, *, difficulty_weight: float = 0.0, **common: Unpack[Common]) -> None:
        super().__init__(num_classes, **common)
        require_at_least(0, difficulty_weight=difficulty_weight)
        self.difficulty_weight = difficulty_weight

    def value(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        return emphasised(-pixels.log_p, pixels, self.difficulty_weight)

    def slope(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        slope = torch.full_like(pixels.p, -1)
        return emphasised_slope(slope, lambda: -pixels.log_p, pixels, self.difficulty_weight)

    def polynomial(self) -> Sequence[Sequence[float]]:
        return [emphasised_power(0, 1.0, self.difficulty_weight)]


@LOSSES.register("focal")
class FocalLoss(TrueClassLoss):
    """Focal loss: `−1/N Σ_i α_c (1 + w (1 − p_i)) (1 − p_i)^γ log p_i`, c the class of pixel i.

    `alpha` is one weight for all classes (0.25) or one for each (under sigmoid: of absent and of present); `gamma` (2)
    turns attention to hard pixels. Both defaults are the authors' code's: the paper gives no values.
    `difficulty_weight` w as in `cross_entropy`.
    Source: DMF (BSPC 111:108388, 2026), equation (19).

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(FocalLoss(2)(p.log(), y).item(), 4)  # −¼ (¼² log ¾ + ½² log ½) / 2
    0.0239
    """

    alphas: Float[Tensor, " C"]

    def __init__(
        self,
        num_classes: int,
        *,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        difficulty_weight: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(num_classes, **common)
        require_at_least(0, gamma=gamma, difficulty_weight=difficulty_weight)
        self.difficulty_weight = difficulty_weight
        self.alpha = class_weights("alpha", alpha, num_classes if self.activation == SOFTMAX else 2)
        if not isinstance(self.alpha, float):
            self.register_buffer("alphas", torch.tensor(self.alpha, dtype=torch.float64), persistent=False)
        self.gamma = gamma

    def value(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        return emphasised(self.plain_value(pixels, labels), pixels, self.difficulty_weight)

    def slope(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        q = self.q(pixels)
        hardness = torch.sub(q, pixels.times_p(pixels.log_p), alpha=self.gamma)
        slope = self.weigh(hardness.mul_(q.pow(self.gamma - 1)), labels)
        return emphasised_slope(slope, lambda: self.plain_value(pixels, labels), pixels, self.difficulty_weight)

    def polynomial(self) -> Sequence[Sequence[float]] | None:
        if self.gamma not in range(5):
            return None
        alphas = [self.alpha] if isinstance(self.alpha, float) else self.alphas.tolist()
        return [emphasised_power(int(self.gamma), alpha, self.difficulty_weight) for alpha in alphas]

    def plain_value(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        """The loss of each pixel before its difficulty counts."""
        return self.weigh(self.q(pixels).pow(self.gamma) * pixels.log_p, labels)

    def q(self, pixels: Pixels) -> Float[Tensor, "B S"]:
        """`1 − p`, in the precision that the power needs."""
        return pixels.q if self.gamma >= 1 else pixels.small_q

    def weigh(self, values: Float[Tensor, "B S"], labels: Labels) -> Float[Tensor, "B S"]:
        """Values times minus the weight of each pixel's class."""
        if isinstance(self.alpha, float):
            return values * -self.alpha
        return values * -labels.select(self.alphas)


@LOSSES.register("exponential")
class ExponentialLoss(TrueClassLoss):
    """Exponential loss: `1/N Σ_i exp(−p_i)`, `p_i` the probability of pixel i's class; between 1/e and 1.

    For two classes this is `y exp(−P) + (1 − y) exp(−(1 − P))`. Source: Zarrin and Nikkhah
    (2025), "A Novel Hybrid Deep Learning Model with Receptive Field-Enhanced Skip Connections and Adaptive Loss",
    equation (3) with λ1 = λ2 = 1; for more than two classes the formula is our reading.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(ExponentialLoss(2)(p.log(), y).item(), 4)  # (exp −¾ + exp −½) / 2
    0.5394
    """

    def value(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        return torch.exp(-pixels.p)

    def slope(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        return torch.exp(-pixels.p).mul_(pixels.p).neg_()


@LOSSES.register("adapt_exp")
class AdaptExponentialLoss(ExponentialLoss):
    """Adapt Exp: `1/N Σ_i λ_c exp(−p_i)` with `λ_c = 1 / (k_c + ε)`, `k_c` the share of class c in pixel i's image.

    For two classes these are the paper's λ1 and λ2; more classes weigh by the same rule. Each class of an image
    contributes alike, whatever its size. An absent class has the weight `1/ε` on no pixel, so an empty or a full mask
    stays finite: the other class then weighs 1. Source: Zarrin and Nikkhah (2025), equations (1) to (3), which name no
    `epsilon` (1e-6 here). Unlike the paper's claim it is not convex in the logits.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(AdaptExponentialLoss(2)(p.log(), y).item(), 4)  # as `exponential`, each half of the pixels weighing 2
    1.0789
    """

    def __init__(self, num_classes: int, *, epsilon: float = 1e-6, **common: Unpack[Common]) -> None:
        super().__init__(num_classes, **common)
        require(epsilon > 0, "epsilon", epsilon, "more than 0, or an empty mask divides by 0")
        self.epsilon = epsilon

    def value(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        return super().value(pixels, labels) * self.weights(labels)

    def slope(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        return super().slope(pixels, labels) * self.weights(labels)

    def weights(self, labels: Labels) -> Float[Tensor, "B S"]:
        """λ of each pixel."""
        pixels = labels.class_pixels
        return labels.select(1 / (pixels / pixels.sum(1, keepdim=True).clamp_min(1) + self.epsilon))
