"""Data on the device: shapes that are refused, and the order of batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dmf.training.data import TrialData, channels_last, count_batches, epoch_order, require_size
from dmf.training.trial import Trial, train
from tests.support.toy import quarters, toy_data, toy_labels, toy_spec, toy_volumes


@given(st.integers(1, 60), st.integers(1, 16), st.integers(0, 9))
def test_every_image_once_an_epoch_in_batches_of_equal_size(images: int, batch_size: int, epoch: int) -> None:
    batches = epoch_order(torch.arange(images), batch_size, seed=3, epoch=epoch)
    assert sorted(torch.cat(batches).tolist()) == list(range(images))
    sizes = {len(batch) for batch in batches}
    assert max(sizes) <= max(batch_size, 3 if batch_size == 2 and images % 2 else 1)
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) > 1 or images == 1 or batch_size == 1, "a batch of one has no variance"
    assert len(batches) == count_batches(images, batch_size)


def test_the_order_follows_from_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return torch.cat(epoch_order(torch.arange(50), 8, seed, epoch)).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


@pytest.mark.parametrize("image_size", [8, 32])
def test_a_trial_neither_enlarges_nor_shrinks_its_images(image_size: int) -> None:
    spec = toy_spec(image_size=image_size)
    with pytest.raises(ValueError, match=rf"`image_size` is {image_size}, but the images have 16 x 16 pixels .* anew"):
        Trial(spec, toy_data(size=16))


def test_volumes_have_the_size_of_the_trial_in_height_and_width() -> None:
    require_size(toy_volumes(depth=6, size=16), 16)
    wide = np.zeros((3, 1, 16, 20), np.uint8)
    with pytest.raises(ValueError, match="16 x 20 pixels"):
        require_size(TrialData(wide, np.zeros(3, np.uint8), quarters(3), ("a", "b")), 16)


def test_the_targets_tell_the_task() -> None:
    assert (toy_data().task, toy_volumes().task) == ("segmentation", "segmentation")
    assert toy_labels().task == "classification"


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 4, 5, 6), (2, 3)])
def test_channels_last_changes_the_layout_and_no_value(shape: tuple[int, ...]) -> None:
    tensor = torch.rand(shape)
    laid_out = channels_last(tensor)
    assert torch.equal(laid_out, tensor)
    assert laid_out.stride(1) == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_is_kept_by_the_layers_of_a_network(channels: int) -> None:
    """With one channel both layouts are the same memory, and a convolution must be told by the strides."""
    images = channels_last(torch.rand(2, channels, 8, 8))
    features = nn.Conv2d(channels, 4, 3, padding=1)(images)
    assert features.is_contiguous(memory_format=torch.channels_last)
    assert nn.MaxPool2d(2)(features).is_contiguous(memory_format=torch.channels_last)


@given(st.lists(st.integers(0, 23), min_size=1, max_size=30))
def test_arrays_read_as_tensors_do(rows: list[int]) -> None:
    data = toy_data()
    arrays = TrialData(data.images.numpy(), data.targets.numpy(), data.rows, data.classes)
    arrays.images.flags.writeable = False  # as they come out of shared memory
    for one, other in zip(arrays.read(torch.tensor(rows)), data.read(torch.tensor(rows)), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(arrays.to(torch.device("cpu")).images, data.images)


def test_targets_of_arrays_are_looked_at_when_they_are_read() -> None:
    data = toy_data()
    targets = data.targets.numpy().copy()
    targets[5] = 2
    arrays = TrialData(data.images.numpy(), targets, data.rows, data.classes)
    arrays.read(torch.tensor([4]))
    with pytest.raises(ValueError, match="`targets` must be below 2"):
        arrays.read(torch.tensor([4, 5]))


@pytest.mark.parametrize("kind", [torch.as_tensor, np.asarray])
def test_a_target_that_counts_nowhere_is_named(kind: Callable[[object], object]) -> None:
    data = toy_data()
    targets = data.targets.clone()
    targets[:, :3] = 255
    void = replace(data, targets=kind(targets), images=kind(data.images), ignore_index=255)
    assert void.read(torch.tensor([0]))[1].unique().tolist() == [0, 1, 255]
    targets[5] = 2
    with pytest.raises(ValueError, match=r"must be below 2 \(the classes\), or 255 \(`ignore_index`\)\. Found 2"):
        replace(void, targets=kind(targets)).read(torch.tensor([5]))
    with pytest.raises(ValueError, match=r"`ignore_index` must be no class and a byte, from 2 to 255\. Found 1"):
        replace(data, ignore_index=1)


def test_what_does_not_fit_together_is_refused() -> None:
    data = toy_data()
    with pytest.raises(ValueError, match="`targets` must be of shape"):
        TrialData(data.images, data.targets[:, 1:], data.rows, data.classes)
    with pytest.raises(ValueError, match=r"\(N, C, H, W\) or \(N, C, D, H, W\)\. Found \(24, 16, 16\)"):
        TrialData(data.images[:, 0], data.targets, data.rows, data.classes)
    with pytest.raises(ValueError, match="split 'val' holds no image"):
        TrialData(data.images, data.targets, {**data.rows, "val": torch.tensor([])}, data.classes)
    with pytest.raises(ValueError, match="`targets` must be below 1"):
        TrialData(data.images, data.targets, data.rows, ("background",))


def test_floats_are_refused_with_what_to_do() -> None:
    """Pictures in [0, 1] would be divided by 255 once more, and all be black."""
    data = toy_data()
    for images in (
        data.images / 255,
        (data.images / 255).numpy(),
        data.images.long(),
        data.images.numpy().astype(bool),
    ):
        with pytest.raises(
            ValueError, match=r"`images` must hold bytes .*`\(255 \* x\)\.round\(\)`\. Found .*values from 0"
        ):
            TrialData(images, data.targets, data.rows, data.classes)
    for targets in (data.targets.float(), data.targets.long(), -data.targets.numpy().astype(np.int8)):
        with pytest.raises(ValueError, match=r"`targets` must hold bytes \(uint8\), class indices from 0\. Found"):
            TrialData(data.images, targets, data.rows, data.classes)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, torch.tensor])
def test_spacing_may_be_of_any_type_and_is_float64(kind: Callable[..., Any]) -> None:
    data = toy_data()
    sides = kind([[1, 2]] * len(data.images))
    found = replace(data, spacing=sides).spacing
    assert found is not None
    assert (found.dtype, found.tolist()) == (np.float64, [[1.0, 2.0]] * len(data.images))
    result = train(toy_spec(epochs=1), replace(data, spacing=sides))
    assert np.isfinite(result.images["hd95_original"]).all()


@pytest.mark.parametrize("side", [0.0, -1.0, math.nan, math.inf])
def test_a_spacing_that_is_no_length_is_refused(side: float) -> None:
    data = toy_data()
    spacing = np.ones((len(data.images), 2), np.float32)
    spacing[3, 1] = side
    with pytest.raises(ValueError, match=r"`spacing` must be of positive numbers"):
        replace(data, spacing=spacing)


@pytest.mark.parametrize("rows", [torch.tensor([24]), torch.tensor([-1]), torch.tensor([0.5]), [0, 99]])
def test_rows_that_are_none_are_refused(rows: Any) -> None:
    data = toy_data()
    with pytest.raises(ValueError, match=r"`rows\['val'\]` must be row numbers from 0 to 23\. Found"):
        replace(data, rows={**data.rows, "val": rows})


@pytest.mark.parametrize("images", [3, 5])
def test_an_odd_number_in_batches_of_two_leaves_no_image_alone(images: int) -> None:
    """PAN's global branch keeps one value a channel and image, of which batch norm takes the variance."""
    pytest.importorskip("segmentation_models_pytorch")
    data = toy_data(size=128)
    rows = {"train": torch.arange(images), "val": torch.tensor([6]), "test": torch.tensor([7])}
    spec = toy_spec(
        model="smp:pan/resnet18",
        model_params={},
        image_size=128,
        batch_size=2,
        epochs=1,
        weighting="fixed",
        weighting_params={},
    )
    trial = Trial(spec, replace(data, rows=rows))
    assert [len(batch) for batch in trial.begin_epoch()] == ([3] if images == 3 else [3, 2])
    assert trial.epoch().steps["total"].shape == (images // 2,)


@pytest.mark.parametrize("images", [1, 2])
def test_a_batch_of_one_that_batch_norm_cannot_take_is_said(images: int) -> None:
    pytest.importorskip("timm")
    data = toy_labels(size=32)
    rows = {"train": torch.arange(images), "val": torch.tensor([6]), "test": torch.tensor([7])}
    spec = toy_spec(
        model="timm:resnet10t",
        model_params={},
        image_size=32,
        batch_size=1,
        epochs=1,
        weighting="fixed",
        weighting_params={},
    )
    with pytest.raises(ValueError, match=r"Found a batch of 1 image of 32x32 pixels.*Raise `batch_size` to 2"):
        Trial(spec, replace(data, rows=rows)).epoch()
