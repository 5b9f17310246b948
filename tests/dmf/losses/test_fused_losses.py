"""The shared pass: equal to plain autograd, whatever the chunk, the layout, the precision or the compiler."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from dmf.losses import LOSSES, FusedLosses, Loss, build_loss, evaluate, fused_pass
from dmf.losses.fused_pass import plain_statistics

SIX = ("cross_entropy", "iou", "dice", "tversky", "focal", "cb_dice")
BINARY = (*SIX, "exponential", "adapt_exp", "adaptive_focal")  # shown the margin of two classes, not a softmax
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}


def build(names: tuple[str, ...], classes: int, ignore_index: int | None = None) -> list[Loss]:
    return [build_loss(name, classes, ignore_index=ignore_index) for name in names]


def example(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=generator)
    return logits.to(dtype).requires_grad_(), target


def both(losses: list[Loss], logits: Tensor, target: Tensor, **how: object) -> tuple[Tensor, Tensor]:
    """Values, and the gradient of a sum in which every loss has another weight."""
    values = evaluate(losses, logits, target, **how)  # type: ignore[arg-type]
    weights = torch.linspace(0.5, 2, len(losses), dtype=values.dtype)
    return values, torch.autograd.grad(values @ weights, logits)[0]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("ignore_index", [None, 0])
@pytest.mark.parametrize(
    ("names", "shape"),
    [(BINARY, (5, 2, 20, 20)), (BINARY, (3, 2, 6, 7, 8)), (BINARY, (9, 2))]
    + [(tuple(LOSSES), shape) for shape in [(5, 2, 20, 20), (5, 4, 20, 20), (3, 3, 6, 7, 8), (9, 5)]],
)
def test_fused_pass_equals_autograd(
    names: tuple[str, ...], shape: tuple[int, ...], ignore_index: int | None, dtype: torch.dtype
) -> None:
    logits, target = example(shape, dtype)
    losses = build(names, shape[1], ignore_index)
    swept, plain = both(losses, logits, target), both(losses, logits, target, statistics=plain_statistics)
    for found, expected in zip(swept, plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("names", [BINARY, tuple(LOSSES)], ids=["margin", "softmax"])
def test_slabs_make_no_difference(names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    logits, target = example((7, 2, 10, 10))
    losses = build(names, 2, ignore_index=3)
    whole = both(losses, logits, target)
    for chunk in (1, 2 * 200, 3 * 200):
        monkeypatch.setattr(fused_pass, "CHUNK", chunk)
        for found, expected in zip(both(losses, logits, target), whole, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_rare_class_among_many_pixels_keeps_its_precision() -> None:
    """Ten pixels among 400,000: as a difference of sums in float32 their counts would lose three digits."""
    logits, target = example((1, 2, 640, 640), torch.float32)
    for lesion in (0, 1):
        target = torch.full_like(target, 1 - lesion)
        target[0, 0, :10] = lesion
        confident = (logits.detach() + 12 * (2 * target - 1).unsqueeze(1) * torch.tensor([-1, 1]).view(1, 2, 1, 1)) / 2
        losses = build(("iou", "dice", "tversky", "cb_dice"), 2)
        exact = evaluate(losses, confident.double(), target, plain_statistics)
        torch.testing.assert_close(evaluate(losses, confident, target).double(), exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_channels_last_gives_the_same(classes: int, dtype: torch.dtype) -> None:
    logits, target = example((4, classes, 12, 12), dtype)
    last = logits.detach().to(memory_format=torch.channels_last).requires_grad_()
    losses = build(SIX, classes)
    for found, expected in zip(both(losses, last, target), both(losses, logits, target), strict=True):
        torch.testing.assert_close(found, expected)


def test_weights_of_the_losses_reach_the_gradient() -> None:
    logits, target = example((2, 2, 5, 5))
    values = FusedLosses(build(SIX, 2))(logits, target)
    alone = [torch.autograd.grad(loss(logits, target), logits)[0] for loss in build(SIX, 2)]
    weights = torch.tensor([3.0, 0.0, -1.0, 0.5, 2.0, 1.0], dtype=torch.float64)
    swept = torch.autograd.grad(values @ weights, logits)[0]
    torch.testing.assert_close(swept, sum(w * g for w, g in zip(weights, alone, strict=True)), rtol=1e-12, atol=1e-14)


def test_gradient_through_the_weights_and_twice() -> None:
    """A weighting may differentiate the gradient's norm with respect to its weights."""
    logits, target = example((2, 2, 3, 3))
    weights = torch.ones(len(SIX), dtype=torch.float64, requires_grad=True)
    total = FusedLosses(build(SIX, 2))(logits, target) @ weights
    slope = torch.autograd.grad(total, logits, create_graph=True)[0]
    assert torch.autograd.grad(slope.norm(), weights)[0].abs().min() > 0


