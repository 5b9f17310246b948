"""Targets in every usual form: one door through which they become classes, shares, or channels that are 0 or 1.

The form follows from shape, dtype and activation alone, never from values: no device is waited for. What a value may be
is looked at by `require_values`; where nobody looks, a pixel that fits no form makes the loss NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dmf.checks import capturing, invalid, require

SOFTMAX, SIGMOID = OUTPUTS = ("softmax", "sigmoid")
"""How logits become probabilities: one class a pixel, or each channel by itself."""

PLAIN, SINGLE, DENSE = "plain", "single", "dense"
"""Without an axis of channels, with one of 1, with one of C."""

SLACK = 0.01
"""How far the shares of a pixel may miss 1, which bfloat16 needs."""


class Task(NamedTuple):
    """What a target is read by: C, the ignored label if there is one, and what makes probabilities of logits."""

    num_classes: int
    ignore_index: int | None = None
    activation: str = SOFTMAX


class Shares(NamedTuple):
    """What share of a pixel each class has; 0 at ignored pixels, which are not `kept` (None if all are)."""

    values: Float[Tensor, "B C *spatial"]
    kept: Bool[Tensor, " B *spatial"] | None


def holds(dtype: torch.dtype, label: int) -> bool:
    """Whether a type can hold a label. Torch compares one that it cannot hold with what that wraps around to."""
    if dtype.is_floating_point or dtype == torch.bool:
        return True
    return torch.iinfo(dtype).min <= label <= torch.iinfo(dtype).max


def ignorable(ignore_index: int | None, target: Tensor) -> int | None:
    """The ignored label if the target's type can hold it: 255 is nowhere in int8, and no other label is 255."""
    return ignore_index if ignore_index is not None and holds(target.dtype, ignore_index) else None


def plain_integers(target: Tensor) -> Tensor:
    """As int64 what is unsigned and longer than a byte, for which torch has hardly an operation."""
    return target.long() if target.dtype in (torch.uint16, torch.uint32, torch.uint64) else target


def form_of(target: Tensor, shape: Sequence[int], num_classes: int) -> str:
    """PLAIN or SINGLE, a number a pixel, or DENSE, a channel a class; the shape asked for is `(B, *spatial)`.

    Raises:
        ValueError: if it is of no such shape, saying which there are.
    """
    found = tuple(target.shape)
    if found == tuple(shape):
        return PLAIN
    batch, *spatial = shape
    if found == (batch, 1, *spatial):
        return SINGLE
    dense = (batch, num_classes, *spatial)
    if found == dense:
        return DENSE
    forms = f"of shape {tuple(shape)} or {(batch, 1, *spatial)}"
    if num_classes > 1:
        forms += f", or one-hot or soft {dense}"
    if spatial and found == (*shape, num_classes):
        forms += "; channels that come last are moved by `.movedim(-1, 1)`"
    raise invalid("target", found, forms)


def class_map(target: Tensor, form: str, task: Task) -> Int[Tensor, " B *spatial"]:
    """Class indices from such, in integers, bool or whole floats, or from a one-hot target that is no float.

    What is none becomes a label that is no class; ignored pixels hold `ignore_index`.
    """
    if form == DENSE:
        ignored = task.ignore_index
        index = (target == 1).to(torch.uint8).argmax(1)
        index = torch.where(_one_hot(target), index, _stray(task))
        return index if ignored is None else torch.where((target == ignored).all(1), ignored, index)
    if form == SINGLE:
        target = target.squeeze(1)
    if not target.is_floating_point():
        return target
    whole = target.long()
    return torch.where(whole == target, whole, _stray(task))


def class_shares(target: Float[Tensor, "B C *spatial"], task: Task, dtype: torch.dtype) -> Shares:
    """Soft labels as they are. A pixel whose entries are all `ignore_index` is ignored; broken shares become NaN.

    Raises:
        ValueError: if the ignored label is a class, which has a share in pixels and not pixels of its own.
    """
    values, kept = target.to(dtype), None
    if (ignored := task.ignore_index) is not None:
        if 0 <= ignored < task.num_classes:
            raise ValueError(
                f"Parameter `ignore_index` is {ignored}, and `target` holds floats with a channel a class: that could "
                f"mean entries that are {ignored}, or pixels of class {ignored}. Give an integer one-hot target or "
                "class indices to leave the class out, or mark ignored pixels with a number that is no class."
            )
        kept = (target != ignored).any(1)
        values = values * kept.unsqueeze(1)
    broken = _broken_shares(values)
    return Shares(values.masked_fill((broken if kept is None else broken & kept).unsqueeze(1), torch.nan), kept)


