"""What other loops do with a fusion: evaluation, deep supervision, micro-batches, learned weights that stay."""

from __future__ import annotations

import math
import warnings
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dmf.fidelity import FIDELITIES
from dmf.losses import build_loss
from dmf.weightings import WEIGHTINGS
from dmf.weightings.base import UNMOVED
from tests.support.fusions import BASE, batches, fused, leaves, same


@pytest.mark.parametrize("weighting", [*WEIGHTINGS, "torchjd:GradVac", "torchjd:UPGrad"])
@pytest.mark.parametrize("way", ["eval", "no_grad", "inference_mode"])
def test_a_hundred_validation_steps_change_nothing(weighting: str, way: str) -> None:
    plain, disturbed = fused(weighting), fused(weighting)
    for step, (logits, target) in enumerate(leaves()):
        torch.manual_seed(step)
        expected = plain(logits, target)
        torch.manual_seed(step)
        assert same(disturbed(logits, target), expected)
        before = {name: value.clone() for name, value in disturbed.state_dict().items() if isinstance(value, Tensor)}
        disturbed.train(way != "eval")
        with {"eval": torch.enable_grad, "no_grad": torch.no_grad, "inference_mode": torch.inference_mode}[way]():
            answers = [disturbed(logits.detach() + 3, target.flip(0)) for _ in range(100 if step == 2 else 2)]
        disturbed.train()
        assert all(same(answer, answers[0]) for answer in answers)
        for name, value in before.items():
            torch.testing.assert_close(disturbed.state_dict()[name], value, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_without_gradients_it_answers_as_in_evaluation(fidelity: str) -> None:
    """In inference mode nothing can be differentiated that was made in it: "reference" did not answer there."""
    fusion = fused("variance", fidelity=fidelity, weighting_params={}, total_steps=8)
    for logits, target in leaves():
        expected = fusion.eval()(logits.detach(), target)
        with torch.inference_mode():
            assert same(fusion(1 * logits, target), expected)
        fusion.train()(logits, target)


@pytest.mark.parametrize("weighting", ["variance", "mad", "uncertainty", "softadapt", "relobralo"])
def test_evaluation_answers_as_the_next_step_would(weighting: str) -> None:
    fusion = fused(weighting)
    for logits, target in leaves():
        fusion.eval()
        looked = fusion(logits, target)
        fusion.train()
        assert same(looked, fusion(logits, target))


def test_evaluation_is_differentiable_too() -> None:
    fusion = fused("uncertainty").eval()
    logits, target = leaves()[0]
    fusion(logits, target).total.backward()
    assert logits.grad.abs().sum() > 0


def test_the_scales_of_deep_supervision_are_one_step() -> None:
    """Each loss is the mean over the scales; labels of other sizes are the nearest ones, or given."""
    given, nearest, expected_memory = fused("fixed"), fused("fixed"), fused("mad")
    for logits, target in leaves(4):
        scales = [logits, logits[..., ::2, ::2], logits[..., ::4, ::4]]
        targets = [target, target[:, 1::2, 1::2], target[:, 2::4, 2::4]]
        found = given(scales, targets)
        assert same(nearest(tuple(scales), target), found)
        alone = [
            torch.stack([build_loss(name, 2)(*pair) for name in BASE]) for pair in zip(scales, targets, strict=True)
        ]
        torch.testing.assert_close(found.losses, (4 * alone[0] + 2 * alone[1] + alone[2]) / 7)
        expected_memory(scales, target)
    assert given.schedule.step == 4
    assert expected_memory.weighting.memory.step == 4


def test_scales_may_be_weighed() -> None:
    logits, target = leaves()[0]
    scales = [logits, logits[..., ::2, ::2]]
    first = fused(scale_weights=[1, 0])(scales, target)
    assert same(first, fused()(logits, target))
    with pytest.raises(ValueError, match=r"`scale_weights` must be one for each of the 2 scales .* Found \[1, 2, 3\]"):
        fused(scale_weights=[1, 2, 3])(scales, target)
    with pytest.raises(ValueError, match=r"`target` must be one tensor, or one for each of the 2 scales"):
        fused()(scales, [target])


def test_gradients_reach_every_scale_whatever_the_weighting() -> None:
    logits, target = leaves()[0]
    other = logits.detach()[..., ::2, ::2].clone().requires_grad_()
    for weighting in ("mad", "uncertainty", "torchjd:MGDA"):
        logits.grad = other.grad = None
        fused(weighting)([logits, other], target).total.backward()
        assert logits.grad.abs().sum() > 0
        assert other.grad.abs().sum() > 0


@pytest.mark.parametrize("weighting", ["mad", "variance", "uncertainty", "famo", "random", "torchjd:MGDA"])
def test_four_micro_batches_are_one_step(weighting: str) -> None:
    """What is remembered is the mean of their losses; the last one's weights are those of the whole batch."""
    whole, parts = fused(weighting, auxiliary=None), fused(weighting, auxiliary=None, accumulation_steps=4)
    means = torch.stack([torch.stack([whole.losses(*batch) for batch in batches()[i : i + 4]]).mean(0) for i in (0, 4)])
    for step in range(2):
        logits = [logits for logits, _ in leaves()[4 * step : 4 * step + 4]]
        outs = [parts(one, target) for one, (_, target) in zip(logits, batches()[4 * step : 4 * step + 4], strict=True)]
        if weighting != "torchjd:MGDA":
            torch.testing.assert_close(outs[-1].weights, whole.weighting.combine(means[step]).weights)
        for one, out in zip(logits, outs, strict=True):
            assert torch.autograd.grad(out.total, one)[0].abs().sum() > 0
    assert parts.accumulation.count == 0


def test_the_schedule_falls_once_for_the_micro_batches_of_a_step() -> None:
    fusion = fused(accumulation_steps=3)
    gammas = [fusion(*batch).gamma.item() for batch in leaves(6)]
    assert len(set(gammas[:3])) == len(set(gammas[3:])) == 1
    assert gammas[3] == pytest.approx(5 * math.exp(-0.05))
    assert fusion.weighting.memory.step == 2


def test_a_gradient_is_that_of_the_micro_batch_alone() -> None:
    fusion = fused("equal", auxiliary=None, accumulation_steps=2)
    for logits, target in leaves(2):
        expected = torch.autograd.grad(fusion.losses(logits, target).sum(), logits)[0]
        torch.testing.assert_close(torch.autograd.grad(fusion(logits, target).total, logits)[0], expected)


@pytest.mark.parametrize("interrupted_at", [1, 3, 5])
def test_a_run_interrupted_between_micro_batches_goes_on_bit_for_bit(interrupted_at: int) -> None:
    whole, first, second = (fused(accumulation_steps=4) for _ in range(3))
    expected = [whole(*batch) for batch in leaves()]
    found = [first(*batch) for batch in leaves()[:interrupted_at]]
    second.load_state_dict(first.state_dict())
    found += [second(*batch) for batch in leaves()[interrupted_at:]]
    assert all(map(same, found, expected))


def test_validation_between_micro_batches_changes_nothing() -> None:
    plain, disturbed = fused(accumulation_steps=4), fused(accumulation_steps=4)
    for logits, target in leaves():
        assert same(disturbed(logits, target), plain(logits, target))
        with torch.no_grad():
            disturbed(logits, target)


def test_a_second_call_before_the_backward_pass_is_spoken_of_once() -> None:
    """As a wrapper for deep supervision makes it, one call a scale."""
    fusion = fused()
    (logits, target), *_ = leaves()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            fusion(logits, target).total.backward()
        with torch.no_grad():
            fusion(logits, target)
            fusion(logits, target)
        fusion(logits, target)
    with pytest.warns(
        UserWarning, match=r"called twice before a backward pass.*one list of logits.*accumulation_steps"
    ):
        fusion(logits[..., ::2, ::2], target[:, ::2, ::2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fusion(logits, target)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, partial(torch.optim.Adam, fused=True)])
@pytest.mark.parametrize("given", [True, False])
def test_learned_weights_that_no_optimiser_moves_are_spoken_of_once(optimizer: Any, given: bool) -> None:
    model, fusion = nn.Conv2d(1, 2, 1), fused("uncertainty")
    moved = optimizer([*model.parameters(), *(fusion.parameters() if given else ())], lr=0.01)
    _, target = batches()[0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2 * UNMOVED + 5):
            moved.zero_grad()
            fusion(model(torch.zeros(4, 1, 8, 8)), target).total.backward()
            moved.step()
    told = [
        str(warning.message) for warning in caught if "no optimiser has moved `log_variance`" in str(warning.message)
    ]
    assert len(told) == (not given)


def test_frozen_weights_are_meant_to_stay() -> None:
    fusion = fused("uncertainty")
    fusion.requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(UNMOVED + 5):
            fusion(*leaves()[0]).total.backward()
