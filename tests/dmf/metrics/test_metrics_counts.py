"""Counts of true and false positives and negatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from dmf.metrics import confusion_counts, confusion_matrix, empty_masks, per_image, summarise


def labels(seed: int, classes: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, classes, shape, generator=torch.Generator().manual_seed(seed))


def test_a_hand_counted_image() -> None:
    target = torch.tensor([[[0, 0, 1], [0, 1, 1]]])
    prediction = torch.tensor([[[0, 1, 1], [0, 0, 1]]])
    #                              tp fp fn tn
    assert confusion_counts(prediction, target, 2).tolist() == [[[2, 1, 1, 2], [2, 1, 1, 2]]]


def test_three_classes_and_one_that_is_absent() -> None:
    target = torch.tensor([[0, 1, 2, 2]])
    prediction = torch.tensor([[0, 2, 2, 0]])
    counts = confusion_counts(prediction, target, 4)
    assert counts.tolist() == [[[1, 1, 0, 2], [0, 0, 1, 3], [1, 1, 1, 1], [0, 0, 0, 4]]]


def test_in_classification_an_image_is_one_pixel() -> None:
    counts = confusion_counts(torch.tensor([0, 1]), torch.tensor([0, 2]), 3)
    assert counts.tolist() == [[[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]], [[0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]]]


def test_ignored_pixels_count_nowhere() -> None:
    target, prediction = torch.tensor([[0, 1, 255, 255]]), torch.tensor([[0, 0, 1, 0]])
    assert confusion_counts(prediction, target, 2, ignore_index=255).tolist() == [[[1, 1, 0, 0], [0, 0, 1, 1]]]
    assert confusion_matrix(prediction, target, 2, ignore_index=255).tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize("shape", [(3, 50), (2, 9, 7), (2, 3, 4, 5)])
@pytest.mark.parametrize("classes", [2, 5])
def test_it_agrees_with_scikit_learn(shape: tuple[int, ...], classes: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    target, prediction = labels(0, classes, *shape), labels(1, classes, *shape)
    counts = confusion_counts(prediction, target, classes)
    for image, expected in enumerate(zip(target.flatten(1), prediction.flatten(1), strict=True)):
        tn_fp_fn_tp = sklearn.multilabel_confusion_matrix(*expected, labels=range(classes)).reshape(classes, 4)
        np.testing.assert_array_equal(counts[image], tn_fp_fn_tp[:, [3, 1, 2, 0]])
    matrix = sklearn.confusion_matrix(target.flatten(), prediction.flatten(), labels=range(classes))
    np.testing.assert_array_equal(confusion_matrix(prediction, target, classes), matrix)


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), classes=st.integers(2, 6), pixels=st.integers(1, 40))
def test_the_matrix_holds_the_counts(seed: int, classes: int, pixels: int) -> None:
    target, prediction = labels(seed, classes, 3, pixels), labels(seed + 1, classes, 3, pixels)
    counts, matrix = confusion_counts(prediction, target, classes), confusion_matrix(prediction, target, classes)
    tp, fp, fn, _ = counts.sum(0).unbind(-1)
    assert torch.equal(matrix.diagonal(), tp)
    assert torch.equal(matrix.sum(0), tp + fp)
    assert torch.equal(matrix.sum(1), tp + fn)
    assert torch.equal(counts.sum(-1), torch.full((3, classes), pixels))


def test_unsigned_bytes_are_as_good_as_integers() -> None:
    target, prediction = labels(0, 3, 2, 20, 20), labels(1, 3, 2, 20, 20)
    as_bytes = confusion_counts(prediction.byte(), target.byte(), 3)
    assert torch.equal(as_bytes, confusion_counts(prediction, target, 3))
    assert as_bytes.dtype == torch.int64
    assert torch.equal(confusion_matrix(prediction.byte(), target.byte(), 3), confusion_matrix(prediction, target, 3))


def test_counting_never_waits_for_the_device() -> None:
    """On fake tensors, which have no values, anything that reads one back would raise."""
    with FakeTensorMode():
        target, prediction = torch.zeros(2, 8, 8, dtype=torch.int64), torch.zeros(2, 8, 8, dtype=torch.int64)
        assert confusion_counts(prediction, target, 2, ignore_index=255).shape == (2, 2, 4)


@pytest.mark.parametrize("count", [confusion_counts, confusion_matrix])
def test_logits_in_place_of_classes_are_refused(count: object) -> None:
    with pytest.raises(ValueError, match=r"Found \(2, 3, 8, 8\) and \(2, 8, 8\); reduce logits with `logits.argmax"):
        count(torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8), 3)  # type: ignore[operator]


@pytest.mark.parametrize("count", [confusion_counts, confusion_matrix])
def test_arrays_and_lists_in_place_of_tensors_are_refused(count: Callable[..., Tensor]) -> None:
    for prediction in ([[0, 1]], np.zeros((1, 2), np.int64)):
        with pytest.raises(ValueError, match=r"`prediction` must be a tensor of class indices"):
            count(prediction, torch.zeros(1, 2, dtype=torch.int64), 2)


@pytest.mark.parametrize(("label", "name"), [(2, "2"), (255, "255"), (-1, "-1")])
def test_the_matrix_refuses_what_is_no_class(label: int, name: str) -> None:
    """A prediction of 2 among two classes would else be counted as a true 1 that was taken for 0."""
    good, odd = torch.tensor([[0, 0, 1]]), torch.tensor([[0, label, 1]])
    for pair, side in (((odd, good), "prediction"), ((good, odd), "target")):
        with pytest.raises(ValueError, match=rf"The {side} must hold .* from 0 to 1\. Found 1 pixels .*, {name} among"):
            confusion_matrix(*pair, 2)
    assert confusion_matrix(good, odd, 2, ignore_index=label).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(("label", "ignored"), [(255, None), (2, None), (-1, 255), (7, 255)])
def test_counting_on_a_cpu_refuses_what_is_no_class(label: int, ignored: int | None) -> None:
    good, odd = torch.tensor([[0, 0, 1], [1, 1, 0]]), torch.tensor([[0, label, 1], [1, label, 0]])
    with pytest.raises(ValueError, match=rf"The target must hold .* Found 2 pixels with others, {label} among them"):
        confusion_counts(good, odd, 2, ignore_index=ignored)
    assert confusion_counts(good, odd, 2, ignore_index=label).sum() == 4 * 2


@pytest.mark.parametrize("read", [summarise, per_image, empty_masks])
def test_whatever_reads_counts_refuses_those_of_no_label_map(
    read: Callable[[Tensor], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dmf.metrics.counts.require_label_maps", lambda *_: None)  # as on a device
    good, odd = torch.tensor([[[0, 0], [0, 1]]]), torch.tensor([[[0, 0], [0, 255]]])
    for pair, side in (((odd, good), "prediction"), ((good, odd), "target")):
        with pytest.raises(ValueError, match=rf"The {side} must hold class indices from 0 to 1\. Found 1 pixels"):
            read(confusion_counts(*pair, 2))
    with pytest.raises(ValueError, match=r"have shape \(B, C, 4\)"):
        read(torch.ones(3, 1, 4, dtype=torch.int64))


def test_the_target_may_have_an_axis_of_one_channel_or_one_a_class() -> None:
    prediction, target = torch.tensor([[0, 2, 1, 0]]), torch.tensor([[0, 1, 255, 2]])
    expected = confusion_counts(prediction, target, 3, ignore_index=255)
    one_hot = torch.where(target.unsqueeze(1) == 255, 255, target.unsqueeze(1) == torch.arange(3)[:, None])
    for form in (target.unsqueeze(1), target.unsqueeze(1).float(), one_hot, one_hot.float()):
        assert torch.equal(confusion_counts(prediction, form, 3, ignore_index=255), expected)
    with pytest.raises(ValueError, match="must hold class indices from 0 to 2"):
        confusion_counts(prediction, one_hot.float() * 0.5, 3)
