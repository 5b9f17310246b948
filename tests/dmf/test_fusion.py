"""Equation (1): base losses, weights, auxiliary loss, in one module for anybody's training loop."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dmf.fidelity import FIDELITIES
from dmf.fusion import DynamicMemoryFusion, FusionOutput
from dmf.losses import LOSSES, REFERENCE, VARIANTS, build_loss
from dmf.weightings import WEIGHTINGS, build_weighting
from dmf.weightings.base import UNMOVED

BASE = ["cross_entropy", "iou", "dice"]


def batches(steps: int = 8, size: int = 8) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(steps, 4, 2, size, size, generator=generator)
    target = torch.randint(0, 2, (steps, 4, size, size), generator=generator)
    return list(zip(logits, target, strict=True))


def test_total_is_weighted_losses_and_faded_auxiliary() -> None:
    fusion = DynamicMemoryFusion(BASE, "fixed", "cb_dice", weighting_params={"weights": [0.5, 0.3, 0.2]})
    logits, target = batches()[0]
    out = fusion(logits, target)
    alone = torch.stack([build_loss(name, 2)(logits, target) for name in BASE])
    torch.testing.assert_close(out.losses, alone)
    torch.testing.assert_close(out.auxiliary, build_loss("cb_dice", 2)(logits, target))
    assert out.gamma == 5.0
    torch.testing.assert_close(out.total, (alone * torch.tensor([0.5, 0.3, 0.2])).sum() + 5.0 * out.auxiliary)


def test_only_the_total_carries_a_gradient() -> None:
    logits, target = batches()[0]
    out = DynamicMemoryFusion(BASE, auxiliary="tversky")(logits.requires_grad_(), target)
    assert [name for name, value in out._asdict().items() if value.requires_grad] == ["total"]
    out.total.backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0


def test_without_an_auxiliary_loss_gamma_is_zero() -> None:
    out = DynamicMemoryFusion(BASE, "equal")(*batches()[0])
    assert out.gamma == out.auxiliary == 0
    torch.testing.assert_close(out.total, out.losses.sum())


def test_losses_and_weighting_may_be_modules() -> None:
    losses = [build_loss("tversky", 2), build_loss("focal", 2), build_loss("tversky", 2)]
    fusion = DynamicMemoryFusion(losses, build_weighting("dwa", 3), build_loss("dice", 2))
    assert fusion.loss_names == ("tversky", "focal", "tversky_2")
    assert fusion(*batches()[0]).weights.tolist() == [1.0, 1.0, 1.0]


def test_a_loss_carries_the_name_it_is_registered_by_or_that_of_its_class() -> None:
    class Squared(LOSSES["mse"]):  # type: ignore[misc]
        """A loss of one's own, which nobody registered."""

    for registry in VARIANTS.values():
        assert {name: cls.name for name, cls in registry.items()} == {name: name for name in registry}
    own = [REFERENCE["dice"](2), LOSSES["dice"](2), Squared(2)]
    assert DynamicMemoryFusion(own, "equal").loss_names == ("dice", "dice_2", "Squared")


@pytest.mark.parametrize("shape", [(6,), (6, 5), (2, 4, 4), (2, 3, 4, 4)])
def test_classification_and_any_number_of_dimensions(shape: tuple[int, ...]) -> None:
    target = torch.randint(0, 3, shape)
    logits = torch.randn(shape[0], 3, *shape[1:], requires_grad=True)
    out = DynamicMemoryFusion(BASE, "mad", "focal", num_classes=3)(logits, target)
    out.total.backward()
    assert out.total.isfinite()


@pytest.mark.parametrize("fidelity", ["paper", "reference", "stable"])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_restored_run_goes_on_bit_for_bit(weighting: str, fidelity: str) -> None:
    def build() -> DynamicMemoryFusion:
        torch.manual_seed(0)
        return DynamicMemoryFusion(BASE, weighting, "cb_dice", fidelity=fidelity, tick=2, total_steps=8)

    def run(fusion: DynamicMemoryFusion, part: slice) -> list[FusionOutput]:
        return [fusion(*batch) for batch in batches()[part]]

    first, second = build(), build()
    begun = run(first, slice(0, 3))
    second.load_state_dict(first.state_dict())
    found = begun + run(second, slice(3, None))
    for expected, actual in zip(run(build(), slice(None)), found, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(expected, actual, strict=True))


def test_a_loss_that_is_not_finite_shows_and_does_not_poison_the_memory() -> None:
    fusion = DynamicMemoryFusion(BASE, "variance", weighting_params={"history_size": 2, "history_size_max": 4})
    for step, (logits, target) in enumerate(batches()):
        out = fusion(logits * (math.nan if step == 3 else 1.0), target)
        assert out.total.isfinite() == (step != 3)
        assert out.weights.isfinite().all()


