"""Every loss with every form of target: the same labels cost the same, however they are written down."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from dmf.losses import LOSSES, VARIANTS, FusedLosses, Loss, RegionLoss, build_loss, evaluate
from dmf.losses.fused_pass import plain_statistics
from tests.support.forms import CHANNELS, EVERY, INDICES, example, hot, presence, soft

every = pytest.mark.parametrize(("fidelity", "name"), EVERY)
PUBLISHED = ("reference", "adaptive_focal")
"""Code of its authors', as it is: neither soft labels nor a choice of activation or weights."""
NEEDS_CLASSES = "cb_dice"
"""Balances classes, of which one logit has too few."""
SHAPES = [(2, 2, 4, 5), (2, 3, 4, 5), (2, 3, 2, 3, 3), (7, 3)]


def value_and_gradient(loss: Any, logits: Tensor, target: Tensor) -> tuple[Tensor, ...]:
    value = loss(logits, target)
    if not value.requires_grad:
        return (value.detach(),)
    return value.detach(), torch.autograd.grad(value.sum(), logits)[0]


def assert_same(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def with_ignored(target: Tensor) -> Tensor:
    """Class indices with some pixels that are none."""
    target = target.clone()
    target.view(-1)[::5] = 255
    return target


@every
@pytest.mark.parametrize("ignore_index", [None, 255])
def test_the_same_labels_cost_the_same_in_every_form(fidelity: str, name: str, ignore_index: int | None) -> None:
    for shape in SHAPES:
        logits, labels = example(shape)
        target = labels if ignore_index is None else with_ignored(labels)
        loss = build_loss(name, shape[1], fidelity, ignore_index=ignore_index)
        expected = value_and_gradient(loss, logits, target)
        for form in INDICES.values():
            assert_same(value_and_gradient(loss, logits, form(target)), expected)
        channels = torch.where(target.unsqueeze(1) == 255, 255, hot(labels, shape[1]))
        for kind, form in CHANNELS.items():
            if (kind == "bool" and ignore_index) or ("float" in kind and (fidelity, name) == PUBLISHED):
                continue
            assert_same(value_and_gradient(loss, logits, form(channels)), expected)
        if shape[1] == 2 and ignore_index is None:
            assert_same(value_and_gradient(loss, logits, target.bool()), expected)


@every
def test_a_class_may_be_the_ignored_label_in_every_form_that_has_labels(fidelity: str, name: str) -> None:
    logits, labels = example((2, 3, 4, 5))
    loss = build_loss(name, 3, fidelity, ignore_index=1)
    expected = value_and_gradient(loss, logits, labels)
    for target in (labels.float(), hot(labels, 3), hot(labels, 3).bool()):
        assert_same(value_and_gradient(loss, logits, target), expected)
    with pytest.raises(ValueError, match=r"`ignore_index` is 1, and .* could mean entries that are 1, or pixels of cl"):
        loss(logits, hot(labels, 3).float())


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "exponential", "paced_focal", "binary_cross_entropy"])
def test_soft_labels_cost_what_hard_ones_would_on_average(name: str) -> None:
    logits, one = example((2, 3, 4, 5))
    _, other = example((2, 3, 4, 5), seed=1)
    loss = build_loss(name, 3)
    mixed = 0.3 * hot(one, 3) + 0.7 * hot(other, 3)
    torch.testing.assert_close(loss(logits, mixed).double(), 0.3 * loss(logits, one) + 0.7 * loss(logits, other))


@every
def test_soft_labels_teach(fidelity: str, name: str) -> None:
    loss = build_loss(name, 3, fidelity)
    if (fidelity, name) == PUBLISHED:
        with pytest.raises(ValueError, match=r"`adaptive_focal` \(fidelity reference\) takes no soft labels"):
            loss(example((2, 3, 4, 5))[0], soft((2, 3, 4, 5)))
        return
    for shape in [(2, 3, 4, 5), (7, 3)]:
        value, *slope = value_and_gradient(loss, example(shape)[0], soft(shape))
        assert value.isfinite() or (fidelity, name) == ("reference", "focal")
        assert all(one.isfinite().all() and one.abs().sum() > 0 for one in slope)


