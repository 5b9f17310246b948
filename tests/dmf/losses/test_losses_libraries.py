"""The losses against the authors' own numbers and against other libraries."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dmf.losses import build_loss
from tests.support.oracle import notebook

REFERENCE_NAMES = {
    "dice": "dice_loss",
    "iou": "iou_loss",
    "tversky": "tversky_loss",
    "focal": "focal_loss",
    "cb_dice": "class_balanced_dice_loss",
    "cross_entropy": "categorical_crossentropy",
}


@pytest.mark.parametrize("case", range(4))
@pytest.mark.parametrize("name", REFERENCE_NAMES)
def test_reference_fidelity_equals_the_notebook(name: str, case: int) -> None:
    metrics = notebook()["metrics"][case]
    logits, target = torch.tensor(metrics["logits"]).movedim(-1, 1), torch.tensor(metrics["labels"])
    value = build_loss(name, metrics["num_classes"], "reference")(logits, target)
    assert value.item() == pytest.approx(metrics["values"][REFERENCE_NAMES[name]], abs=1e-5)


def random_batch(classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(classes)
    logits = 3 * torch.randn(4, classes, 16, 16, dtype=torch.float64, generator=generator)
    return logits.requires_grad_(), torch.randint(0, classes, (4, 16, 16), generator=generator)


def assert_same(ours: Tensor, theirs: Tensor, logits: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    slopes = [torch.autograd.grad(value, logits)[0] for value in (ours, theirs)]
    torch.testing.assert_close(*slopes, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("classes", [2, 5])
def test_agrees_with_torch(classes: int) -> None:
    logits, target = random_batch(classes)
    entropy = torch.nn.functional.cross_entropy
    assert_same(build_loss("cross_entropy", classes)(logits, target), entropy(logits, target), logits)
    target[:, 3:9] = -100
    ours = build_loss("cross_entropy", classes, ignore_index=-100)(logits, target)
    assert_same(ours, entropy(logits, target), logits)
    labels = target.clamp_min(0)
    hot = torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).double()
    for name in ("mse", "smooth_l1", "binary_cross_entropy"):
        theirs = getattr(torch.nn.functional, name if name.endswith("entropy") else f"{name}_loss")
        assert_same(build_loss(name, classes)(logits, labels), theirs(logits.softmax(1), hot), logits)


@pytest.mark.parametrize("classes", [2, 5])
def test_agrees_with_segmentation_models(classes: int) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch.losses")
    logits, target = random_batch(classes)
    theirs = {
        "dice": smp.DiceLoss("multiclass"),
        "iou": smp.JaccardLoss("multiclass"),
        "tversky": smp.TverskyLoss("multiclass", alpha=0.7, beta=0.3),
    }
    for name, loss in theirs.items():
        assert_same(build_loss(name, classes)(logits, target), loss(logits, target), logits)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 5])
def test_agrees_with_monai(classes: int) -> None:
    monai = pytest.importorskip("monai.losses")
    logits, target = random_batch(classes)
    shared = {"softmax": True, "to_onehot_y": True, "batch": True, "smooth_nr": 1e-6, "smooth_dr": 1e-6}
    theirs = {
        "dice": monai.DiceLoss(**shared),
        "iou": monai.DiceLoss(**shared, jaccard=True),
        "tversky": monai.TverskyLoss(**shared, alpha=0.7, beta=0.3),
    }
    for name, loss in theirs.items():
        assert_same(build_loss(name, classes)(logits, target), loss(logits, target.unsqueeze(1)), logits)
    # MONAI's focal loss works in float32, and divides by the number of classes, of which all but one add nothing.
    focal = monai.FocalLoss(gamma=2.0, use_softmax=True, to_onehot_y=True)(logits, target.unsqueeze(1))
    ours = build_loss("focal", classes, alpha=1.0)(logits, target)
    torch.testing.assert_close(ours, (classes * focal).double(), rtol=1e-6, atol=1e-6)
