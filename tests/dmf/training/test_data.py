"""Data on the device: shapes that are refused, resizing, and the order of batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dmf.training.data import TrialData, channels_last, count_batches, epoch_order
from tests.support.toy import toy_data, toy_labels, toy_volumes


@given(st.integers(1, 60), st.integers(1, 16), st.integers(0, 9))
def test_every_image_once_an_epoch_in_batches_of_equal_size(images: int, batch_size: int, epoch: int) -> None:
    batches = epoch_order(torch.arange(images), batch_size, seed=3, epoch=epoch)
    assert sorted(torch.cat(batches).tolist()) == list(range(images))
    sizes = {len(batch) for batch in batches}
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert len(batches) == count_batches(images, batch_size)


def test_the_order_follows_from_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return torch.cat(epoch_order(torch.arange(50), 8, seed, epoch)).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_resizing_averages_images_and_picks_mask_pixels() -> None:
    images = torch.tensor([[0, 100], [100, 200]], dtype=torch.uint8).repeat_interleave(2, 0).repeat_interleave(2, 1)
    masks = torch.tensor([[0, 1], [1, 0]], dtype=torch.uint8).repeat_interleave(2, 0).repeat_interleave(2, 1)
    rows = {split: torch.tensor([0]) for split in ("train", "val", "test")}
    data = TrialData(images[None, None], masks[None], rows, ("background", "lesion"))
    assert data.resized(2).images[0, 0].tolist() == [[0, 100], [100, 200]]
    assert data.resized(1).images[0, 0].tolist() == [[100]]
    assert data.resized(2).targets[0].tolist() == [[0, 1], [1, 0]]
    assert data.resized(4) is data


def test_volumes_keep_their_depth_and_labels_are_left_alone() -> None:
    volumes = toy_volumes(depth=6, size=16).resized(8)
    assert volumes.images.shape == (8, 1, 6, 8, 8)
    assert volumes.targets.shape == (8, 6, 8, 8)
    slices = toy_volumes(depth=6, size=16)
    for depth in range(6):
        flat = TrialData(slices.images[:, :, depth], slices.targets[:, depth], slices.rows, slices.classes).resized(8)
        assert torch.equal(volumes.images[:, :, depth], flat.images)
        assert torch.equal(volumes.targets[:, depth], flat.targets)
    labels = toy_labels(size=16)
    assert torch.equal(labels.resized(8).targets, labels.targets)


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


@given(st.lists(st.integers(0, 23), min_size=1, max_size=30), st.sampled_from([8, 16]))
def test_arrays_read_and_resize_as_tensors_do(rows: list[int], size: int) -> None:
    data = toy_data()
    arrays = TrialData(data.images.numpy(), data.targets.numpy(), data.rows, data.classes)
    arrays.images.flags.writeable = False  # as they come out of shared memory
    for one, other in zip(arrays.read(torch.tensor(rows)), data.read(torch.tensor(rows)), strict=True):
        assert torch.equal(one, other)
    whole, found = data.resized(size), arrays.resized(size)
    assert torch.equal(found.images, whole.images)
    assert torch.equal(found.targets, whole.targets)
    assert isinstance(arrays.to(torch.device("cpu")).images, torch.Tensor)


def test_targets_of_arrays_are_looked_at_when_they_are_read() -> None:
    data = toy_data()
    targets = data.targets.numpy().copy()
    targets[5] = 2
    arrays = TrialData(data.images.numpy(), targets, data.rows, data.classes)
    arrays.read(torch.tensor([4]))
    with pytest.raises(ValueError, match="`targets` must be below 2"):
        arrays.read(torch.tensor([4, 5]))


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
