"""Forms of targets, and every sample's loss, through `DynamicMemoryFusion`."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dmf.fusion import DynamicMemoryFusion, FusionOutput
from dmf.losses import build_loss
from tests.support.forms import CHANNELS, INDICES, example, hot, presence, soft
from tests.support.fusions import BASE

SHAPE = (4, 2, 8, 8)


def fused(classes: int = 2, **changes: Any) -> DynamicMemoryFusion:
    arguments = {"auxiliary": "tversky", "tick": 1, "weighting_params": {"history_size": 2}, **changes}
    return DynamicMemoryFusion(BASE, "mad", num_classes=classes, **arguments)


def steps(fusion: DynamicMemoryFusion, form: Any = lambda y: y, shape: tuple[int, ...] = SHAPE) -> list[FusionOutput]:
    return [
        fusion(logits.detach(), form(labels)) for logits, labels in (example(shape, seed=step) for step in range(4))
    ]


def assert_same(found: list[FusionOutput], expected: list[FusionOutput]) -> None:
    for one, other in zip(found, expected, strict=True):
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_every_form_gives_the_same_training() -> None:
    expected = steps(fused())
    for form in (*INDICES.values(), lambda y: y.bool()):
        assert_same(steps(fused(), form), expected)
    for form in CHANNELS.values():
        assert_same(steps(fused(), lambda y, form=form: form(hot(y, 2))), expected)


def test_one_logit_and_several_labels_train() -> None:
    for classes, target in ((1, presence((4, 8, 8))), (1, presence((4, 1, 8, 8)).float()), (3, presence((4, 3, 8, 8)))):
        fusion = fused(classes, activation="sigmoid")
        logits = example((4, classes, 8, 8))[0]
        out = fusion(logits, target)
        alone = [build_loss(name, classes, activation="sigmoid")(logits, target) for name in BASE]
        torch.testing.assert_close(out.losses, torch.stack(alone))
        assert torch.autograd.grad(out.total, logits)[0].abs().sum() > 0


@pytest.mark.parametrize("form", [lambda y: y, lambda y: hot(y, 2), lambda y: hot(y, 2).float()])
def test_a_hundred_validation_steps_in_any_form_change_nothing(form: Any) -> None:
    plain, disturbed = fused(), fused()
    for seed in range(3):
        logits, labels = example(SHAPE, seed=seed)
        logits = logits.detach()
        assert_same([disturbed(logits, form(labels))], [plain(logits, form(labels))])
        with torch.no_grad():
            for _ in range(100 if seed == 1 else 2):
                disturbed(logits + 3, form(1 - labels))
    assert disturbed.weighting.memory.step == 3


@pytest.mark.parametrize("form", [lambda y: y.unsqueeze(1), lambda y: hot(y, 2), lambda y: soft(SHAPE)])
def test_three_scales_of_any_form_are_one_step(form: Any) -> None:
    """Labels with channels are taken at the nearest pixels, as those without are."""
    given, nearest = fused(), fused()
    for seed in range(3):
        logits, labels = example(SHAPE, seed=seed)
        target, logits = form(labels), logits.detach()
        scales = [logits, logits[..., ::2, ::2], logits[..., ::4, ::4]]
        targets = [target, target[..., 1::2, 1::2], target[..., 2::4, 2::4]]
        assert_same([nearest(scales, target)], [given(scales, targets)])
    assert nearest.weighting.memory.step == nearest.schedule.step == 3


def test_without_reduction_every_sample_has_its_losses_and_total() -> None:
    """The weights are those of the means over samples; the totals' mean has the gradient of those means' total."""
    for classes, options, form in (
        (2, {}, lambda y: y),
        (3, {"activation": "sigmoid"}, lambda y: hot(y, 3)),
        (2, {"class_weights": [1, 2], "include_background": False}, lambda y: hot(y, 2).float()),
    ):
        fusion, mean = fused(classes, reduction="none", **options), fused(classes)
        for seed in range(4):
            logits, labels = example((4, classes, 8, 8), seed=seed)
            out = fusion(logits, form(labels))
            assert out.total.shape == out.auxiliary.shape == (4,)
            assert out.losses.shape == (4, 3)
            each = torch.stack(
                [fusion.losses(z, y)[0] for z, y in zip(logits.split(1), form(labels).split(1), strict=True)]
            )
            torch.testing.assert_close(out.losses, each[:, :3].detach())
            torch.testing.assert_close(out.auxiliary, each[:, 3].detach())
            expected = mean.weighting.combine(out.losses.mean(0))
            torch.testing.assert_close(out.weights, expected.weights)
            torch.testing.assert_close(out.total, out.losses @ out.weights + out.gamma * out.auxiliary)
            totals = each[:, :3].mean(0) @ out.weights + out.gamma * each[:, 3].mean()
            slopes = [torch.autograd.grad(value, logits, retain_graph=True)[0] for value in (out.total.mean(), totals)]
            torch.testing.assert_close(*slopes)
            out.total.mean().backward()


def test_the_totals_of_samples_keep_their_digits_under_autocast() -> None:
    weights = {"weights": [0.1, 0.3, 0.7]}
    fusion = DynamicMemoryFusion(BASE[:3], "fixed", None, reduction="none", weighting_params=weights).eval()
    logits, labels = example(SHAPE)
    expected = fusion(logits, labels).total
    with torch.autocast("cpu", torch.bfloat16):
        assert fusion(logits, labels).total.equal(expected)


def test_learned_weights_have_their_gradient_without_reduction() -> None:
    one = DynamicMemoryFusion(BASE, "uncertainty", reduction="none")
    other = DynamicMemoryFusion(BASE, "uncertainty", reduction="none")
    logits, labels = example(SHAPE)
    one(logits, labels).total.mean().backward()
    other.weighting.combine(other.losses(logits, labels).mean(0)).total.backward()
    torch.testing.assert_close(one.weighting.log_variance.grad, other.weighting.log_variance.grad)


def test_four_micro_batches_without_reduction_are_one_step() -> None:
    fusion = fused(reduction="none", accumulation_steps=4)
    outs = steps(fusion)
    assert fusion.weighting.memory.step == 1
    assert all(out.total.shape == (4,) for out in outs)


def test_a_callable_is_evaluated_sample_by_sample_too() -> None:
    logits, labels = example(SHAPE)
    fusion = DynamicMemoryFusion([nn.CrossEntropyLoss(), "cross_entropy"], "equal", reduction="none")
    losses = fusion(logits, labels).losses
    torch.testing.assert_close(losses[:, 0], losses[:, 1])
    alone = DynamicMemoryFusion([nn.CrossEntropyLoss()], "equal", reduction="none")
    torch.testing.assert_close(alone(logits, labels).losses[:, 0], losses[:, 0])


def test_the_background_counts_in_means_over_pixels_as_in_monais_dice_ce() -> None:
    logits, labels = example((4, 3, 8, 8))
    out = fused(3, include_background=False)(logits, labels)
    expected = [build_loss("cross_entropy", 3)] + [build_loss(n, 3, include_background=False) for n in ("iou", "dice")]
    torch.testing.assert_close(out.losses, torch.stack([loss(logits, labels) for loss in expected]))


Z, Y = torch.zeros(2, 2, 4, 4), torch.zeros(2, 4, 4)


@pytest.mark.parametrize(
    ("options", "logits", "target", "message"),
    [
        ({}, Z, Y + 0.3, "32 floats that are no whole numbers, 0.3 among them.*indices that were resampled.*or soft l"),
        ({}, Z, Y[:, None] + 0.3, "no whole .*`torch.stack([1 - target, target], 1)`.*one logit with activation="),
        ({}, Z, Y + torch.nan, "32 floats that are no whole numbers, nan"),
        ({}, Z, Y + 255, "32 labels that are none, 255 among them; divide masks of 0 and 255 by 255"),
        ({}, Z, Z.long() + 1, "one 1 and else 0 at every pixel. Found 32 pixels that do not, [1.0, 1.0] among them: th"
                              "at could be several classes at once, then take activation='sigmoid'; or pixels without"),
        ({}, Z, Z + 0.3, "shares of at least 0 that sum to 1 at every pixel. Found 32 pixels that do not, [0.3"),
        ({}, Z, torch.zeros(2, 4, 4, 2), "or one-hot or soft (2, 2, 4, 4); channels that come last are moved by `"),
        ({}, Z[:, :1], Y, "one logit a pixel is for losses of num_classes=1 and activation='sigmoid'. Found (2, 1"),
        ({"ignore_index": 0}, Z, Z + 0.5, "could mean entries that are 0, or pixels of class 0"),
        ({"num_classes": 1}, Z, Y, "a binary task has two logits, or one with num_classes=1 and activation='sigmoid'"),
        ({"activation": "sigmoid"}, Z, Z + 7.5, "0 to 1 in every channel; divide masks of 0 and 255 by 255. F"),
        ({"activation": "sigmoid"}, Z, Z.long() + 255, "64 labels that are none, 255 among them"),
        ({"activation": "sigmoid", "num_classes": 1}, Z, Y, "several are for losses of as many classes: activation="),
        ({"activation": "tanh"}, Z, Y, "`activation` must be one of softmax, sigmoid. Found 'tanh'"),
        ({"reduction": "sum"}, Z, Y, "`reduction` must be one of mean, none. Found 'sum'"),
        ({"class_weights": [1, 2, 3]}, Z, Y, "`class_weights` must be a number above 0, or 2 numbers"),
        ({"class_weights": [1, 0], "include_background": False}, Z, Y, "`class_weights` must be above 0 for a class"),
        ({"activation": "sigmoid", "num_classes": 1, "include_background": False}, Z, Y, "one logit has no background"),
    ],
)  # fmt: skip
def test_what_is_ambiguous_says_what_it_could_be(
    options: dict[str, Any], logits: Tensor, target: Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message).replace(r"\.\*", ".*")):
        DynamicMemoryFusion(BASE, "equal", **options)(logits, target)


def test_losses_that_are_fused_share_what_a_target_is_read_by() -> None:
    for one in ({"activation": "sigmoid"}, {"reduction": "none"}, {"ignore_index": 3}):
        with pytest.raises(ValueError, match=f"must share `{next(iter(one))}`"):
            DynamicMemoryFusion(["dice", build_loss("iou", 2, **one)], "equal")
