"""Several losses of the same logits at the price of little more than one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dmf.checks import require
from dmf.losses.families import Counts, Member, Pixelwise, Probability, Region, TrueClass
from dmf.losses.fused_pass import Statistics, fused_statistics
from dmf.losses.labels import Labels, prepare, require_classes


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

    Shape: as `Loss`; returns `(N,)`, in the order of `losses`, equal to evaluating each alone.

    Raises:
        ValueError: if there is no loss, or they disagree about `num_classes` or `ignore_index`.

    >>> from dmf import build_loss
    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> [round(value, 4) for value in FusedLosses([build_loss("dice", 2), build_loss("iou", 2)])(p.log(), y).tolist()]
    [0.381, 0.55]
    """

    def __init__(self, losses: Sequence[nn.Module]) -> None:
        super().__init__()
        require(bool(losses), "losses", losses, "at least one loss")
        for name in ("num_classes", "ignore_index"):
            found = {getattr(loss, name) for loss in losses if not isinstance(loss, Single)}
            if len(found) > 1:
                raise ValueError(f"Losses that are fused must share `{name}`. Found {sorted(map(str, found))}.")
        self.losses = nn.ModuleList(losses)
        self._seen = False

    def forward(self, logits: Float[Tensor, "B C *spatial"], target: Int[Tensor, " B *spatial"]) -> Float[Tensor, " N"]:
        """Value of every loss."""
        if not self._seen:
            self._seen = True
            self._look_at(target)
        fused: Any = [loss for loss in self.losses if not isinstance(loss, Single)]
        if len(fused) == len(self.losses):
            return evaluate(fused, logits, target)
        values = iter(evaluate(fused, logits, target) if fused else ())
        every = [loss(logits, target) if isinstance(loss, Single) else next(values) for loss in self.losses]
        return torch.stack([value.to(torch.promote_types(value.dtype, torch.float32)) for value in every])

    def _look_at(self, target: Tensor) -> None:
        """Whether the labels of the first step are classes, on whatever device."""
        known = [loss for loss in self.losses if not isinstance(loss, Single)]
        if known and isinstance(target, Tensor) and not target.is_floating_point():
            require_classes(target, known[0].num_classes, known[0].ignore_index)  # type: ignore[arg-type]


def evaluate(
    losses: Sequence[Member],
    logits: Float[Tensor, "B C *spatial"],
    target: Int[Tensor, " B *spatial"],
    statistics: Statistics = fused_statistics,
) -> Float[Tensor, " N"]:
    """Value of every loss; `statistics` may be `plain_statistics`, by which the fused pass is tested."""
    z, labels = prepare(logits, target, losses[0].num_classes, losses[0].ignore_index)
    pixelwise: list[Pixelwise] = [loss for loss in losses if isinstance(loss, TrueClass | Probability)]
    soft: Counts | None = None
    hard: Counts | None = None
    means: Iterator[Tensor] = iter(())
    if pixelwise or any(isinstance(loss, Region) and not loss.hard for loss in losses):
        (tp, fp, fn), values = statistics(z, labels, pixelwise)
        soft = Counts(tp, fp, fn, images=len(z))
        means = iter(values)
    if any(isinstance(loss, Region) and loss.hard for loss in losses):
        hard = hard_counts(z, labels)

    def value(loss: Member) -> Tensor:
        if isinstance(loss, Region):
            counts = hard if loss.hard else soft
            assert counts is not None
            return loss.from_counts(counts)
        return next(means) if isinstance(loss, Pixelwise) else loss(logits, target)

    return torch.stack([value(loss) for loss in losses])


@torch.no_grad()
def hard_counts(z: Float[Tensor, "B C S"], labels: Labels) -> Counts:
    """Counts of the most probable class, the first of equals."""
    winner = z.softmax(1).argmax(1)
    predicted = labels.kept(Labels(winner, labels.num_classes, None, labels.dtype).one_hot)
    tp, found, present = (part.sum((0, 2)) for part in (predicted * labels.one_hot, predicted, labels.one_hot))
    check = labels.checked(present.sum()) * 0
    return Counts(tp + check, found - tp, present - tp, images=len(z))
