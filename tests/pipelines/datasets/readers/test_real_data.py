"""The readers on the publishers' data, where it is at hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from pipelines.datasets.cases import case_image, case_mask, read_cases
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.readers.case import Case
from pipelines.fetch.mirror import load_mirror
from pipelines.fetch.obtain import fetch
from tests.support.mirror import mirror


class Fetched(NamedTuple):
    entry: DatasetEntry
    root: Path
    cases: list[Case]

    def mask(self, case: Case) -> np.ndarray:
        return case_mask(self.entry, self.root, case)


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Fetched:
    entry = load_catalogue()[request.param]
    data = tmp_path_factory.mktemp(entry.name)
    fetch(entry, data, load_mirror(mirror()))
    root = data / "raw" / entry.name
    return Fetched(entry, root, read_cases(entry, root))


def published(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fetched", [name], indirect=True)


@published("busi")
def test_busi_has_a_few_images_with_several_masks(fetched: Fetched) -> None:
    assert Counter(case.label for case in fetched.cases) == {"benign": 437, "malignant": 210}
    several = [case for case in fetched.cases if len(case.masks) > 1]
    assert [case.image.name for case in several] == ["benign (25).png", "benign (83).png"]
    for case in several:
        parts = [case_mask(fetched.entry, fetched.root, Case(case.image, (path,), case.label)) for path in case.masks]
        assert fetched.mask(case).sum() == sum(part.sum() for part in parts) - np.minimum(*parts).sum()
        assert all(part.any() for part in parts)


@published("bus_bra")
def test_bus_bra_has_1875_images_of_1064_patients(fetched: Fetched) -> None:
    assert len(fetched.cases) == 1875
    assert len({case.patient for case in fetched.cases}) == 1064
    assert Counter(case.label for case in fetched.cases) == {"benign": 1268, "malignant": 607}
    one = fetched.cases[0]
    assert fetched.mask(one).shape == case_image(fetched.entry, fetched.root, one).shape
    assert all(fetched.mask(case).any() for case in fetched.cases[::50])


@published("crack_forest")
def test_no_road_that_a_crack_encloses_counts_as_crack(fetched: Fetched) -> None:
    assert len(fetched.cases) == 118
    masks = {case.image.stem: fetched.mask(case) for case in fetched.cases}
    assert {mask.shape for mask in masks.values()} == {(320, 480)}
    assert masks["101"].sum() == 8859  # 54,199 with the 45,340 of label 3
    assert all(0 < mask.mean() < 0.1 for mask in masks.values())


@published("crack_forest_patches")
def test_crack_patches_are_labelled(fetched: Fetched) -> None:
    assert Counter(case.label for case in fetched.cases) == {"no_crack": 1662, "crack": 1055}
    assert all(
        case_image(fetched.entry, fetched.root, case).shape == (80, 80, 3)
        for case in fetched.cases[:: len(fetched.cases) // 9]
    )


@published("brain_tumor_mri")
def test_brain_mri_has_300_and_75_images_of_each_class(fetched: Fetched) -> None:
    counts = Counter((case.official_split, case.label) for case in fetched.cases)
    assert counts == {
        (split, label): n for split, n in (("train", 300), ("test", 75)) for label in fetched.entry.labels
    }
