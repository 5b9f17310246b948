"""Which trials a study needs: each reads the arrays that were prepared at its size."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.core.console import StageError
from pipelines.datasets.catalogue import find_entries, load_catalogue
from pipelines.datasets.preparation import spatial_shape
from pipelines.datasets.readers.parts import Patches
from pipelines.trials.plan import plan
from tests.support.grids import tiny
from tune_spaces import load_study, study_names

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


@pytest.mark.parametrize("name", study_names())
def test_patches_have_the_size_of_the_studies_that_train_on_them(name: str) -> None:
    study = load_study(name)
    for entry in find_entries(study.datasets, Path("nowhere")):
        for size in study.image_sizes(entry.name):
            assert spatial_shape(entry, size)[-2:] == (size, size)


def test_patches_of_another_size_are_refused_with_what_to_do() -> None:
    """Patches of volumes are not resized; a picture of any data set is."""
    entry = load_catalogue()["brats2018"].model_copy(update={"volume": Patches(cut="patches", size=(4, 32, 48))})
    with pytest.raises(StageError, match=r"patches of 4 x 32 x 48 voxels .* `image_size` is 32\. Let it be"):
        spatial_shape(entry, 32)
