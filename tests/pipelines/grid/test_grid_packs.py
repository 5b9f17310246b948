"""Packs of trials in the grid, on a real Ray: the same records as one trial at a time, whatever is killed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pipelines.trials.plan import plan
from tests.support.attempts import record_trial
from tests.support.commands import wait_for
from tests.support.grids import LONG, finished, mirrored, start, store, tiny, workers_of

MEASURED = ["seconds"]

# Real clusters, killed and started again: minutes on a busy machine.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


def assert_same_records(one: Path, other: Path) -> None:
    """All that a trial's folder holds, but for the time it took."""
    for name in ("history", "epochs", "images"):
        a, b = (pd.read_parquet(folder / f"{name}.parquet") for folder in (one, other))
        pd.testing.assert_frame_equal(
            a.drop(columns=MEASURED, errors="ignore"), b.drop(columns=MEASURED, errors="ignore")
        )
    a, b = (torch.load(folder / "model.pt") for folder in (one, other))
    torch.testing.assert_close(a, b, rtol=0, atol=0)
    np.testing.assert_array_equal(*(np.load(folder / "predictions.npz")["masks"] for folder in (one, other)))


def test_a_pack_whose_worker_is_killed_ends_with_the_records_of_single_trials(
    tmp_path: Path, prepared_phantom: Path
) -> None:
    alone, packed = tmp_path / "alone", tmp_path / "packed"
    for folder in (alone, packed):
        folder.mkdir()
    for trial in plan(tiny(alone, trial={"epochs": LONG}), prepared_phantom, alone / "trials"):
        record_trial(trial, prepared_phantom)
    tiny(packed, trial={"epochs": LONG}, resources={"pack": 2})
    driver = start(prepared_phantom, packed)
    wait_for(
        lambda: list(packed.glob("trials/.unfinished/tiny/*/checkpoint.pt")), driver
    )  # a state is saved: a pack is in the middle of its training
    wait_for(lambda: [worker.kill() for worker in workers_of(driver)[:1]], driver)
    assert driver.wait() == 0
    assert finished(packed).keys() == finished(alone).keys()
    assert mirrored(store(packed)) == {(identifier, "FINISHED"): 1 for identifier in finished(alone)}
    for identifier in finished(alone):
        assert_same_records(*(folder / "trials" / "tiny" / identifier for folder in (alone, packed)))
