"""Resident or streamed: the same batches, and so the same training, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dmf.training import loading
from dmf.training.data import TrialData, epoch_order
from dmf.training.loading import Resident, Streamed, build_loader, resident_bytes
from dmf.training.trial import Trial
from tests.support.toy import toy_data, toy_labels, toy_spec, toy_volumes

CPU = torch.device("cpu")


def mapped(data: TrialData, folder: Path) -> TrialData:
    """The same data in files, of which it holds maps."""
    for name in ("images", "targets"):
        np.save(folder / f"{name}.npy", getattr(data, name).numpy())
    images, targets = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "targets"))
    return TrialData(images, targets, data.rows, data.classes)


@pytest.mark.parametrize("make", [toy_data, toy_labels, toy_volumes])
def test_streamed_batches_are_the_resident_ones(make, tmp_path: Path) -> None:
    data = make()
    resident, streamed = Resident(data, CPU), Streamed(mapped(data, tmp_path), CPU)
    for epoch in range(3):
        order = epoch_order(data.rows["train"], 4, 0, epoch)
        streamed.prefetch(order)
        for rows in order:
            for one, other in zip(resident.batch(rows), streamed.batch(rows), strict=True):
                assert torch.equal(one, other)


def test_batches_that_were_not_announced_or_come_in_another_order_are_right_too(tmp_path: Path) -> None:
    data = toy_data()
    streamed = Streamed(mapped(data, tmp_path), CPU)
    first, second = torch.tensor([1, 2]), torch.tensor([7])
    streamed.prefetch([first, second])
    for rows in (second, torch.tensor([1, 2]), first, first, second):
        assert torch.equal(streamed.batch(rows).images, data.images[rows])


def test_an_epoch_that_broke_off_does_not_disturb_the_next(tmp_path: Path) -> None:
    data = toy_data()
    streamed = Streamed(mapped(data, tmp_path), CPU)
    for order in ([torch.tensor([0]), torch.tensor([1])], [torch.tensor([2]), torch.tensor([3])]):
        streamed.prefetch(order)
        assert torch.equal(streamed.batch(order[0]).images, data.images[order[0]])


def test_what_goes_wrong_while_reading_ahead_is_told(tmp_path: Path) -> None:
    data = mapped(toy_data(), tmp_path)
    streamed = Streamed(data, CPU)
    rows = torch.tensor([1000])
    streamed.prefetch([rows])
    with pytest.raises(IndexError, match="1000"):
        streamed.batch(rows)


def test_what_fits_the_budget_is_resident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy_data()
    size = 24 * 16 * 16 * 2
    assert resident_bytes(data) == size == data.images.numel() + data.targets.numel()
    assert resident_bytes(toy_labels()) == 24 * (16 * 16 + 1)
    assert resident_bytes(toy_volumes()) == 8 * 8 * 16 * 16 * 2
    monkeypatch.setattr(loading, "RESIDENT_BYTES", size)
    assert isinstance(build_loader(mapped(data, tmp_path), CPU), Resident)
    monkeypatch.setattr(loading, "RESIDENT_BYTES", size - 1)
    assert isinstance(build_loader(mapped(data, tmp_path), CPU), Streamed)
    there = build_loader(data, CPU)
    assert isinstance(there, Resident), "it lies there already"
    assert there.data.images is data.images


@pytest.mark.parametrize("changes", [{}, {"augmentation": {"rotation": 20, "noise": 0.1}}], ids=str)
def test_a_streamed_trial_is_the_resident_one(
    changes: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, spec = toy_data(), toy_spec(epochs=2, test_noise=[0.1], **changes)
    resident = Trial(spec, data)
    monkeypatch.setattr(loading, "RESIDENT_BYTES", 0)
    streamed = Trial(spec, mapped(data, tmp_path))
    assert isinstance(streamed.loader, Streamed)
    for _ in range(2):
        one, other = resident.epoch(), streamed.epoch()
        assert one.validation == other.validation
        for name in one.steps:
            np.testing.assert_array_equal(one.steps[name], other.steps[name])
    one, other = resident.finish(), streamed.finish()
    assert one.test == other.test
    np.testing.assert_array_equal(one.predictions, other.predictions)


@pytest.mark.gpu
def test_on_a_gpu_streamed_batches_are_the_resident_ones(tmp_path: Path) -> None:
    data, device = toy_data(), torch.device("cuda")
    resident, streamed = Resident(data, device), Streamed(mapped(data, tmp_path), device)
    order = epoch_order(data.rows["train"], 4, 0, 0)
    streamed.prefetch(order)
    for rows in order:
        for one, other in zip(resident.batch(rows.to(device)), streamed.batch(rows), strict=True):
            assert torch.equal(one, other)
