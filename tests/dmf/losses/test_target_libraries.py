"""Forms of targets against other libraries, where they define the same thing.

MONAI is not among what is installed: its tests run wherever it can be imported (`pip install --no-deps monai==1.6.1`).
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dmf.losses import build_loss
from tests.support.forms import example, hot, presence, soft

ONE, FIVE = (3, 1, 12, 12), (3, 5, 12, 12)
NO_SMOOTHING: dict[str, Any] = {"batch": True, "smooth_nr": 1e-6, "smooth_dr": 1e-6}


def assert_same(ours: Tensor, theirs: Tensor, logits: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    slopes = [torch.autograd.grad(value.sum(), logits, retain_graph=True)[0] for value in (ours, theirs)]
    torch.testing.assert_close(*slopes, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", [ONE, FIVE, (7, 5), (7, 1)], ids=str)
def test_binary_and_multi_label_cross_entropy_are_torchs(shape: tuple[int, ...]) -> None:
    logits = example(shape)[0]
    classes = shape[1]
    for target in (
        presence(shape),
        presence(shape).double(),
        soft(shape) if classes > 1 else soft((*shape, 2))[..., 0],
    ):
        theirs = nn.BCEWithLogitsLoss()(logits, target.double())
        for name in ("cross_entropy", "binary_cross_entropy"):
            assert_same(build_loss(name, classes, activation="sigmoid")(logits, target), theirs, logits)
    weights = torch.tensor([2.0, 1.0, 0.0, 1.0, 1.0])[:classes].double()
    each = nn.BCEWithLogitsLoss(reduction="none")(logits, presence(shape).double())
    theirs = (each.transpose(1, -1) * weights).sum() / weights.sum() / (each.numel() / classes)
    ours = build_loss("cross_entropy", classes, activation="sigmoid", class_weights=weights.tolist())
    assert_same(ours(logits, presence(shape)), theirs, logits)


@pytest.mark.parametrize("shape", [FIVE, (7, 5)], ids=str)
def test_soft_labels_class_weights_and_samples_are_torchs(shape: tuple[int, ...]) -> None:
    logits, labels = example(shape)
    assert_same(build_loss("cross_entropy", 5)(logits, soft(shape)), nn.CrossEntropyLoss()(logits, soft(shape)), logits)
    weights = [1.0, 0.0, 2.5, 1.0, 0.3]
    labels.view(-1)[::4] = 255
    theirs = nn.CrossEntropyLoss(torch.tensor(weights).double(), ignore_index=255)
    ours = build_loss("cross_entropy", 5, class_weights=weights, ignore_index=255)
    assert_same(ours(logits, labels), theirs(logits, labels), logits)
    samples = build_loss("cross_entropy", 5, reduction="none")(logits, labels.clamp_max(4))
    theirs = nn.CrossEntropyLoss(reduction="none")(logits, labels.clamp_max(4))
    assert_same(samples, theirs.flatten(1).mean(1) if theirs.ndim > 1 else theirs, logits)


def overlaps(smp: Any, mode: str) -> dict[str, Any]:
    return {
        "dice": smp.DiceLoss(mode),
        "iou": smp.JaccardLoss(mode),
        "tversky": smp.TverskyLoss(mode, alpha=0.7, beta=0.3),
    }


@pytest.mark.parametrize(("mode", "shape"), [("binary", ONE), ("multilabel", FIVE)])
def test_sigmoid_is_that_of_segmentation_models(mode: str, shape: tuple[int, ...]) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch.losses")
    logits, target = example(shape)[0], presence(shape)
    for name, theirs in overlaps(smp, mode).items():
        for labels in (target, target.float()):
            assert_same(
                build_loss(name, shape[1], activation="sigmoid")(logits, labels), theirs(logits, labels), logits
            )
    focal = build_loss("focal", shape[1], activation="sigmoid", alpha=[0.75, 0.25])
    assert_same(focal(logits, target), smp.FocalLoss(mode, gamma=2.0, alpha=0.25)(logits, target), logits)


def test_one_hot_labels_and_classes_are_those_of_segmentation_models() -> None:
    """Soft labels are not: it takes `Σ min(p, y)` for TP, where MONAI and we take `Σ p y`."""
    smp = pytest.importorskip("segmentation_models_pytorch.losses")
    logits, labels = example(FIVE)
    for name, cls in {"dice": smp.DiceLoss, "iou": smp.JaccardLoss}.items():
        theirs = cls("multilabel", from_logits=False)
        for target in (hot(labels, 5), hot(labels, 5).double()):
            assert_same(build_loss(name, 5)(logits, target), theirs(logits.softmax(1), target), logits)
        theirs = cls("multiclass", classes=[1, 2, 3, 4])
        assert_same(build_loss(name, 5, include_background=False)(logits, labels), theirs(logits, labels), logits)
        weights = [0.5, 2.0, 0.0, 1.0, 3.0]
        theirs = cls("multiclass", class_weights=weights)
        assert_same(build_loss(name, 5, class_weights=weights)(logits, labels), theirs(logits, labels), logits)


# --- MONAI ---


def monai_overlaps(**how: Any) -> dict[str, Any]:
    monai = pytest.importorskip("monai.losses")
    how = NO_SMOOTHING | how
    return {
        "dice": monai.DiceLoss(**how),
        "iou": monai.DiceLoss(**how, jaccard=True),
        "tversky": monai.TverskyLoss(**how, alpha=0.7, beta=0.3),
    }


def test_soft_and_one_hot_labels_are_those_of_monai() -> None:
    logits, labels = example(FIVE)
    for name, theirs in monai_overlaps(softmax=True).items():
        for target in (soft(FIVE), hot(labels, 5)):
            assert_same(build_loss(name, 5)(logits, target), theirs(logits, target), logits)


@pytest.mark.parametrize("shape", [ONE, FIVE], ids=str)
def test_sigmoid_is_that_of_monai(shape: tuple[int, ...]) -> None:
    logits, target = example(shape)[0], presence(shape)
    for name, theirs in monai_overlaps(sigmoid=True).items():
        for labels in (target, soft((*shape, 2))[..., 0]):
            ours = build_loss(name, shape[1], activation="sigmoid")
            assert_same(ours(logits, labels), theirs(logits, labels), logits)
    monai = pytest.importorskip("monai.losses")
    theirs = monai.FocalLoss(gamma=2.0)(logits, target).double()  # works in float32
    ours = build_loss("focal", shape[1], activation="sigmoid", alpha=1.0)(logits, target)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_background_weights_and_samples_are_those_of_monai() -> None:
    """Its weights are not divided by their sum, so that they are the same where those are 1 on average."""
    logits, labels = example(FIVE)
    for name, theirs in monai_overlaps(softmax=True, to_onehot_y=True, include_background=False).items():
        ours = build_loss(name, 5, include_background=False)
        assert_same(ours(logits, labels), theirs(logits, labels.unsqueeze(1)), logits)
    for name, theirs in monai_overlaps(softmax=True, to_onehot_y=True, batch=False, reduction="none").items():
        ours = build_loss(name, 5, reduction="none")(logits, labels)
        assert_same(ours, theirs(logits, labels.unsqueeze(1)).flatten(1).mean(1), logits)
    weights = [0.5, 1.5, 0.2, 1.8, 1.0]
    monai = pytest.importorskip("monai.losses")
    dice = monai.DiceLoss(**NO_SMOOTHING, softmax=True, to_onehot_y=True, weight=torch.tensor(weights))
    ours = build_loss("dice", 5, class_weights=weights)
    assert_same(ours(logits, labels), dice(logits, labels.unsqueeze(1)), logits)


def test_sigmoid_without_background_is_that_of_monai() -> None:
    logits, target = example(FIVE)[0], presence(FIVE)
    for name, theirs in monai_overlaps(sigmoid=True, include_background=False).items():
        ours = build_loss(name, 5, activation="sigmoid", include_background=False)
        assert_same(ours(logits, target), theirs(logits, target), logits)