def built(name: str, classes: int, fidelity: str, **common: Any) -> Loss:
    return build_loss(name, classes, fidelity, activation="sigmoid", **common)


@every
@pytest.mark.parametrize("ignore_index", [None, 255])
def test_one_logit_is_a_problem_of_two_classes(fidelity: str, name: str, ignore_index: int | None) -> None:
    """Of logits 0 and z; a region loss takes the counts of what is present."""
    if (fidelity, name) == PUBLISHED or name == NEEDS_CLASSES:
        with pytest.raises(ValueError, match=r"sigmoid already|one logit leaves no classes to balance"):
            built(name, 1, fidelity)
        return
    for shape in [(2, 1, 4, 5), (2, 1, 2, 3, 3), (7, 1)]:
        logits, labels = example(shape)
        target = labels if ignore_index is None else with_ignored(labels)
        loss = built(name, 1, fidelity, ignore_index=ignore_index)
        without = {} if not issubclass(VARIANTS[fidelity][name], RegionLoss) else {"include_background": False}
        two = build_loss(name, 2, fidelity, ignore_index=ignore_index, **without)
        expected = value_and_gradient(lambda z, y, two=two: two(torch.cat([0 * z, z], 1), y), logits, target)
        for form in INDICES.values():
            assert_same(value_and_gradient(loss, logits, form(target)), expected)
        if ignore_index is None:
            assert_same(value_and_gradient(loss, logits, target.bool()), expected)


@every
@pytest.mark.parametrize("ignore_index", [None, 255])
def test_several_labels_cost_the_mean_of_their_channels(fidelity: str, name: str, ignore_index: int | None) -> None:
    if (fidelity, name) == PUBLISHED:
        with pytest.raises(ValueError, match=r"`activation` must be as by default: .* Found 'sigmoid'"):
            built(name, 3, fidelity)
        return
    logits, target = example((2, 3, 4, 5))[0], presence((2, 3, 4, 5))
    target = target if ignore_index is None else with_ignored(target)
    loss = built(name, 3, fidelity, ignore_index=ignore_index)
    weighed = built(name, 3, fidelity, ignore_index=ignore_index, class_weights=[1, 0, 3])
    second = built(name, 3, fidelity, ignore_index=ignore_index, include_background=False)
    found = value_and_gradient(loss, logits, target)
    assert_same(value_and_gradient(loss, logits, target.float()), found)
    if name == NEEDS_CLASSES:
        return
    one = built(name, 1, fidelity, ignore_index=ignore_index)
    channels = [value_and_gradient(one, logits[:, c : c + 1], target[:, c]) for c in range(3)]
    for values, given in ((channels, loss), ([channels[0], *[channels[2]] * 3], weighed), (channels[1:], second)):
        value = torch.stack([value for value, *_ in values]).mean()
        torch.testing.assert_close(given(logits, target).detach(), value, rtol=1e-9, atol=1e-12)
    if len(found) > 1:
        torch.testing.assert_close(found[1], torch.cat([slope for _, slope in channels], 1) / 3)


@every
def test_class_indices_are_present_in_the_channel_of_their_class(fidelity: str, name: str) -> None:
    if (fidelity, name) == PUBLISHED:
        return
    logits, labels = example((2, 3, 4, 5))
    for ignore_index, target in ((None, labels), (255, with_ignored(labels)), (1, labels)):
        loss = built(name, 3, fidelity, ignore_index=ignore_index)
        kept = torch.ones_like(target, dtype=torch.bool) if ignore_index is None else target != ignore_index
        dense = built(name, 3, fidelity, ignore_index=None if ignore_index is None else 255)
        expected = value_and_gradient(dense, logits, torch.where(kept.unsqueeze(1), hot(labels, 3), 255))
        for form in INDICES.values():
            assert_same(value_and_gradient(loss, logits, form(target)), expected)


