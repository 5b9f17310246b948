"""Members of a fusion that are none of ours: modules of others, functions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dmf.fusion import DynamicMemoryFusion
from dmf.losses import build_loss
from tests.support.fusions import leaves


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
