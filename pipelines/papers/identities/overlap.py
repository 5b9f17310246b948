"""Identities of Dice, IoU, F1, precision and recall, which hold for every mask and every mean of masks.

For one set of counts Dice = F1 = f(IoU) with f(x) = 2 x / (1 + x). f is concave, so means over images, batches or
classes obey Dice <= f(IoU); the harmonic mean is concave too, so mean F1 <= (P + R) / 2. Equality with f(IoU) holds for
counts pooled over all images. Numbers count as broken when rounding cannot explain them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pipelines.papers.identities.breaks import Break, exceeds, rounding
from pipelines.papers.printed import Printed, rows, select

_SPREAD = 5.0
"""Percentage points of standard deviation between batches that the lower bound for Dice allows for."""


def overlap_breaks(numbers: Sequence[Printed]) -> list[Break]:
    """In the segmentation papers: Dice against IoU, F1 against precision and recall, F1 against Dice."""
    found: list[Break] = []
    for row in rows(numbers).values():
        if "St. Dev." in next(iter(row.values())).condition:
            continue
        found += _dice_above_bound(row, "dice", "iou")
        found += _dice_above_bound(row, "mdice", "miou")
        found += _pooled_dice(row)
        found += _f1_above_mean(row)
        if next(iter(row.values())).paper == "dmf":
            found += _f1_below_dice(row)
            found += _dice_below_bound(row)
    return found + list(_bayesian_is_not_mad(select(numbers, paper="dmf", metric="dice")))


def dice_of(iou: float, whole: float = 100.0) -> float:
    """f(IoU) = 2 IoU / (1 + IoU): the Dice of one mask, and the most that a mean of masks can have."""
    return 2 * whole * iou / (whole + iou)


def least_dice(iou: float, spread: float = 0.0, whole: float = 100.0) -> float:
    """The least mean Dice of two classes whose mean IoU is `iou` > 1/2: one class perfect, the other at 2 IoU - 1.

    Between batches whose mean IoU spreads by `spread` (standard deviation s), the mean of this lower bound L lies
    below L of the mean by s^2 / (2 x^3), to second order, for L(x) = 3/2 - 1 / (2 x).
    """
    x, s = iou / whole, spread / whole
    return whole * (1.5 - 1 / (2 * x)) - whole * s**2 / (2 * x**3)


def _slope(iou: float, whole: float = 100.0) -> float:
    """f'(IoU), by which the rounding of IoU reaches Dice."""
    return 2 * whole**2 / (whole + iou) ** 2


def _whole(cell: Printed) -> float:
    return 100.0 if cell.unit == "percent" else 1.0


def _dice_above_bound(row: dict[str, Printed], dice: str, iou: str) -> Iterator[Break]:
    if dice not in row or iou not in row:
        return
    found, base = row[dice], row[iou]
    bound = dice_of(base.value, _whole(base))
    amount = found.value - bound
    if exceeds(amount, found.rounding + base.rounding * _slope(base.value, _whole(base))):
        reason = f"Dice {found.text} is above 2 IoU / (1 + IoU) = {bound:.2f}, the most that IoU {base.text} permits."
        yield Break("dice_above_bound", (found, base), amount, reason)


def _dice_below_bound(row: dict[str, Printed]) -> Iterator[Break]:
    """The notebook's means run over two classes, background and lesion."""
    found, base = row["dice"], row["iou"]
    amount = least_dice(base.value, _SPREAD) - found.value
    if exceeds(amount, found.rounding + base.rounding * _slope(2 * base.value - 100)):
        even = dice_of(base.value)
        reason = (
            f"Dice {found.text} lies {even - found.value:.2f} below 2 IoU / (1 + IoU) = {even:.2f} of IoU {base.text}; "
            f"over two classes it cannot lie below {least_dice(base.value):.2f}, nor, with batches that spread by "
            f"{_SPREAD:g} points, below {least_dice(base.value, _SPREAD):.2f}."
        )
        yield Break("dice_below_bound", (found, base), amount, reason)


def _pooled_dice(row: dict[str, Printed]) -> Iterator[Break]:
    if "mdice_pooled" not in row:
        return
    found, base = row["mdice_pooled"], row["miou_pooled"]
    expected = dice_of(base.value)
    amount = abs(found.value - expected)
    if exceeds(amount, found.rounding + base.rounding * _slope(base.value)):
        reason = f"Counts pooled over images make Dice* {expected:.2f} of IoU* {base.text}; {found.text} is printed."
        yield Break("pooled_dice", (found, base), amount, reason)


def _f1_above_mean(row: dict[str, Printed]) -> Iterator[Break]:
    if not {"f1", "precision", "recall"} <= row.keys():
        return
    f1, precision, recall = row["f1"], row["precision"], row["recall"]
    most = (precision.value + recall.value) / 2
    amount = f1.value - most
    if exceeds(amount, f1.rounding + rounding(precision, recall) / 2):
        reason = f"F1 {f1.text} is above (precision + recall) / 2 = {most:.3f}, the most that any mean of F1 can be."
        yield Break("f1_above_mean", (f1, precision, recall), amount, reason)


def _f1_below_dice(row: dict[str, Printed]) -> Iterator[Break]:
    """The notebook's F1 is the harmonic mean of macro precision and macro recall, which is at least the mean Dice."""
    f1, dice = row["f1"], row["dice"]
    amount = dice.value - f1.value
    if exceeds(amount, rounding(f1, dice)):
        reason = f"F1 {f1.text} is below Dice {dice.text}; of macro precision and recall it is at least Dice."
        yield Break("f1_below_dice", (f1, dice), amount, reason)


def _bayesian_is_not_mad(dice: Iterable[Printed]) -> Iterator[Break]:
    """Equations (6) to (8): with equal priors the posterior 1 / MAD_i over its sum is the weight of MAD."""
    by = {(cell.dataset, cell.auxiliary, cell.weighting): cell for cell in dice}
    for (dataset, auxiliary, weighting), mad in by.items():
        if weighting != "mad":
            continue
        bayesian = by[dataset, auxiliary, "bayesian"]
        amount = abs(bayesian.value - mad.value)
        if exceeds(amount, rounding(bayesian, mad)):
            reason = (
                f"Equations (6) to (8) with equal priors make Bayesian weights those of MAD; Dice {bayesian.text} "
                f"and {mad.text} differ by {amount:.2f}."
            )
            yield Break("bayesian_is_mad", (bayesian, mad), amount, reason, marks=False)
