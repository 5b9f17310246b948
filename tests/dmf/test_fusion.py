"""Equation (1): base losses, weights, auxiliary loss, in one module for anybody's training loop."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from dmf.fusion import DynamicMemoryFusion, FusionOutput
from dmf.losses import LOSSES, REFERENCE, VARIANTS, build_loss
from dmf.weightings import WEIGHTINGS, build_weighting
from tests.support.fusions import BASE, batches


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
