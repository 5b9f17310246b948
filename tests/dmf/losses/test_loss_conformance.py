"""What every registered loss must hold to. A new loss is under test as soon as it is registered, and it must be."""

from __future__ import annotations

import inspect
import itertools
import re

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dmf.losses import LOSSES, VARIANTS, FusedLosses, Loss, ProbabilityLoss, RegionLoss, TrueClassLoss, build_loss

EVERY = [(fidelity, name) for fidelity, registry in VARIANTS.items() for name in registry]
WITH_GRADIENT = [(fidelity, name) for fidelity, name in EVERY if not getattr(VARIANTS[fidelity][name], "hard", False)]
SHAPES = [(2, 2, 6, 7), (3, 4, 6, 7), (2, 3, 4, 5, 6), (8, 3), (8, 2)]

every = pytest.mark.parametrize(("fidelity", "name"), EVERY)
with_gradient = pytest.mark.parametrize(("fidelity", "name"), WITH_GRADIENT)


def example(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    return logits, torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=generator)


def gradient(loss: Loss, logits: Tensor, target: Tensor) -> Tensor:
    return torch.autograd.grad(loss(logits, target), logits)[0]


def family(cls: type[Loss]) -> list[type[Loss]]:
    return [cls, *itertools.chain.from_iterable(family(child) for child in cls.__subclasses__())]


def test_every_loss_class_is_registered() -> None:
    registered = {cls for registry in VARIANTS.values() for cls in registry.values()}
    own = {cls for cls in family(Loss) if cls.__module__.startswith("dmf.losses")}
    unregistered = own - registered - {Loss, RegionLoss, TrueClassLoss, ProbabilityLoss}
    # What is left may only be a base of registered classes that has no value of its own.
    for cls in unregistered:
        assert any(issubclass(known, cls) for known in registered)
        assert "from_counts" not in vars(cls)
        assert "value" not in vars(cls)


def test_variants_are_variants_of_known_losses() -> None:
    assert all(name in LOSSES for _, name in EVERY)


@every
def test_docstring_gives_equation_and_source(fidelity: str, name: str) -> None:
    text = inspect.getdoc(VARIANTS[fidelity][name]) or ""
    assert "Source: " in text
    assert re.search(r"`[^`]*[Σ∑=−/][^`]*`", text), "no equation"


@every
def test_extra_settings_have_defaults_and_show(fidelity: str, name: str) -> None:
    loss = build_loss(name, 3, fidelity, ignore_index=2)
    assert "num_classes=3" in repr(loss)
    assert "ignore_index=2" in repr(loss)


@with_gradient
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_finite_scalar_with_gradient_to_every_class(fidelity: str, name: str, shape: tuple[int, ...]) -> None:
    logits, target = example(shape)
    loss = build_loss(name, shape[1], fidelity)
    value = loss(logits, target)
    slope = gradient(loss, logits, target)
    assert value.shape == ()
    assert value.dtype == torch.float64
    assert value.isfinite()
    assert slope.shape == logits.shape
    assert slope.isfinite().all()
    assert (slope.abs().flatten(2).sum(2) if slope.ndim > 2 else slope.abs()).sum(0).gt(0).all()


@with_gradient
@pytest.mark.parametrize("ignore_index", [None, 1])
@pytest.mark.parametrize("shape", [(2, 2, 3, 3), (2, 3, 2, 3), (5, 3)], ids=str)
def test_gradcheck(fidelity: str, name: str, shape: tuple[int, ...], ignore_index: int | None) -> None:
    logits, target = example(shape)
    loss = build_loss(name, shape[1], fidelity, ignore_index=ignore_index)
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits)


@with_gradient
def test_second_derivative(fidelity: str, name: str) -> None:
    logits, target = example((2, 2, 2, 3))
    loss = build_loss(name, 2, fidelity)
    assert torch.autograd.gradgradcheck(lambda z: loss(z, target), logits)


@with_gradient
def test_better_answers_cost_less(fidelity: str, name: str) -> None:
    _, target = example((4, 3, 8, 8))
    good = 4.0 * one_hot(target, 3).movedim(-1, 1).double()
    loss = build_loss(name, 3, fidelity)
    wrong = good.roll(1, dims=1)
    costs = [loss(z, target).item() for z in (2 * good, good, 0 * good, wrong)]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]


@every
def test_order_of_images_and_pixels_is_free(fidelity: str, name: str) -> None:
    logits, target = example((4, 3, 6, 6))
    loss = build_loss(name, 3, fidelity)
    torch.testing.assert_close(loss(logits.flip(0, 2), target.flip(0, 1)), loss(logits, target))
    torch.testing.assert_close(loss(logits.mT, target.mT), loss(logits, target))


@every
def test_names_of_foreground_classes_are_free(fidelity: str, name: str) -> None:
    logits, target = example((2, 4, 6, 6))
    order = torch.tensor([0, 3, 1, 2])
    loss = build_loss(name, 4, fidelity)
    torch.testing.assert_close(loss(logits[:, order.argsort()], order[target]), loss(logits, target))


