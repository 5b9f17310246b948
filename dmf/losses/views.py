"""What losses see of some images, and how what they answer becomes a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.losses.families import Pixels, Pixelwise, TrueClass
from dmf.losses.labels import Labels


class Sums(NamedTuple):
    """`(TP, FP, FN)` of each class, the sum of each pixelwise loss, and the pixels by `Labels.counted`."""

    counts: Float[Tensor, "3 C"]
    values: Float[Tensor, " M"]
    pixels: Float[Tensor, ""]


class View(Protocol):
    """Some images as losses see them."""

    def sums(self, losses: Sequence[Pixelwise]) -> Sums:
        """What the values of all losses follow from."""

    def gradient(
        self, losses: Sequence[Pixelwise], per_count: Float[Tensor, "3 C"], per_value: Float[Tensor, " M"], out: Tensor
    ) -> None:
        """Writes the gradient of the logits, from the derivatives by counts and by summed pixelwise losses."""


@dataclass(frozen=True)
class SoftmaxView:
    """Any number of classes. `p` is 0 at ignored pixels.

    With `P_c` the derivative of all losses with respect to `log p_c` at a pixel, `h` the part of it that concerns the
    true class alone, the gradient of the logits is `y h + P − p (h + Σ_c P_c)`. Region losses enter `P_c` as
    `p_c (a_c y_c + b_c)`, two numbers a class, so that without other losses on all classes `P` need not be written
    down: with `e = h + a_t p_t`, t the true class, the gradient is `p (b − e − Σ_c b_c p_c) + y e`.
    """

    log_p: Float[Tensor, "B C S"]
    p: Float[Tensor, "B C S"]
    labels: Labels

    @classmethod
    def of(cls, z: Float[Tensor, "B C S"], labels: Labels) -> SoftmaxView:
        """The view of these logits, in operations that autograd can differentiate."""
        log_p = labels.masked(z).log_softmax(1)
        return cls(log_p, labels.kept(log_p.exp()), labels)

    def pixels(self) -> Pixels:
        """The true class of every pixel."""
        log_p = self.labels.at(self.log_p)
        return Pixels(self.labels.kept(log_p.exp()), lambda: log_p)

    def sums(self, losses: Sequence[Pixelwise]) -> Sums:
        """What the values of all losses follow from."""
        tp, present = (self.p * self.labels.one_hot).sum(2).sum(0), self.labels.class_pixels.sum(0)
        pixels = self.pixels()
        values = [
            loss.value(pixels, self.labels)
            if isinstance(loss, TrueClass)
            else loss.value(self.log_p, self.p, self.labels.one_hot) / self.labels.num_classes
            for loss in losses
        ]
        counts = torch.stack([tp, self.p.sum(2).sum(0) - tp, present - tp])
        return Sums(counts, total(values, self.labels, counts), self.labels.counted(present.sum()))

    def gradient(
        self, losses: Sequence[Pixelwise], per_count: Float[Tensor, "3 C"], per_value: Float[Tensor, " M"], out: Tensor
    ) -> None:
        """Writes the gradient of the logits, from the derivatives by counts and by summed pixelwise losses."""
        d_tp, d_fp, d_fn = per_count
        pixels, y, p = self.pixels(), self.labels.one_hot, self.p
        true = self.labels.select(d_tp - d_fp - d_fn).mul_(pixels.p)
        every = []
        for loss, weight in zip(losses, per_value, strict=True):
            if isinstance(loss, TrueClass):
                true.addcmul_(loss.slope(pixels, self.labels), weight)
            else:
                every.append(loss.slope(p, y) * (weight / self.labels.num_classes))
        pull = torch.matmul(d_fp, p).add_(true)
        for slope in every:
            pull.add_(slope.sum(1))
        torch.sub(d_fp.unsqueeze(1), pull.unsqueeze(1), out=out).mul_(p).addcmul_(y, true.unsqueeze(1))
        for slope in every:
            out.add_(slope)


@dataclass(frozen=True)
class BinaryView:
    """Two classes, for losses that look at counts and at the true class: half the work.

    Everything follows from the margin `m = (2y − 1) (z_1 − z_0)`: `p = σ(m)`, `q = σ(−m)`, both 0 at ignored pixels.
    The gradient of the true class's logit is `q (h + p w)` with `w = a_t + b_t − b_o`, t the true class and o the
    other, and that of the other logit its negative.
    """

    margin: Float[Tensor, "B S"]
    y: Float[Tensor, "B S"]
    sign: Float[Tensor, "B S"]
    p: Float[Tensor, "B S"]
    q: Float[Tensor, "B S"]
    labels: Labels

    lowest = -80.0
    """Below this margin p is kept, so that it never underflows; its logarithm goes on."""

    @classmethod
    def of(cls, z: Float[Tensor, "B C S"], labels: Labels) -> BinaryView:
        """The view of these logits; not to be differentiated."""
        valid = labels.valid
        y = labels.map.flatten(1).to(labels.dtype)
        if valid is not None:
            y = y * valid
        sign = torch.rsub(y, -1, alpha=-2)  # 2y − 1
        margin = labels.masked(z[:, 1] - z[:, 0]).mul_(sign)
        p = margin.clamp(min=cls.lowest).sigmoid_()
        q = margin.neg().sigmoid_()  # 1 − p would lose what a sure answer leaves over
        if valid is not None:
            p, q = p.mul_(valid), q.mul_(valid)
        return cls(margin, y, sign, p, q, labels)

    def pixels(self) -> Pixels:
        """The true class of every pixel."""
        return Pixels(self.p, self.logarithm)

    def logarithm(self) -> Float[Tensor, "B S"]:
        """`log p`: of p where it is kept exact, and linear in the margin below."""
        if self.labels.valid is None:
            return self.p.log().add_((self.margin - self.lowest).clamp_max_(0))
        exact = self.margin.clamp(min=self.lowest).sigmoid_().log_()
        return exact.add_((self.margin - self.lowest).clamp_max_(0)).mul_(self.labels.valid)

    def sums(self, losses: Sequence[Pixelwise]) -> Sums:
        """What the values of all losses follow from. Small sums are taken by themselves, not as differences."""
        hits, misses = self.p * self.y, self.q * self.y
        tp_1, fn_1 = hits.sum(), misses.sum()
        tp_0, fn_0 = (self.p - hits).sum(), (self.q - misses).sum()
        counts = torch.stack([tp_0, tp_1, fn_1, fn_0, fn_0, fn_1]).view(3, 2)
        pixels = self.pixels()
        values = [loss.value(pixels, self.labels) for loss in losses if isinstance(loss, TrueClass)]
        least, most = self.y.aminmax()
        oddity = (most - 1).clamp_min(0) - least.clamp_max(0)  # at least 1 as soon as some label is neither 0 nor 1
        found = self.labels.counted(counts[::2].sum().round() + oddity)
        return Sums(counts, total(values, self.labels, counts), found)

    def gradient(
        self, losses: Sequence[Pixelwise], per_count: Float[Tensor, "3 C"], per_value: Float[Tensor, " M"], out: Tensor
    ) -> None:
        """Writes the gradient of the logits, from the derivatives by counts and by summed pixelwise losses."""
        d_tp, d_fp, d_fn = per_count
        w = d_tp - d_fn - d_fp.flip(0)
        slope = self.y.mul(w[1] - w[0]).add_(w[0]).mul_(self.p)
        pixels = self.pixels()
        for loss, weight in zip(losses, per_value, strict=True):
            if isinstance(loss, TrueClass):
                slope.addcmul_(loss.slope(pixels, self.labels), weight)
        torch.mul(slope.mul_(self.q), self.sign, out=out[:, 1])
        torch.neg(out[:, 1], out=out[:, 0])


def total(values: Sequence[Tensor], labels: Labels, like: Tensor) -> Float[Tensor, " M"]:
    """Sums of each loss's values over the valid pixels; of no loss, an empty part of the graph of `like`."""
    return torch.stack([labels.total(value) for value in values]) if values else like.flatten()[:0]
