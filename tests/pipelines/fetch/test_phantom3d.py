"""The simulated volumes: the same for the same seed, lesions where the mask says, read by the reader of volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from pipelines.datasets.cases import case_image, case_mask, find_cases, read_cases
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.readers.volumes import volume_size
from pipelines.fetch.obtain import fetch
from pipelines.fetch.phantom3d import SHAPE, simulate

PATIENTS = range(24)


def test_a_patient_is_the_same_whenever_asked_for() -> None:
    one, again, other = simulate(3, 0), simulate(3, 0), simulate(3, 1)
    assert np.array_equal(one.voxels, again.voxels)
    assert np.array_equal(one.mask, again.mask)
    assert not np.array_equal(one.voxels, other.voxels)


@pytest.mark.parametrize("patient", PATIENTS)
def test_lesions_are_small_and_darker_than_what_surrounds_them(patient: int) -> None:
    volume = simulate(patient, 0)
    inside = volume.mask > 0
    assert volume.label == ("benign" if patient % 4 == 3 else "cancer")
    assert inside.any() == (volume.label == "cancer")
    assert inside.mean() < 0.03
    if inside.any():
        around = ndimage.binary_dilation(inside, iterations=3) & ~ndimage.binary_dilation(inside, iterations=1)
        assert volume.voxels[inside].mean() < 0.8 * volume.voxels[around].mean()


def test_it_is_fetched_as_nifti_and_read_in_patches_that_know_their_patient(tmp_path: Path) -> None:
    entry = load_catalogue()["phantom3d"]
    few = entry.model_copy(update={"sources": (entry.sources[0].model_copy(update={"count": 4}),)})
    assert fetch(few, tmp_path).provenance == "generated"
    raw = tmp_path / "raw" / "phantom3d"
    (image, *_) = sorted((case.image for case in find_cases(few, raw)), key=lambda path: path.name)
    assert volume_size(raw / image) == SHAPE
    cases = read_cases(few, raw)
    assert len(cases) == 4 * 8
    assert {case.patient for case in cases} == {"v001", "v002", "v003", "v004"}
    first = next(case for case in cases if case.patient == "v001" and case.part.startswith("0000:0012,0000:0024,0000"))
    assert case_image(few, raw, first).shape == (12, 24, 24, 1)
    assert np.array_equal(case_mask(few, raw, first), simulate(0, 0).mask[:12, :24, :24])
