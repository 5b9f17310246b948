"""The view by compiled loops: float32 logits in a processor's memory are read, and their gradient is written.

It needs numba: `dmf.losses.fused_pass` imports it where `dmf.kernels.usable` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dmf.kernels import losses as kernels
from dmf.kernels import spread
from dmf.losses.families import Pixels, Pixelwise, TrueClass
from dmf.losses.labels import Labels
from dmf.losses.views import Sums
from dmf.losses.weighted import polynomial_of

_NONE = np.empty(0, np.float32)


class CompiledView:
    """Any number of classes, for losses that look at counts and at the true class; not to be differentiated.

    A pixelwise loss that is a polynomial (`TrueClass.polynomial`) enters the loops as its coefficients. To others they
    show `p` and `log p` of the true class, and take from them the derivatives by `log p`.
    """

    def __init__(self, z: Float[Tensor, "B C S"], labels: Labels) -> None:
        self.labels = labels
        images, self.classes, size = z.shape
        self.shape = (images, size)
        self.last = not z.is_contiguous()
        if self.last:  # pixel by pixel, images are no more than stretches
            images, size = 1, images * size
        self.blocks = images * -(-size // kernels.BLOCK)
        whole = labels.given.detach().reshape(-1)
        given: Any = (whole.to(torch.uint8) if whole.dtype == torch.bool else whole).numpy()  # a view may hold a 255
        kind = np.iinfo(given.dtype)
        ignored = labels.ignore_index
        ignoring = ignored is not None and kind.min <= ignored <= kind.max
        typed = given.dtype.type
        highest = typed(min(self.classes - 1, kind.max))
        self.batch = (self._flat(z), self.last, given, highest, ignoring, typed(ignored if ignoring else 0), size)

    def sums(self, losses: Sequence[Pixelwise]) -> Sums:
        """What the values of all losses follow from. Small sums are taken by themselves, not as differences."""
        polynomials, others = told(losses)
        pixels = self._pixels(bool(others))
        sums = self.look(degree(polynomials), pixels)
        moments = sums[kernels.MOMENTS :].T.tolist()
        values = as_float32([inner(rows, moments) for rows in polynomials])
        for i, loss in others:
            values[i] = self.labels.total(loss.value(pixels, self.labels))
        counts, found = torch.from_numpy(sums[: kernels.FOUND]), sums[kernels.FOUND].sum()
        return Sums(counts.float(), values, as_float32(found))

    def gradient(
        self, losses: Sequence[Pixelwise], per_count: Float[Tensor, "3 C"], per_value: Float[Tensor, " M"], out: Tensor
    ) -> None:
        """Writes the gradient of the logits, from the derivatives by counts and by summed pixelwise losses."""
        polynomials, others = told(losses)
        own = _NONE
        if others:
            pixels = self._pixels(True)
            self.look(0, pixels)
            slope = as_float32(np.zeros(self.shape, np.float32))
            for i, loss in others:
                slope.addcmul_(loss.slope(pixels, self.labels), per_value[i])
            own = slope.view(-1).numpy()
        powers = combined(polynomials, per_value.tolist())
        self.write(per_count.contiguous().numpy(), powers, own, out=out)

    def write(self, per_count: Any, powers: Any, own: Any = _NONE, *, out: Tensor) -> None:
        """The gradient by `dmf.kernels.losses.gradient`, whose arrays these are."""
        self._spread(kernels.gradient, per_count, powers, own, self._flat(out))

    def _pixels(self, shown: bool) -> Pixels:
        """What `look` is to fill in."""
        p, log_p = as_float32(np.empty((2, *(self.shape if shown else (0,))), np.float32))
        return Pixels(p, lambda: log_p)

    def look(self, powers: int, pixels: Pixels | None = None) -> Any:
        """Counts, pixels and as many moments of each class, in float64; fills in `_pixels` if they are given."""
        pixels = pixels or self._pixels(False)
        arrays = (pixels.p.view(-1).numpy(), pixels.log_p.view(-1).numpy())
        sums = np.zeros((-(-self.blocks // kernels.PART), kernels.MOMENTS + powers, self.classes))
        self._spread(kernels.look, sums, *arrays)
        return sums.sum(0)

    def _spread(self, kernel: Callable[..., None], *arrays: Any) -> None:
        """Runs a kernel on the blocks, on as many threads as there are parts for."""
        part = kernels.PART
        step = part * -(-self.blocks // (part * torch.get_num_threads()))
        spread(
            lambda first: kernel(*self.batch, first, min(first + step, self.blocks), *arrays),
            range(0, self.blocks, step),
        )

    def _flat(self, values: Float[Tensor, "B C S"]) -> Any:
        """Values in the order of the logits, as they lie in memory."""
        return (values.transpose(1, 2) if self.last else values).detach().view(-1).numpy()


def as_float32(values: Any) -> Tensor:
    """A tensor in a processor's memory, whatever type and device people have made torch's default."""
    return torch.from_numpy(np.asarray(values, np.float32))


Polynomial = Sequence[Sequence[float]]
"""Coefficients, a row a class or one for all; none for a loss that is no polynomial."""


def told(losses: Sequence[Pixelwise]) -> tuple[list[Polynomial], list[tuple[int, TrueClass]]]:
    """What every loss is as a polynomial; and those that are none, by their place."""
    polynomials = [polynomial_of(loss) for loss in losses]
    none = [i for i, rows in enumerate(polynomials) if rows is None]
    others = [(i, loss) for i in none if isinstance(loss := losses[i], TrueClass)]
    return [rows or [[]] for rows in polynomials], others


def degree(polynomials: Sequence[Polynomial]) -> int:
    """Powers of `1 − p` that they need, the zeroth among them."""
    return max((len(row) for rows in polynomials for row in rows), default=0)


def inner(rows: Polynomial, moments: list[list[float]]) -> float:
    """The sum of a loss from the moments of each class; an infinite one counts nowhere but where it is asked for."""
    rows = rows if len(rows) > 1 else [rows[0]] * len(moments)
    return sum(a * m for row, each in zip(rows, moments, strict=True) for a, m in zip(row, each, strict=False) if a)


def combined(polynomials: Sequence[Polynomial], weights: Sequence[float]) -> Any:
    """Their sum by weights, float32 `(1 or C, K)`."""
    found = np.zeros((max(map(len, polynomials), default=1), degree(polynomials)))
    for rows, weight in zip(polynomials, weights, strict=True):
        for c, row in enumerate(rows):
            found[c if len(rows) > 1 else slice(None), : len(row)] += weight * np.asarray(row)
    return found.astype(np.float32)
