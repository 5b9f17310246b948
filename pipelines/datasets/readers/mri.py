"""Magnetic resonance in three dimensions: BraTS 2018 and PI-CAI 2022. `volumes` cuts them up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.core.console import StageError
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.folders import files_in, folders_in, the_folder
from pipelines.datasets.readers.tables import read_csv

BRATS_MODALITIES = ("flair", "t1", "t1ce", "t2")
PICAI_MODALITIES = ("t2w", "adc", "hbv")
PICAI_MASKS = "csPCa_lesion_delineations/human_expert/resampled"
PICAI_LABELS = {"YES": "cspca", "NO": "benign"}


def read_brats2018(root: Path, labels: Sequence[str]) -> list[Case]:
    """BraTS 2018: `{HGG,LGG}/<case>/<case>_{flair,t1,t1ce,t2,seg}.nii.gz`, one case a patient.

    The channels come in that order. The grade is the label; any label of a voxel but 0 is tumour. The folders may lie
    in `MICCAI_BraTS_2018_Data_Training`, as they do in the publisher's archive.

    Raises:
        StageError: if a case lacks a file.
    """
    outer = "MICCAI_BraTS_2018_Data_Training"
    base = Path(outer) if (root / outer).is_dir() else Path()
    cases = []
    for label in labels:
        for folder in folders_in(root, base / label, meaning=f"cases labelled {label!r}"):
            image, *others, mask = (
                _required(root, folder / f"{folder.name}_{kind}.nii.gz") for kind in (*BRATS_MODALITIES, "seg")
            )
            cases.append(Case(image, (mask,), label, patient=folder.name, modalities=tuple(others)))
    return cases


def read_picai2022(root: Path, labels: Sequence[str]) -> list[Case]:
    """PI-CAI 2022: `<patient>/<patient>_<study>_{t2w,adc,hbv}.mha`; adc and hbv are resampled to the grid of t2w.

    Masks are the human experts', resampled by the publisher to t2w: `<repository>/csPCa_lesion_delineations/
    human_expert/resampled/<patient>_<study>.nii.gz`. Studies without one (205 of 1500) are left aside. The label is
    `cspca` (clinically significant cancer) or `benign`, from column `case_csPCa` of the repository's
    `clinical_information/marksheet.csv`. A patient can have several studies.

    Raises:
        StageError: if a study lacks a modality or its row in the table.
    """
    repository = the_folder(root, "picai_labels*")
    table = repository / "clinical_information" / "marksheet.csv"
    rows = read_csv(root / table, ("patient_id", "study_id", "case_csPCa"))
    significant = {f"{row['patient_id']}_{row['study_id']}": row["case_csPCa"].strip().upper() for row in rows}
    masks = {path.name.split(".")[0]: path for path in files_in(root, repository / PICAI_MASKS, (".nii.gz",))}
    cases = []
    for folder in folders_in(root):
        for image in files_in(root, folder, ("_t2w.mha",)):
            study = image.name.removesuffix("_t2w.mha")
            if study not in masks:
                continue
            if significant.get(study) not in PICAI_LABELS:
                raise StageError(
                    f"{root / table}: expected YES or NO as case_csPCa of {study}. Found {significant.get(study)!r}. "
                    "Replace the table by the publisher's."
                )
            others = (_required(root, folder / f"{study}_{kind}.mha") for kind in PICAI_MODALITIES[1:])
            label = PICAI_LABELS[significant[study]]
            cases.append(Case(image, (masks[study],), label, patient=folder.name, modalities=tuple(others)))
    return cases


def _required(root: Path, path: Path) -> Path:
    if not (root / path).is_file():
        raise StageError(f"{root / path}: no such file. Bring it back, or move {path.parent} elsewhere.")
    return path
