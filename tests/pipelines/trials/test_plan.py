"""Which trials a study needs: each reads the arrays that were prepared at its size."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.core.console import StageError
from pipelines.trials.plan import plan
from tests.support.grids import tiny

SIZES = [{"weighting": "fixed", "auxiliary": None, "image_size": [16, 24]}]


def test_a_size_at_which_nothing_was_prepared_is_refused_with_what_to_do(
    tmp_path: Path, prepared_phantom: Path
) -> None:
    """Pixels that are stored at 16 and 24 are not blown up to 224."""
    study = tiny(tmp_path, trial={"image_size": 224})
    with pytest.raises(StageError, match=r"phantom/224/images\.npy is missing\. .*--dataset phantom --size 224`"):
        plan(study, prepared_phantom, tmp_path / "trials")


def test_an_identifier_does_not_change_because_another_size_was_prepared_too(
    tmp_path: Path, prepared_phantom: Path
) -> None:
    both, one = tmp_path / "both", tmp_path / "one"
    for copy in (both, one):
        shutil.copytree(prepared_phantom / "arrays", copy / "arrays")
    shutil.rmtree(one / "arrays/phantom/24")
    study = tiny(tmp_path)
    before, after = ([trial.identifier for trial in plan(study, data, tmp_path)] for data in (one, both))
    assert before == after
    twice = plan(tiny(tmp_path, grid=SIZES, baseline={"image_size": 16}), both, tmp_path)
    assert len({trial.identifier for trial in twice}) == len(twice) == 4
    assert len({trial.data_checksum for trial in twice}) == 2