@every
def test_a_constant_added_to_all_logits_changes_nothing(fidelity: str, name: str) -> None:
    if (fidelity, name) == ("reference", "adaptive_focal"):
        pytest.skip("takes each channel through a sigmoid of its own")
    logits, target = example((2, 3, 6, 6))
    loss = build_loss(name, 3, fidelity)
    torch.testing.assert_close(loss(logits + 100, target), loss(logits, target))


@with_gradient
@pytest.mark.parametrize("classes", [2, 3])
def test_ignored_pixels_count_nowhere(fidelity: str, name: str, classes: int) -> None:
    logits, target = example((2, classes, 6, 6))
    target[:, :, 3:] = 255
    loss = build_loss(name, classes, fidelity, ignore_index=255)
    slope = gradient(loss, logits, target)
    assert slope[..., 3:].abs().max() == 0
    assert slope[..., :3].abs().min() > 0
    other = torch.where(target.unsqueeze(1) == 255, torch.randn_like(logits) * 9, logits)
    torch.testing.assert_close(loss(other, target), loss(logits, target))
    if "adaptive_focal" not in name:  # whose outline sees the ignored region's border
        kept = build_loss(name, classes, fidelity)(logits[..., :3], target[..., :3])
        torch.testing.assert_close(loss(logits, target), kept)


@with_gradient
@pytest.mark.parametrize("classes", [2, 3])
def test_a_batch_of_ignored_pixels_is_finite(fidelity: str, name: str, classes: int) -> None:
    logits, target = example((2, classes, 4, 4))
    loss = build_loss(name, classes, fidelity, ignore_index=255)
    assert loss(logits, torch.full_like(target, 255)).isfinite()
    assert gradient(loss, logits, torch.full_like(target, 255)).abs().max() == 0


