"""The compiled pass: equal to autograd in float64 and to torch's own pass, whatever the memory holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dmf.losses import LOSSES, VARIANTS, FusedLosses, Loss, build_loss, evaluate
from dmf.losses.families import Pixels, Probability, TrueClass, Whole
from dmf.losses.fused_pass import plain_statistics, views
from dmf.losses.labels import Labels
from dmf.losses.problems import prepare
from dmf.losses.views import BinaryView, SoftmaxView
from dmf.losses.weighted import polynomial_of

pytest.importorskip("numba")
from dmf.losses.compiled_view import CompiledView

SIX = ("cross_entropy", "iou", "dice", "tversky", "focal", "cb_dice")
COMPILED = [
    (fidelity, name)
    for fidelity, registry in VARIANTS.items()
    for name, cls in registry.items()
    if not issubclass(cls, Probability | Whole) and not getattr(cls, "hard", False)
]
SHAPES = [
    (2, 2, 31, 33),
    (2, 3, 40, 60),
    (1, 4, 33, 32),
    (3, 8, 9, 9),
    (2, 21, 12, 12),
    (1, 2, 3, 11, 100),
    (1, 2, 1, 1),
]
"""Of less than a block, of blocks and a rest, of a pixel."""


@pytest.fixture
def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmf.kernels.installed", lambda: False)


def example(shape: tuple[int, ...], scale: float = 2.0, last: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(shape, generator=generator)
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=generator)
    if last:
        logits = logits.movedim(1, -1).contiguous().movedim(-1, 1)
    return logits.requires_grad_(), target


def both(losses: list[Loss], logits: Tensor, target: Tensor, **how: object) -> tuple[Tensor, Tensor]:
    """Values, and the gradient of a sum in which every loss has another weight, times the pixels."""
    values = evaluate(losses, logits, target, **how)  # type: ignore[arg-type]
    weights = torch.linspace(0.5, 2, len(losses), dtype=values.dtype)
    return values, torch.autograd.grad(values @ weights, logits)[0] * target.numel()


def view_of(losses: list[Loss], logits: Tensor, target: Tensor) -> type:
    z, labels = prepare(logits, target, losses[0].task)[0]
    pixelwise = [loss for loss in losses if isinstance(loss, TrueClass | Probability)]
    return type(next(views(z.detach(), labels, pixelwise))[1])


@pytest.mark.parametrize("last", [False, True], ids=["by class", "by pixel"])
@pytest.mark.parametrize("ignore_index", [None, 1, -100])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_six_losses_are_those_of_autograd_in_float64(
    shape: tuple[int, ...], ignore_index: int | None, last: bool
) -> None:
    """To 2e-6: values of themselves, gradients of the greatest."""
    logits, target = example(shape, last=last)
    if ignore_index == -100:
        target.view(-1)[1::3] = -100
    losses = [build_loss(name, shape[1], ignore_index=ignore_index) for name in SIX]
    assert view_of(losses, logits, target) is CompiledView
    values, slopes = both(losses, logits, target)
    exact = logits.detach().double().requires_grad_()
    expected, gradient = both(losses, exact, target, statistics=plain_statistics)
    torch.testing.assert_close(values.double(), expected, rtol=2e-6, atol=1e-6)
    torch.testing.assert_close(slopes.double(), gradient, rtol=1e-5, atol=2e-6 * max(1.0, gradient.abs().max().item()))
    assert slopes.stride()[1:] == logits.stride()[1:]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("fidelity", "name"), COMPILED)
def test_every_loss_is_that_of_torchs_pass(
    fidelity: str, name: str, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, target = example((3, classes, 20, 21))
    losses = [build_loss(name, classes, fidelity, ignore_index=1)]
    assert view_of(losses, logits, target) is CompiledView
    found = both(losses, logits, target)
    monkeypatch.setattr("dmf.kernels.installed", lambda: False)
    assert view_of(losses, logits, target) is (BinaryView if classes == 2 else SoftmaxView)
    for one, expected in zip(found, both(losses, logits, target), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("params", [{}, {"class_weights": (1.0, 3.0, 0.5)}, {"activation": "sigmoid"}], ids=str)
def test_all_together_are_those_of_torchs_pass(params: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """With class weights, powers of other degrees, and losses that are no polynomial, some images at a time."""
    alpha = (0.2, 0.7) if "activation" in params else (0.2, 0.7, 0.4)
    focal = [build_loss("focal", 3, alpha=alpha, gamma=g, difficulty_weight=0.5, **params) for g in (0, 1, 2, 2.5, 4)]
    losses = [build_loss(name, 3, **params) for fidelity, name in COMPILED if fidelity == "paper"] + focal
    logits, target = example((5, 3, 16, 16))
    monkeypatch.setattr("dmf.losses.fused_pass.CHUNK", 512)
    assert view_of(losses, logits, target) is CompiledView
    found = both(losses, logits, target)
    monkeypatch.setattr("dmf.kernels.installed", lambda: False)
    for one, expected in zip(found, both(losses, logits, target), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.bool])
def test_integer_types_are_read_as_they_are(classes: int, dtype: torch.dtype) -> None:
    logits, target = example((2, classes, 30, 40))
    target = target.clamp_max(1)
    for ignore_index in (None, 0, 255, -1):
        losses = [build_loss(name, classes, ignore_index=ignore_index) for name in SIX]
        assert view_of(losses, logits, target.to(dtype)) is CompiledView
        for found, expected in zip(both(losses, logits, target.to(dtype)), both(losses, logits, target), strict=True):
            assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("classes", "label", "dtype"),
    [
        (2, 255, torch.uint8),
        (2, -1, torch.int8),
        (3, 3, torch.int16),
        (3, 2**40, torch.long),
        (2, -(2**40), torch.long),
    ],
)
def test_a_label_that_is_none_makes_the_losses_nan(
    classes: int, label: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dmf.losses.problems.require_values", lambda *_: None)
    logits, target = example((2, classes, 30, 40))
    target[1, 2, 3] = label
    values, slopes = both([build_loss(name, classes, ignore_index=7) for name in SIX], logits, target.to(dtype))
    assert values.isnan().all()
    assert slopes.isnan().any()


def test_more_classes_than_a_byte_has_labels() -> None:
    logits, _ = example((1, 300, 16, 16))
    target = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    losses = [build_loss(name, 300) for name in ("cross_entropy", "dice")]
    assert view_of(losses, logits, target) is CompiledView
    torch.testing.assert_close(both(losses, logits, target)[0], both(losses, logits, target.long())[0])
    torch.testing.assert_close(
        losses[0](logits, target), torch.nn.functional.cross_entropy(logits, target.long()), rtol=2e-6, atol=0
    )


@pytest.mark.parametrize("classes", [2, 4])
def test_any_number_of_threads_gives_the_same_bits(classes: int, set_threads: Callable[[int], None]) -> None:
    logits, target = example((5, classes, 150, 151))
    losses = [build_loss(name, classes) for name in SIX]
    answers = []
    for number in (1, 2, 3):
        set_threads(number)
        answers.append(both(losses, logits, target))
    assert all(torch.equal(one, other) for answer in answers for one, other in zip(answer, answers[0], strict=True))


def test_the_surest_answers_keep_their_gradient() -> None:
    """That of cross-entropy is 1 − p to its own precision, not to that of p, out to margins of 80."""
    margin = torch.linspace(-100, 79, 4000)
    logits = torch.stack([torch.zeros(4000), margin], dim=1).requires_grad_()
    target = torch.ones(4000, dtype=torch.long)
    value, slopes = both([build_loss("cross_entropy", 2)], logits, target)
    assert view_of([build_loss("cross_entropy", 2)], logits, target) is CompiledView
    torch.testing.assert_close(-slopes[:, 1].double() / 0.5, torch.sigmoid(-margin.double()), rtol=1e-6, atol=0)
    expected = torch.nn.functional.softplus(-margin.double(), threshold=200).mean()
    torch.testing.assert_close(value[0].double(), expected, rtol=1e-7, atol=0)


@pytest.mark.parametrize("classes", [2, 3])
def test_infinite_and_huge_logits(classes: int) -> None:
    losses = [build_loss(name, classes) for name in SIX]
    for size in (100.0, 1e4, 1e30, torch.inf)[: 4 if classes == 2 else 3]:  # more classes: ∞ − ∞, as torch has it
        logits, target = example((1, classes, 10, 10))
        logits = torch.where(torch.arange(classes).view(1, -1, 1, 1) == 0, size, logits.detach()).requires_grad_()
        values, slopes = both(losses, logits, target)
        assert slopes.isfinite().all()
        assert values[1:4].isfinite().all()
        assert values.isnan().logical_not().all()


def test_nan_logits_are_not_hidden() -> None:
    for classes in (2, 3):
        for channel in range(classes):
            logits, target = example((1, classes, 10, 10))
            logits.detach()[0, channel, 2, 3] = torch.nan
            values, slopes = both([build_loss(name, classes) for name in SIX], logits, target)
            assert values.isnan().all()
            assert slopes[0, :, 2, 3].isnan().all()


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_that_are_absent(classes: int) -> None:
    logits, target = example((2, classes, 30, 40))
    for label in range(classes):
        losses = [build_loss(name, classes) for name in SIX]
        values, _ = both(losses, logits, torch.full_like(target, label))
        expected, _ = both(losses, logits, torch.full_like(target, label), statistics=plain_statistics)
        torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-6)


def test_who_is_not_for_the_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = [build_loss(name, 2) for name in SIX]
    logits, target = example((4, 2, 8, 8))
    assert view_of(losses, logits, target) is CompiledView
    assert view_of(losses, logits.double(), target) is BinaryView
    assert view_of([*losses, build_loss("mse", 2)], logits, target) is SoftmaxView
    pair = torch.randn(2, 4, 8, 8).transpose(0, 1)  # classes first in memory, then images
    assert view_of(losses, pair, target) is BinaryView
    torch.testing.assert_close(evaluate(losses, pair, target), evaluate(losses, pair.contiguous(), target))
    monkeypatch.setattr("dmf.kernels.installed", lambda: False)
    assert view_of(losses, logits, target) is BinaryView


def test_a_second_derivative_goes_by_autograd() -> None:
    logits, target = example((2, 2, 5, 5))
    total = FusedLosses([build_loss(name, 2) for name in SIX])(logits, target).sum()
    slope = torch.autograd.grad(total, logits, create_graph=True)[0]
    exact = logits.detach().double().requires_grad_()
    total = FusedLosses([build_loss(name, 2) for name in SIX])(exact, target).sum()
    expected = torch.autograd.grad(total, exact, create_graph=True)[0]
    second = torch.autograd.grad(slope.square().sum(), logits)[0]
    torch.testing.assert_close(
        second.double(), torch.autograd.grad(expected.square().sum(), exact)[0], rtol=1e-4, atol=1e-7
    )


@pytest.mark.parametrize("params", [{}, {"difficulty_weight": 0.7}], ids=str)
@pytest.mark.parametrize("name", [name for name, cls in LOSSES.items() if "polynomial" in vars(cls)])
def test_a_polynomial_is_the_loss(name: str, params: dict[str, float]) -> None:
    loss = build_loss(name, 3, **params)
    assert isinstance(loss, TrueClass)
    rows = polynomial_of(loss)  # type: ignore[arg-type]
    assert rows is not None
    p = torch.linspace(0.01, 0.99, 30, dtype=torch.float64).view(1, 30)
    labels = Labels(torch.arange(30).view(1, 30) % 3, 3, None, torch.float64)
    value = loss.value(Pixels(p, p.log), labels)
    coefficients = torch.tensor(rows, dtype=torch.float64).expand(3, -1)[labels.map]
    expected = -p.log() * sum(coefficients[..., k] * (1 - p) ** k for k in range(coefficients.shape[-1]))
    torch.testing.assert_close(value, expected)


def test_a_loss_derived_from_a_polynomial_is_taken_by_its_own_word() -> None:
    class Doubled(type(build_loss("cross_entropy", 2))):  # type: ignore[misc]
        def value(self, pixels: Pixels, labels: Labels) -> Tensor:
            return 2 * super().value(pixels, labels)

        def slope(self, pixels: Pixels, labels: Labels) -> Tensor:
            return 2 * super().slope(pixels, labels)

    logits, target = example((2, 2, 30, 40))
    found = both([Doubled(2)], logits, target)
    for one, plain in zip(found, both([build_loss("cross_entropy", 2)], logits, target), strict=True):
        torch.testing.assert_close(one, 2 * plain, rtol=2e-6, atol=1e-6)