def test_a_compiled_step_is_the_same_step() -> None:
    """The losses' fused pass breaks the graph; that of the weighting is whole (see the conformance suite)."""
    torch.compiler.reset()
    params = {"history_size": 2, "history_size_max": 4}
    plain, compiled = (DynamicMemoryFusion(BASE, "mad", "cb_dice", weighting_params=params) for _ in range(2))
    step = torch.compile(compiled, backend="eager")
    for logits, target in batches(4):
        sides = [(run, logits.clone().requires_grad_()) for run in (plain, step)]
        (expected, wanted), (found, got) = ((run(leaf, target), leaf) for run, leaf in sides)
        torch.testing.assert_close(tuple(found), tuple(expected))
        for out in (expected, found):
            out.total.backward()
        torch.testing.assert_close(got.grad, wanted.grad)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"losses": "dice"}, r"`losses` must be a sequence of at least one loss\. Found 'dice'"),
        ({"losses": []}, r"`losses` must be a sequence"),
        ({"losses": ["dcie"]}, r"'dcie'.* Did you mean 'dice'"),
        ({"losses": BASE, "weighting": "varance"}, r"'varance'.* Did you mean 'variance'"),
        ({"losses": BASE, "auxiliary": "cbdice"}, r"'cbdice'.* Did you mean 'cb_dice'"),
        ({"losses": BASE, "fidelity": "stable", "auxiliary": "dice"}, r"`total_steps` must be"),
        (
            {"losses": BASE, "weighting": build_weighting("mad", 2)},
            r"`weighting` must be for as many losses as `losses` holds, 3\. Found 2",
        ),
        (
            {"losses": BASE, "weighting": build_weighting("mad", 3), "weighting_params": {"scale": "own"}},
            r"`weighting_params` needs `weighting` given by name",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DynamicMemoryFusion(**arguments)


RANK = """
import sys, torch, torch.distributed as dist
from dmf.weightings import WEIGHTINGS, build_weighting
rank, store, names = int(sys.argv[1]), sys.argv[2], sys.argv[3].split(",")
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
answer = {}
for name in names:
    torch.manual_seed(5)
    both = torch.rand(2, 12, 3)
    torch.manual_seed(1)
    short = {"history_size": 3, "history_size_max": 6} if name in ("variance", "mad", "bayesian") else {}
    weighting = build_weighting(name, 3, **short)
    answer[name] = []
    for losses in both[rank]:
        leaf = losses.clone().requires_grad_()
        total, weights = weighting.combine(leaf)
        total.backward()
        for parameter in weighting.parameters():
            parameter.data -= 0.1 * parameter.grad
            parameter.grad = None
        answer[name].append((losses, total.detach(), weights))
torch.save(answer, f"{store}.{rank}")
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_all_ranks_agree_on_the_weights(tmp_path: Path) -> None:
    """Two real processes: weights are those of the mean losses, each total is of the rank's own losses."""
    pytest.importorskip("torchjd")
    store = tmp_path / "store"
    command = [sys.executable, "-c", RANK]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1"}
    names = [*WEIGHTINGS, "torchjd:GeometricMean", "torchjd:IMTLL"]
    ranks = [subprocess.Popen([*command, str(rank), str(store), ",".join(names)], env=quiet) for rank in range(2)]
    assert [rank.wait() for rank in ranks] == [0, 0]
    one, other = (torch.load(f"{store}.{rank}") for rank in range(2))
    for name in names:
        for step, (mine, theirs) in enumerate(zip(one[name], other[name], strict=True)):
            assert torch.equal(mine[2], theirs[2]), f"{name} at step {step}"
            if name not in ("uncertainty", "torchjd:IMTLL"):  # whose totals hold a term of their own
                torch.testing.assert_close(mine[1], (mine[0] * mine[2]).sum())
    alone = build_weighting("variance", 3, history_size=3, history_size_max=6)
    for mine, theirs in zip(one["variance"], other["variance"], strict=True):
        torch.testing.assert_close(alone((mine[0] + theirs[0]) / 2), mine[2])


def test_weights_of_two_losses_are_recorded_in_the_order_given() -> None:
    for order in itertools.permutations(BASE):
        fusion = DynamicMemoryFusion(list(order), "fixed", weighting_params={"weights": [3, 2, 1]})
        assert fusion.loss_names == order
        assert fusion(*batches()[0]).weights.tolist() == [3.0, 2.0, 1.0]


def test_pixels_that_count_nowhere_change_neither_losses_nor_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(2, 3, 6, 5, generator=generator), torch.randint(0, 3, (2, 6, 5), generator=generator)
    names = ["cross_entropy", "dice", "focal"]
    expected = DynamicMemoryFusion(names, auxiliary="cb_dice", num_classes=3)(logits[:, :, :4], target[:, :4])
    target[:, 4:] = 255
    logits.requires_grad_()
    found = DynamicMemoryFusion(names, auxiliary="cb_dice", num_classes=3, ignore_index=255)(logits, target)
    found.total.backward()
    torch.testing.assert_close(found.total, expected.total)
    assert logits.grad is not None
    assert not logits.grad[:, :, 4:].any()
    assert logits.grad[:, :, :4].any()


@pytest.mark.parametrize("convert", [nn.Module.half, nn.Module.bfloat16])
def test_a_half_model_that_holds_its_fusion_trains_as_before(convert: Callable[[nn.Module], nn.Module]) -> None:
    """Losses, memory and schedule of `nn.Sequential(model, fusion).half()`, on the same half-precision logits."""

    def build() -> DynamicMemoryFusion:
        params = {"history_size": 3, "history_size_max": 6}
        return DynamicMemoryFusion(["cross_entropy", "dice"], "mad", "cb_dice", weighting_params=params, tick=1)

    plain, changed = build(), convert(nn.Sequential(nn.Conv2d(1, 2, 1), build()))[1]
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        logits = torch.randn(2, 2, 4, 4, generator=generator).half()
        target = torch.randint(0, 2, (2, 4, 4), generator=generator)
        assert all(torch.equal(a, b) for a, b in zip(plain(logits, target), changed(logits, target), strict=True))
    assert changed.schedule.step.item() == changed.weighting.memory.step.item() == 300


@pytest.mark.parametrize("fidelity", ["paper", "reference", "stable"])
@pytest.mark.parametrize("weighting", ["uncertainty", "mad", "relobralo"])
def test_two_batches_share_one_backward_pass(weighting: str, fidelity: str) -> None:
    fusion = DynamicMemoryFusion(["cross_entropy", "dice"], weighting, "cb_dice", fidelity=fidelity, total_steps=9)
    logits = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    target = torch.zeros(2, 4, 4, dtype=torch.int64)
    (fusion(logits, target).total + fusion(logits.flip(0), target).total).backward()
    assert logits.grad.isfinite().all()


# --- evaluation, deep supervision and micro-batches ---

SHORT: dict[str, Any] = {"variance": {"history_size": 2, "history_size_max": 4}, "mad": {"history_size": 2}}


def fused(weighting: str = "mad", **changes: Any) -> DynamicMemoryFusion:
    torch.manual_seed(0)
    arguments = {"auxiliary": "cb_dice", "tick": 1, "weighting_params": SHORT.get(weighting, {}), **changes}
    return DynamicMemoryFusion(BASE, weighting, **arguments)


def leaves(steps: int = 8) -> list[tuple[Tensor, Tensor]]:
    return [(logits.requires_grad_(), target) for logits, target in batches(steps)]


def same(one: FusionOutput, other: FusionOutput) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


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


# --- members that are none of ours ---


def absolute(logits: Tensor, target: Tensor) -> Tensor:
    return (logits.softmax(1)[:, 1] - target).abs().mean()


def test_any_callable_is_a_loss_beside_the_fused_ones() -> None:
    losses = ["dice", nn.CrossEntropyLoss(), absolute, "iou", nn.CrossEntropyLoss(label_smoothing=0.1)]
    fusion = DynamicMemoryFusion(losses, "equal", absolute)
    assert fusion.loss_names == ("dice", "CrossEntropyLoss", "absolute", "iou", "CrossEntropyLoss_2")
    logits, target = leaves()[0]
    out = fusion(logits, target)
    alone = [build_loss(one, 2)(logits, target) if isinstance(one, str) else one(logits, target) for one in losses]
    torch.testing.assert_close(out.losses, torch.stack(alone))
    torch.testing.assert_close(
        torch.autograd.grad(out.total, logits)[0], torch.autograd.grad(sum(alone) + 5 * alone[2], logits)[0]
    )
    fusion.set_epoch(3)


def test_callables_alone_need_no_loss_of_ours() -> None:
    out = DynamicMemoryFusion([nn.CrossEntropyLoss(), absolute], "fixed")(*leaves()[0])
    assert out.total.isfinite()


def test_a_member_of_monai_trains() -> None:
    monai = pytest.importorskip("monai.losses")
    dice = monai.DiceLoss(softmax=True, to_onehot_y=True)
    logits, target = leaves()[0]
    fusion = DynamicMemoryFusion(["cross_entropy", lambda z, y: dice(z, y[:, None])], "mad")
    fusion(logits, target).total.backward()
    assert fusion.loss_names == ("cross_entropy", "<lambda>")
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (3, r"`losses` must be names of losses, modules, or callables"),
        (nn.CrossEntropyLoss, r"`losses` must be names of losses, modules, or callables"),
        (nn.CrossEntropyLoss(reduction="none"), r"Loss `CrossEntropyLoss` must return a scalar .* Found \(4, 8, 8\)"),
        (lambda logits, target: 0.5, r"must return a scalar tensor.* Found float"),
    ],
)
def test_a_member_that_is_no_loss_is_named(member: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DynamicMemoryFusion(["dice", member], "equal")(*leaves()[0])