@every
@pytest.mark.parametrize("classes", [2, 3])
def test_labels_that_are_no_class_are_refused_or_give_nan(
    fidelity: str, name: str, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN where nobody looks, as on a GPU, for which every step would have to wait."""
    logits, target = example((2, classes, 6, 6))
    loss = build_loss(name, classes, fidelity)
    for label in (255, -1, classes):
        target[1, 2, 3] = label
        with pytest.raises(ValueError, match=rf"from 0 to {classes - 1}\. Found 1 labels that are none, {label} among"):
            loss(logits, target)
        with monkeypatch.context() as patch:
            patch.setattr("dmf.losses.problems.require_values", lambda *_: None)
            assert loss(logits, target).isnan()


@every
def test_an_ignored_label_beside_one_that_is_no_class_does_not_hide_it(fidelity: str, name: str) -> None:
    logits, target = example((2, 2, 6, 6))
    target[:, :, :2], target[0, 5, 5] = 255, 7
    with pytest.raises(
        ValueError, match=r"from 0 to 1 or 255, which is ignored\. Found 1 labels that are none, 7 among"
    ):
        build_loss(name, 2, fidelity, ignore_index=255)(logits, target)


def test_masks_of_0_and_255_are_refused_at_the_first_step() -> None:
    logits, target = example((1, 2, 8, 8))
    with pytest.raises(ValueError, match=r"Found \d+ labels that are none, 255 among them; divide masks of 0 and 255"):
        FusedLosses([build_loss("dice", 2)])(logits, (255 * target).to(torch.uint8))


@with_gradient
@pytest.mark.parametrize("mask", ["empty", "full", "one pixel", "class 2 absent"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_degenerate_masks_are_finite(fidelity: str, name: str, mask: str, dtype: torch.dtype) -> None:
    classes = 3 if mask == "class 2 absent" else 2
    logits, target = example((2, classes, 6, 6), dtype)
    target = {"empty": target * 0, "full": target * 0 + 1}.get(mask, target.clamp_max(1))
    if mask == "one pixel":
        target = (torch.arange(72).view(2, 6, 6) == 40).long()
    loss = build_loss(name, classes, fidelity)
    assert loss(logits, target).isfinite()
    assert gradient(loss, logits, target).isfinite().all()


@with_gradient
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_extreme_logits_are_finite(fidelity: str, name: str, classes: int, dtype: torch.dtype) -> None:
    logits, target = example((2, classes, 6, 6))
    for scale in (1e4, 100.0, 20.0):
        extreme = (logits.detach().sign() * scale).to(dtype).requires_grad_()
        loss = build_loss(name, classes, fidelity)
        assert loss(extreme, target).isfinite()
        assert gradient(loss, extreme, target).isfinite().all()


@with_gradient
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_accumulated_in_float32(fidelity: str, name: str, classes: int, dtype: torch.dtype) -> None:
    # 300 x 300 pixels exceed what fp16 can hold as a sum, and what bf16 can count to.
    logits, target = example((1, classes, 300, 300), dtype)
    loss = build_loss(name, classes, fidelity)
    value = loss(logits, target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.double(), loss(logits.detach().double(), target), rtol=2e-6, atol=2e-6)
    assert gradient(loss, logits, target).dtype == dtype


@every
def test_integer_types_of_labels_agree(fidelity: str, name: str) -> None:
    logits, target = example((2, 2, 6, 6))
    loss = build_loss(name, 2, fidelity)
    for dtype in (torch.uint8, torch.int8, torch.int32, torch.bool):
        assert torch.equal(loss(logits, target.to(dtype)), loss(logits, target))


@every
@pytest.mark.parametrize("shape", [(2, 2, 6, 6), (2, 3, 4, 4, 4), (8, 3)], ids=str)
def test_labels_may_have_an_axis_of_one_channel(fidelity: str, name: str, shape: tuple[int, ...]) -> None:
    logits, target = example(shape)
    loss = build_loss(name, shape[1], fidelity)
    assert torch.equal(loss(logits, target.unsqueeze(1)), loss(logits, target))
    assert torch.equal(loss(logits, target.unsqueeze(1).to(torch.uint8)), loss(logits, target))


@pytest.mark.parametrize("fidelity", VARIANTS)
def test_no_two_losses_are_the_same(fidelity: str) -> None:
    logits, target = example((3, 3, 6, 6))
    values = {name: build_loss(name, 3, fidelity)(logits, target).item() for name in LOSSES}
    for (one, a), (other, b) in itertools.combinations(values.items(), 2):
        assert abs(a - b) > 1e-6, (one, other)


@with_gradient
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fused_equals_alone(fidelity: str, name: str, shape: tuple[int, ...]) -> None:
    logits, target = example(shape)
    alone = build_loss(name, shape[1], fidelity)
    fused = FusedLosses([build_loss(other, shape[1], fidelity) for other in LOSSES] + [alone])
    value = fused(logits, target)[-1]
    torch.testing.assert_close(value, alone(logits, target), rtol=1e-12, atol=1e-12)
    slope = torch.autograd.grad(value, logits)[0]
    torch.testing.assert_close(slope, gradient(alone, logits, target), rtol=1e-12, atol=1e-12)


@with_gradient
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (2, 2, 9, 9), (8, 3)], ids=str)
def test_the_callers_autocast_changes_nothing(
    fidelity: str, name: str, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    """In the forward pass, in the backward pass, and in what a second derivative is taken through."""
    logits, target = example(shape, torch.float32)
    loss = build_loss(name, shape[1], fidelity)

    def answers() -> list[Tensor]:
        total = loss(logits, target)
        first = torch.autograd.grad(total, logits, create_graph=True)[0]
        return [total, first, *torch.autograd.grad(first.square().sum(), logits)]

    plain = [*answers(), gradient(loss, logits, target)]
    with torch.autocast("cpu", dtype):
        found = [*answers(), gradient(loss, logits, target)]
    assert all(torch.equal(one, other) for one, other in zip(found, plain, strict=True))


@every
def test_what_is_no_tensor_is_refused_by_name(fidelity: str, name: str) -> None:
    logits, target = example((2, 2, 4, 4))
    loss = build_loss(name, 2, fidelity)
    outputs = {"a list of 2: give": [logits, logits], "a dict of out, aux: give": {"out": logits, "aux": logits}}
    for found, given in {**outputs, "ndarray": logits.detach().numpy(), "a tuple of 1": (logits,)}.items():
        with pytest.raises(ValueError, match=rf"`logits` must be a tensor \(B, 2, \*spatial\)\. Found {found}"):
            loss(given, target)
    with pytest.raises(ValueError, match=r"`target` must be a tensor of integer labels .* Found ndarray"):
        loss(logits, target.numpy())


@every
@pytest.mark.parametrize("shape", [(0, 2, 4, 4), (2, 2, 0, 4), (0, 2), (2, 2, 4, 0, 4)], ids=str)
def test_a_batch_of_nothing_is_refused(fidelity: str, name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"`logits` must be of at least one image and pixel.* Found \("):
        build_loss(name, 2, fidelity)(torch.zeros(shape), torch.zeros((shape[0], *shape[2:]), dtype=torch.int64))


@every
def test_half_modules_keep_what_they_hold(fidelity: str, name: str) -> None:
    """Such as the class weights of `focal`: 0.3 is 0.3000488 in half precision."""
    params = {"alpha": [0.3, 0.7]} if (name, fidelity) == ("focal", "paper") else {}
    logits, target = example((2, 2, 6, 6))
    expected = build_loss(name, 2, fidelity, **params)(logits, target)
    for convert in (torch.nn.Module.half, torch.nn.Module.bfloat16, torch.nn.Module.double):
        found = convert(build_loss(name, 2, fidelity, **params))(logits, target)
        assert torch.equal(found, expected)
