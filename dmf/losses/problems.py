"""What a batch asks of losses: one problem of C classes, or under sigmoid one of two classes for every channel."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from dmf.checks import invalid, require, require_tensor
from dmf.losses.labels import Labels, SoftLabels
from dmf.targets import (
    DENSE,
    SIGMOID,
    Shares,
    Task,
    channels,
    class_map,
    class_shares,
    form_of,
    ignorable,
    plain_integers,
    require_values,
)


class Problem(NamedTuple):
    """Logits in the type and shape of the computation, and their labels."""

    z: Float[Tensor, "B C S"]
    labels: Labels


def prepare(logits: Float[Tensor, "B C *spatial"], target: Tensor, task: Task, *, values: bool = True) -> list[Problem]:
    """The problems of a batch; `values` says whether to look at the labels.

    Raises:
        ValueError: if one is no tensor, the shapes do not belong together, there is no pixel, or, on the CPU, where to
            look costs no waiting for a device, values of the target are no labels.
    """
    values = values and isinstance(target, Tensor) and target.device.type == "cpu"
    form = check(logits, target, task, values=values)
    target = plain_integers(target)
    task = task._replace(ignore_index=ignorable(task.ignore_index, target))
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    z = logits.to(dtype)
    if task.activation == SIGMOID:
        pairs = [torch.stack([torch.zeros_like(one), one], dim=1) for one in z.unbind(1)]
        ignored = None if task.ignore_index is None else -1
        parts = zip(pairs, channels(target, form, task, dtype), strict=True)
        return [Problem(_pixels(pair), _labels(part, 2, ignored, dtype)) for pair, part in parts]
    soft = form == DENSE and target.is_floating_point()
    found = class_shares(target, task, dtype) if soft else class_map(target, form, task)
    return [Problem(_pixels(z), _labels(found, task.num_classes, task.ignore_index, dtype))]


def _pixels(z: Float[Tensor, "B C *spatial"]) -> Float[Tensor, "B C S"]:
    return z.flatten(2) if z.ndim > 2 else z.t().unsqueeze(0)


def _labels(found: Tensor | Shares, classes: int, ignore_index: int | None, dtype: torch.dtype) -> Labels:
    return SoftLabels(found, dtype) if isinstance(found, Shares) else Labels(found, classes, ignore_index, dtype)


def check(logits: Tensor, target: Tensor, task: Task, *, values: bool) -> str:
    """The form of the target; a ValueError unless logits belong to it. `values` says whether to look at the labels."""
    classes = task.num_classes
    require_tensor("logits", logits, f"a tensor (B, {classes}, *spatial)")
    require_tensor("target", target, "a tensor of integer labels (B, *spatial)")
    if logits.ndim < 2 or logits.shape[1] != classes:
        raise invalid("logits", tuple(logits.shape), f"(B, {classes}, *spatial){_hint(logits, task)}")
    shape = (logits.shape[0], *logits.shape[2:])
    require(not logits.is_complex(), "logits", logits.dtype, "real")
    if target.is_complex():
        raise ValueError(f"Parameter `target` must hold labels. Found {target.dtype}.")
    form = form_of(target, shape, classes)
    require(target.numel() > 0, "logits", tuple(logits.shape), "of at least one image and pixel, to have a mean")
    if values:
        require_values(target, form, task)
    return form


def _hint(logits: Tensor, task: Task) -> str:
    """What logits of another number of channels may have been meant for."""
    if logits.ndim > 1 and logits.shape[1] == 1:
        return "; one logit a pixel is for losses of num_classes=1 and activation='sigmoid'"
    if task.num_classes == 1:
        return "; several are for losses of as many classes: activation='softmax' if a pixel has one, else 'sigmoid'"
    return ""