@every
@pytest.mark.parametrize("shape", [(3, 3, 4, 5), (5, 3)], ids=str)
def test_without_reduction_every_sample_costs_what_it_would_alone(
    fidelity: str, name: str, shape: tuple[int, ...]
) -> None:
    logits, target = example(shape)
    loss, alone = build_loss(name, 3, fidelity, reduction="none"), build_loss(name, 3, fidelity)
    expected = torch.stack([alone(*one) for one in zip(logits.split(1), target.split(1), strict=True)])
    assert loss(logits, target).shape == (shape[0],)
    assert torch.equal(loss(logits, target), expected)
    assert torch.equal(FusedLosses([loss])(logits, target), expected.unsqueeze(1))


@every
def test_class_weights(fidelity: str, name: str) -> None:
    """Like ones change nothing, only ratios count, and the analytic gradient is autograd's."""
    if (fidelity, name) == PUBLISHED:
        with pytest.raises(ValueError, match="class_weights"):
            build_loss(name, 3, fidelity, class_weights=[1, 1, 1])
        return
    logits, target = example((2, 3, 4, 5))
    plain = value_and_gradient(build_loss(name, 3, fidelity), logits, target)
    assert_same(value_and_gradient(build_loss(name, 3, fidelity, class_weights=[2] * 3), logits, target), plain)
    loss = build_loss(name, 3, fidelity, class_weights=[0.2, 0.6, 1])
    found = value_and_gradient(loss, logits, target)
    assert_same(value_and_gradient(build_loss(name, 3, fidelity, class_weights=[1, 3, 5]), logits, target), found)
    assert not torch.allclose(found[0], plain[0]) or found[0].isinf()
    if (fidelity, name) != PUBLISHED:
        assert_same(value_and_gradient(lambda z, y: evaluate([loss], z, y, plain_statistics)[0], logits, target), found)
        assert_same(value_and_gradient(loss, logits, hot(target, 3).float()), found)


@every
def test_the_background_may_be_left_out_of_means_over_classes(fidelity: str, name: str) -> None:
    logits, target = example((2, 3, 4, 5))
    over_pixels = VARIANTS[fidelity][name].over_pixels
    if over_pixels or (fidelity, name) == PUBLISHED:
        with pytest.raises(ValueError, match=r"class_weights"):
            build_loss(name, 3, fidelity, include_background=False)
        return
    found = build_loss(name, 3, fidelity, include_background=False)(logits, target)
    weights = build_loss(name, 3, fidelity, class_weights=[0, 1, 1])(logits, target)
    torch.testing.assert_close(found, weights)


def test_no_form_waits_for_the_device() -> None:
    with FakeTensorMode():
        logits = torch.empty(2, 3, 4, 4, requires_grad=True)
        index, dense = torch.empty(2, 4, 4), torch.empty(2, 3, 4, 4)
        for target in (index, index.unsqueeze(1), dense, dense.bool(), dense.long()):
            losses = [build_loss(name, 3, ignore_index=9, class_weights=[1, 2, 3]) for name in LOSSES]
            FusedLosses(losses)(logits, target).sum().backward()
            several = [built(name, 3, "paper", ignore_index=9, reduction="none") for name in LOSSES]
            FusedLosses(several)(logits, target).sum().backward()


@pytest.mark.parametrize("name", ["cross_entropy", "dice", "mse", "paced_focal"])
def test_what_fits_no_form_is_nan_where_nobody_looks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmf.losses.problems.require_values", lambda *_: None)
    logits, labels = example((2, 3, 4, 5))
    broken: dict[str, tuple[Loss, Tensor]] = {}
    for kind, target in {
        "index": labels.float(), "hot": hot(labels, 3), "soft": hot(labels, 3).float(),
    }.items():  # fmt: skip
        spoilt = target.clone().contiguous()
        spoilt.view(-1)[7] = 0.4 if spoilt.is_floating_point() else 7
        broken[kind] = (build_loss(name, 3), spoilt)
        broken[f"{kind} of several"] = (built(name, 3, "paper"), spoilt + 2 * (spoilt == 0.4) * (kind == "soft"))
    for kind, (loss, target) in broken.items():
        assert loss(logits, target).isnan(), kind