def test_one_batch_backward_twice() -> None:
    logits, target = example((2, 2, 3, 3))
    values = FusedLosses(build(SIX, 2))(logits, target)
    first = torch.autograd.grad(values.sum(), logits, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(values.sum(), logits)[0])


@pytest.mark.parametrize("classes", [2, 3])
def test_never_waits_for_the_device(classes: int) -> None:
    """Tensors without data: any look at a value, and any shape that depends on one, would raise."""
    with FakeTensorMode():
        logits = torch.empty(4, classes, 8, 8, requires_grad=True)
        target = torch.empty(4, 8, 8, dtype=torch.long)
        for fidelity in ("paper", "reference", "stable"):
            losses = [build_loss(name, classes, fidelity, ignore_index=9) for name in LOSSES]
            FusedLosses(losses)(logits, target).sum().backward()


@pytest.mark.parametrize("classes", [254, 255, 300])
def test_as_many_classes_as_labels_do_not_fit_a_byte(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, _ = example((2, classes, 30, 30))
    target = torch.arange(2 * 30 * 30).view(2, 30, 30) % classes
    cross_entropy, dice = FusedLosses(build(("cross_entropy", "dice"), classes))(logits, target)
    torch.testing.assert_close(cross_entropy, torch.nn.functional.cross_entropy(logits, target))
    p, y = logits.softmax(1), torch.nn.functional.one_hot(target, classes).movedim(-1, 1)
    tp, both = (p * y).sum((0, 2, 3)), p.sum((0, 2, 3)) + y.sum((0, 2, 3))
    torch.testing.assert_close(dice, 1 - (2 * tp / both).mean())
    for label in (-1, classes, 256 + classes, 2**40):
        spoilt = target.clone()
        spoilt[0, 0, 0] = label
        with pytest.raises(ValueError, match=f"Found 1 labels that are none, {label} among them"):
            FusedLosses(build(("cross_entropy", "dice"), classes))(logits, spoilt)
        with monkeypatch.context() as unseen:  # on a GPU, after the first step
            unseen.setattr("dmf.losses.problems.require_values", lambda *_: None)
            assert FusedLosses(build(("cross_entropy", "dice"), classes))(logits, spoilt).isnan().all()


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_compiles_without_a_change(classes: int) -> None:
    logits, target = example((3, classes, 6, 6))
    fused = FusedLosses(build(tuple(LOSSES), classes))
    compiled = torch.compile(fused, backend="aot_eager")
    expected, found = fused(logits, target), compiled(logits, target)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), logits)[0], torch.autograd.grad(expected.sum(), logits)[0]
    )


def test_a_loss_outside_the_families_is_evaluated_by_itself() -> None:
    class Squared(Loss):
        """Mean of the squared logits."""

        def forward(self, logits: Tensor, target: Tensor) -> Tensor:
            return logits.square().mean()

    logits, target = example((2, 3, 4, 4))
    values = FusedLosses([Squared(3), *build(("dice",), 3)])(logits, target)
    torch.testing.assert_close(values[0], logits.square().mean())
    torch.testing.assert_close(values[1], build_loss("dice", 3)(logits, target))


def test_losses_that_cannot_be_fused() -> None:
    with pytest.raises(ValueError, match="share `num_classes`"):
        FusedLosses([build_loss("dice", 2), build_loss("iou", 3)])
    with pytest.raises(ValueError, match="share `ignore_index`"):
        FusedLosses([build_loss("dice", 2), build_loss("iou", 2, ignore_index=0)])
    with pytest.raises(ValueError, match="at least one loss"):
        FusedLosses([])


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 4),
    classes=st.integers(2, 5),
    side=st.integers(1, 6),
    scale=st.sampled_from([1e-12, 1e-3, 1.0, 30.0, 1e3]),
    present=st.integers(1, 5),
    seed=st.integers(0, 999),
)
def test_any_batch(batch: int, classes: int, side: int, scale: float, present: int, seed: int) -> None:
    logits, target = example((batch, classes, side, side), seed=seed)
    logits = (logits.detach() * scale).requires_grad_()
    losses = build(tuple(LOSSES), classes)
    values, slope = both(losses, logits, target % present)
    expected, _ = both(losses, logits, target % present, statistics=plain_statistics)
    torch.testing.assert_close(values, expected, rtol=1e-9, atol=1e-12)
    assert values.ge(-1e-12).all()
    assert slope.isfinite().all()
    assert slope.sum(1).abs().max() < 1e-7  # a constant added to all logits changes nothing
    bounded = values[[list(LOSSES).index(name) for name in ("iou", "dice", "tversky", "cb_dice", "mse", "exponential")]]
    assert bounded.le(1 + 1e-12).all()
