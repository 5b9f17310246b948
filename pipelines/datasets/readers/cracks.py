"""Cracks: CrackForest, to segment or in patches with and without a crack to classify; several collections together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.folders import files_in, the_folder, without_image
from pipelines.datasets.readers.masks import matlab_label
from pipelines.datasets.readers.parts import part_text, tiles

decode = matlab_label(2)
"""Crack is the value 2 exactly: 1 is the road, 3 and 4 are road that cracks enclose."""

PATCH = 80
"""Side of a patch in pixels; it divides 320 x 480."""

CROSSES = PATCH // 2
"""Crack pixels from which a patch counts as one with a crack; one with fewer, but not none, is left aside."""


def read_crack_forest(root: Path, labels: Sequence[str]) -> list[Case]:
    """CrackForest: `CrackForest-dataset*/image/001.jpg` with `groundTruth/001.mat`.

    There are more pictures than masks; the ones without belong to no image of the published set and are left aside.

    Raises:
        StageError: if a mask has no image.
    """
    folder = the_folder(root, "CrackForest-dataset*")
    images = {path.stem: path for path in files_in(root, folder / "image", (".jpg",))}
    cases = []
    for mask in files_in(root, folder / "groundTruth", (".mat",)):
        if mask.stem not in images:
            raise without_image(root / mask, folder / "image")
        cases.append(Case(images[mask.stem], (mask,), "crack"))
    return cases


def read_crack_forest_patches(root: Path, labels: Sequence[str]) -> list[Case]:
    """CrackForest to classify: patches of 80 x 80 pixels, `crack` from 40 pixels of crack on, `no_crack` if none.

    Patches with fewer crack pixels are left aside: they hold the end or the edge of a crack, and nobody could say.
    """
    cases = []
    for case in read_crack_forest(root, labels):
        (path,) = case.masks
        mask = decode(root / path)
        rows, columns = (tiles(length, PATCH) for length in mask.shape)
        for index in ((row, column) for row in rows for column in columns):
            count = int(mask[index].sum())
            if count == 0 or count >= CROSSES:
                cases.append(Case(case.image, (), "crack" if count else "no_crack", part=part_text(index)))
    return cases


def read_crack_collections(root: Path, labels: Sequence[str]) -> list[Case]:
    """Crack segmentation dataset: `crack_segmentation_dataset/{train,test}/images/<collection>_*.jpg`, labelled by the
    collection; others than `labels` are left aside."""
    return [
        replace(case, label=label)
        for case in _of_all_collections(root)
        for label in labels
        if case.image.name.startswith(f"{label}_")
    ]


def read_crack_collections_binary(root: Path, labels: Sequence[str]) -> list[Case]:
    """The same with or without a crack: of the collections, `noncrack` alone has none."""
    cases = _of_all_collections(root)
    return [replace(case, label="no_crack") if case.image.name.startswith("noncrack_") else case for case in cases]


def _of_all_collections(root: Path) -> list[Case]:
    folder = Path("crack_segmentation_dataset")
    return [
        Case(image, (), "crack", official_split=split)
        for split in ("train", "test")
        for image in files_in(root, folder / split / "images", (".jpg",))
    ]