def channels(target: Tensor, form: str, task: Task, dtype: torch.dtype) -> list[Tensor | Shares]:
    """Of each channel a two-class target: labels 0 and 1, with -1 at ignored entries, or shares of absent and present.

    One channel, and a channel a class, are taken as they are; class indices are present in the channel of their class.
    """
    classes, ignored, _ = task
    if form != DENSE and classes > 1:
        return _one_against_all(class_map(target, form, task), task)
    target = target.unsqueeze(1) if form == PLAIN else target
    kept = None if ignored is None else target != ignored
    if not target.is_floating_point():
        if kept is not None:  # what is neither 0, 1 nor ignored stays odd
            target = torch.where(kept, target.long().where((target == 0) | (target == 1), 2), -1)
        return list(target.unbind(1))
    y = target.to(dtype)
    y = y if kept is None else y * kept
    y = y.masked_fill((y < 0) | (y > 1), torch.nan)
    absent = 1 - y if kept is None else (1 - y) * kept
    return [
        Shares(torch.stack([absent[:, c], y[:, c]], dim=1), None if kept is None else kept[:, c])
        for c in range(classes)
    ]


def _one_against_all(index: Tensor, task: Task) -> list[Tensor | Shares]:
    known = (index >= 0) & (index < task.num_classes)
    labels = [torch.where(known, (index == c).long(), 2) for c in range(task.num_classes)]
    if task.ignore_index is None:
        return [*labels]
    return [one.masked_fill(index == task.ignore_index, -1) for one in labels]


def _stray(task: Task) -> int:
    """A label that is no class."""
    return -1 if task.ignore_index == task.num_classes else task.num_classes


def _one_hot(target: Tensor) -> Bool[Tensor, " B *spatial"]:
    return ((target != 0).sum(1) == 1) & (target == 1).any(1)


def _broken_shares(values: Tensor) -> Bool[Tensor, " B *spatial"]:
    return ~((values.sum(1) - 1).abs() <= SLACK) | (values < 0).any(1)


def require_values(target: Tensor, form: str, task: Task) -> None:
    """Raise a ValueError for values that are no labels in the target's form, with their number and one of them.

    Waits for the device. What is being compiled, captured or transformed, or has no values, is not looked at.
    """
    if capturing(target) or torch.compiler.is_compiling() or type(target) is not Tensor or target.is_meta:
        return
    if torch._C._functorch.is_functorch_wrapped_tensor(target):  # type: ignore[attr-defined]  # noqa: SLF001
        return
    target = plain_integers(target)
    task = task._replace(ignore_index=ignorable(task.ignore_index, target))
    classes, ignored, activation = task
    floats = target.is_floating_point()
    if activation == SIGMOID and (form == DENSE or classes == 1):
        if floats:
            _require_presence(target, ignored)
        else:
            require_classes(target, 2, ignored)
    elif form == DENSE:
        _require_one_class_a_pixel(target, task)
    else:
        if floats:
            _require_whole(target)
        require_classes(target, classes, ignored)


def require_classes(target: Tensor, classes: int, ignore_index: int | None) -> None:
    """Raise a ValueError for labels that are neither a class nor `ignore_index`, with their number and one of them."""
    if target.dtype == torch.bool:
        return
    least, most = (int(value) for value in target.aminmax())
    if least >= 0 and most < classes:
        return
    stray = (target < 0) | (target >= classes)
    if ignore_index is not None:
        stray &= target != ignore_index
    if number := int(stray.sum()):
        ignored = "" if ignore_index is None else f" or {ignore_index}, which is ignored"
        raise ValueError(
            f"Parameter `target` must hold classes from 0 to {classes - 1}{ignored}. Found {number} labels that are "
            f"none, {int(target[stray][0])} among them; divide masks of 0 and 255 by 255, or name the odd value as "
            "`ignore_index`."
        )


def _require_whole(target: Tensor) -> None:
    odd = target - target.round() != 0  # as infinities and NaN are
    if number := int(odd.sum()):
        raise ValueError(
            f"Parameter `target` holds {number} floats that are no whole numbers, {target[odd][0].item():g} among "
            "them, and one number a pixel: that could be class indices that were resampled, then take "
            "`target.round().long()`; or soft labels of class 1, then give every class its share, "
            "`torch.stack([1 - target, target], 1)` for two classes, or one logit with activation='sigmoid'."
        )


def _require_one_class_a_pixel(target: Tensor, task: Task) -> None:
    floats = target.is_floating_point()
    broken = _broken_shares(target.float()) if floats else ~_one_hot(target)
    if task.ignore_index is not None:
        broken &= ~(target == task.ignore_index).all(1)
    if number := int(broken.sum()):
        found = [round(float(value), 4) for value in target.movedim(1, -1)[broken][0]]
        form = "shares of at least 0 that sum to 1" if floats else "one 1 and else 0"
        raise ValueError(
            f"Parameter `target` has a channel a class and must hold {form} at every pixel. Found {number} pixels that "
            f"do not, {found} among them: that could be several classes at once, then take activation='sigmoid'; or "
            "pixels without a label, then fill all their channels with a number that is no class and name it as "
            "`ignore_index`."
        )


def _require_presence(target: Tensor, ignore_index: int | None) -> None:
    odd = ~((target >= 0) & (target <= 1))
    if ignore_index is not None:
        odd &= target != ignore_index
    number = int(odd.sum())
    found = f"{number} others, {target[odd][0].item():g} among them" if number else ""
    require(not number, "target", found, "from 0 to 1 in every channel; divide masks of 0 and 255 by 255")
