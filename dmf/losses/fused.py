"""Several losses of the same logits at the price of little more than one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dmf.checks import require, require_choice
from dmf.kernels import usable
from dmf.losses.families import Counts, Member, Pixelwise, Region, Whole
from dmf.losses.fused_pass import Statistics, fused_statistics, in_rows, plain_statistics
from dmf.losses.labels import Labels, SoftLabels
from dmf.losses.problems import check, prepare
from dmf.losses.weighted import over_weights, weighted
from dmf.targets import SIGMOID

MEAN, NONE = REDUCTIONS = ("mean", "none")


class Single(nn.Module):
    """Any callable of logits and target that returns a scalar, such as `nn.CrossEntropyLoss()`, among other losses.

    It is evaluated by itself, on the target as it was given.

    Args:
        loss: The callable; a module's parameters and buffers become its own.

    Attributes:
        name: That of the function, or of the module's class.

    Raises:
        ValueError: for what cannot be called, or a class in the place of one of its objects.
    """

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        usable = callable(loss) and not isinstance(loss, type)
        require(usable, "losses", loss, "names of losses, modules, or callables of logits and target")
        self.loss = loss
        self.name: str = getattr(loss, "__name__", type(loss).__name__)

    def forward(self, logits: Float[Tensor, "B C *spatial"], target: Tensor) -> Float[Tensor, ""]:
        """Its value. Raises ValueError if that is no scalar."""
        value = self.loss(logits, target)
        if not isinstance(value, Tensor) or value.ndim:
            found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"Loss `{self.name}` must return a scalar tensor, such as a mean. Found {found}.")
        return value


class FusedLosses(nn.Module):
    """Several losses of the same logits from one softmax, one set of counts and one backward pass.

    Args:
        losses: At least one. One that is none of ours is taken as `Single`.
        reduction: "mean", or "none", which evaluates sample by sample; that of our losses if it is None.

    Shape: as `Loss`; returns `(N,)`, in the order of `losses`, equal to evaluating each alone; `(B, N)` for "none".

    Raises:
        ValueError: if there is no loss, or they disagree about `num_classes`, `ignore_index`, `activation` or
            `reduction`.

    >>> from dmf import build_loss
    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> [round(value, 4) for value in FusedLosses([build_loss("dice", 2), build_loss("iou", 2)])(p.log(), y).tolist()]
    [0.381, 0.55]
    """

    def __init__(self, losses: Sequence[nn.Module], reduction: str | None = None) -> None:
        super().__init__()
        require(bool(losses), "losses", losses, "at least one loss")
        losses = [loss if isinstance(loss, Single) or hasattr(loss, "task") else Single(loss) for loss in losses]
        for name in ("num_classes", "ignore_index", "activation", "reduction"):
            found = {getattr(loss, name) for loss in losses if not isinstance(loss, Single)}
            if name == "reduction":
                found |= {reduction} - {None}
                self.reduction: str = next(iter(found), MEAN)
            if len(found) > 1:
                raise ValueError(f"Losses that are fused must share `{name}`. Found {sorted(map(str, found))}.")
        require_choice("reduction", self.reduction, REDUCTIONS)
        self.losses = nn.ModuleList(losses)
        self._seen = False

    def forward(self, logits: Float[Tensor, "B C *spatial"], target: Tensor) -> Float[Tensor, "*B N"]:
        """Value of every loss."""
        ours: Any = [loss for loss in self.losses if not isinstance(loss, Single)]
        if not self._seen:
            self._seen = True
            if ours:  # whether the first labels are some, on whatever device
                check(logits, target, ours[0].task, values=True)
        return reduced(self.reduction, lambda z, y: self._values(ours, z, y), logits, target)

    def _values(self, ours: Any, logits: Tensor, target: Tensor) -> Float[Tensor, " N"]:
        together = [loss for loss in ours if not loss.by_itself]
        if len(together) == len(self.losses):
            return evaluate(together, logits, target)
        values = iter(evaluate(together, logits, target) if together else ())
        every = [next(values) if loss in together else loss(logits, target).mean() for loss in self.losses]
        return torch.stack([value.to(torch.promote_types(value.dtype, torch.float32)) for value in every])


def reduced(
    reduction: str, value: Callable[[Tensor, Tensor], Tensor], logits: Tensor, target: Tensor
) -> Float[Tensor, "*B ..."]:
    """The value of a batch, or of each sample as a batch of its own."""
    tensors = isinstance(logits, Tensor) and isinstance(target, Tensor)
    if reduction == MEAN or not (tensors and logits.ndim and target.ndim and len(logits)):
        return value(logits, target)
    require(len(target) == len(logits), "target", tuple(target.shape), f"of {len(logits)} samples, as the logits are")
    return torch.stack([value(logits[i : i + 1], target[i : i + 1]) for i in range(len(logits))])


class Kinds(NamedTuple):
    """Losses by what they follow from: soft counts, hard counts, or pixels."""

    soft: list[Any]
    hard: list[Any]
    pixelwise: list[Any]

    @classmethod
    def of(cls, losses: Sequence[Member]) -> Kinds:
        """These, in their order; those that are evaluated by themselves are in none."""
        regions = [loss for loss in losses if isinstance(loss, Region)]
        soft, hard = ([loss for loss in regions if bool(loss.hard) == kind] for kind in (False, True))
        return cls(soft, hard, [loss for loss in losses if isinstance(loss, Pixelwise)])


class Evidence(NamedTuple):
    """What losses follow from: counts, soft and hard, and the mean of each pixelwise loss."""

    soft: Counts | None
    hard: Counts | None
    means: Sequence[Tensor]


def evaluate(
    losses: Sequence[Member],
    logits: Float[Tensor, "B C *spatial"],
    target: Tensor,
    statistics: Statistics = fused_statistics,
) -> Float[Tensor, " N"]:
    """Value of every loss for the batch; `statistics` may be `plain_statistics`, by which the fused pass is tested."""
    plan = direct_plan(losses, logits, target) if statistics is fused_statistics else None
    task = losses[0].task
    problems = prepare(logits, target, task, values=plan is None)
    if plan is not None:
        direct: Tensor = plan.values(*problems[0])
        if direct.isnan().any():  # maybe of a label that is none
            check(logits, target, task, values=True)
        return direct
    kinds = Kinds.of(losses)
    parts = [evidence(kinds, *problem, statistics) for problem in problems]
    found = over_channels(kinds, parts) if task.activation == SIGMOID else parts[0]
    values: dict[Any, Tensor] = dict(zip(kinds.pixelwise, found.means, strict=True))
    for regions, counts in ((kinds.soft, found.soft), (kinds.hard, found.hard)):
        if counts is not None:
            values |= {loss: loss.from_counts(counts) for loss in regions}

    def value(loss: Any) -> Tensor:
        if loss in values:
            return values[loss]
        return whole(loss, logits, target) if isinstance(loss, Whole) else loss(logits, target).mean()

    return torch.stack([value(loss) for loss in losses])


def direct_plan(losses: Sequence[Member], logits: Any, target: Any) -> Any:
    """The `Plan` by which compiled loops take these losses of class indices from beginning to end; None if they cannot.

    What is wrong with the arguments is said by others.
    """
    tensors = isinstance(logits, Tensor) and isinstance(target, Tensor)
    if not tensors or losses[0].task.activation == SIGMOID or logits.dtype == torch.float64:
        return None
    indices = not target.is_floating_point() and not target.is_complex() and target.ndim == logits.ndim - 1 > 0
    if not (indices and in_rows(logits) and usable(logits, target)):
        return None
    from dmf.losses.direct import Plan

    return Plan.of(losses)


def whole(loss: Any, logits: Tensor, target: Tensor) -> Float[Tensor, ""]:
    """Value of a loss of the family `Whole`, whose gradient reaches the logits by itself."""
    values = [loss.from_labels(labels.masked(z), labels) for z, labels in prepare(logits, target, loss.task)]
    return loss.over_classes(torch.stack(values)) if loss.task.activation == SIGMOID else values[0]


def evidence(kinds: Kinds, z: Float[Tensor, "B C S"], labels: Labels, statistics: Statistics) -> Evidence:
    """What the losses follow from in one problem."""
    soft: Counts | None = None
    means: Sequence[Tensor] = ()
    if kinds.pixelwise or kinds.soft:
        statistics = plain_statistics if isinstance(labels, SoftLabels) else statistics
        (tp, fp, fn), values = statistics(z, labels, [weighted(loss) for loss in kinds.pixelwise])
        soft = Counts(tp, fp, fn, images=len(z))
        means = [over_weights(*each, labels) for each in zip(kinds.pixelwise, values, strict=True)]
    return Evidence(soft, hard_counts(z, labels) if kinds.hard else None, means)


def over_channels(kinds: Kinds, parts: Sequence[Evidence]) -> Evidence:
    """Channels as classes: each counts what is present in it, and a mean over pixels is one over channels, too."""

    def present(found: Sequence[Counts | None]) -> Counts | None:
        counts = [one for one in found if one is not None]
        if not counts:
            return None
        tp, fp, fn = (torch.stack([getattr(one, name)[1] for one in counts]) for name in ("tp", "fp", "fn"))
        return Counts(tp, fp, fn, counts[0].images)

    means = zip(*(part.means for part in parts), strict=True)
    values = [loss.over_classes(torch.stack(each)) for loss, each in zip(kinds.pixelwise, means, strict=True)]
    return Evidence(present([part.soft for part in parts]), present([part.hard for part in parts]), values)


@torch.no_grad()
def hard_counts(z: Float[Tensor, "B C S"], labels: Labels) -> Counts:
    """Counts of the most probable class, the first of equals."""
    winner = z.softmax(1).argmax(1)
    predicted = labels.kept(Labels(winner, labels.num_classes, None, labels.dtype).one_hot)
    tp, found, present = (part.sum((0, 2)) for part in (predicted * labels.one_hot, predicted, labels.one_hot))
    check = labels.checked(present.sum()) * 0
    return Counts(tp + check, found - tp, present - tp, images=len(z))
