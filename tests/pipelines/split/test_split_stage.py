"""The split stage as a person runs it: on a small data set, on broken ones, and on BUSI itself."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from pipelines.artifacts.audit import Duplicates, record_path, write_duplicates
from pipelines.artifacts.split_table import COLUMNS, read_table, table_path, write_table
from pipelines.core.checksums import file_checksum
from pipelines.core.console import StageError
from pipelines.datasets.cases import read_cases
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.params import SplitParams
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.images import load_image
from pipelines.split.deal import SplitTable, split_dataset, summary
from tests.support.audited import audit_and_split
from tests.support.mirror import unpack

BUSI = load_catalogue()["busi"]


def raw(workplace: Path) -> Path:
    return workplace / "data" / "raw" / "busi" / "Dataset_BUSI_with_GT"


def split(workplace: Path, **params: object) -> SplitTable:
    return audit_and_split(workplace / "data", BUSI, SplitParams.model_validate(params))


@pytest.mark.slow
def test_the_command_writes_the_table_and_says_what_it_found(workplace: Path, run_stage_cli: Callable) -> None:
    twin = raw(workplace) / "malignant" / "malignant (8).png"
    for suffix in ("", "_mask"):
        original = raw(workplace) / "benign" / f"benign (3){suffix}.png"
        shutil.copy(original, twin.with_stem(twin.stem + suffix))
    run = run_stage_cli("audit", "--dataset", "busi")
    assert run.returncode == 0, run.stderr
    run = run_stage_cli("split", "--dataset", "busi")
    assert run.returncode == 0, run.stderr
    assert "22 images in 21 groups; 2 images share 1 of them, 1 with several labels" in run.stdout
    assert "near-duplicate pairs in two splits: 0 of 1;" in run.stdout
    written = table_path(workplace / "data", "busi")
    table = read_table(written)
    assert tuple(table.columns) == COLUMNS
    assert list(table["image"]) == sorted(table["image"])
    assert table.loc[0, "masks"] == "Dataset_BUSI_with_GT/benign/benign (1)_mask.png"
    twins = table[table["group"].duplicated(keep=False)]
    assert set(twins["label"]) == {"benign", "malignant"}
    assert twins["split"].nunique() == 1
    assert (table["sha256"].str.len() == 64).all()

    first = written.read_bytes()
    write_table(written, split(workplace).table)
    assert written.read_bytes() == first

    (raw(workplace) / "benign" / "benign (2)_mask.png").unlink()
    run = run_stage_cli("split", "--dataset", "busi")
    assert run.returncode == 1
    assert "benign (2).png" in run.stderr
    assert "Traceback" not in run.stderr
    assert written.read_bytes() == first


@pytest.mark.slow
def test_a_misspelt_key_is_one_message(workplace: Path, run_stage_cli: Callable) -> None:
    (workplace / "params.yaml").write_text("study: quickstart\nsplit: {sed: 1}\n")
    run = run_stage_cli("split", "--dataset", "busi")
    assert run.returncode == 1
    assert run.stderr.startswith("error: params.yaml: unknown key `split.sed`. Did you mean `seed`?")
    assert not (workplace / "data" / "splits").exists()


def test_every_split_has_its_share_of_every_label(workplace: Path) -> None:
    table = split(workplace).table
    counts = Counter(zip(table["label"], table["split"], strict=True))
    assert counts == {
        ("benign", "train"): 10, ("benign", "val"): 2, ("benign", "test"): 2,
        ("malignant", "train"): 6, ("malignant", "val"): 1, ("malignant", "test"): 1,
    }  # fmt: skip


def test_random_keeps_the_groups_so_that_leakage_can_be_counted(workplace: Path) -> None:
    for number in range(2, 9):
        shutil.copy(raw(workplace) / "benign" / "benign (1).png", raw(workplace) / "benign" / f"benign ({number}).png")
        shutil.copy(
            raw(workplace) / "benign" / "benign (1)_mask.png", raw(workplace) / "benign" / f"benign ({number})_mask.png"
        )
    outcome = split(workplace, method="random")
    assert outcome.table["group"].value_counts().iloc[0] == 8
    plain = outcome.table["random"]
    assert list(outcome.table["split"]) == list(plain)
    apart = sum(plain[pair.first] != plain[pair.second] for pair in outcome.pairs)
    assert 0 < apart < len(outcome.pairs) == 28
    assert f"in two splits: {apart} of 28" in summary("busi", outcome)


def unreadable(folder: Path) -> str:
    path = folder / "benign" / "benign (4).png"
    path.write_bytes(path.read_bytes()[:300])
    return "benign (4).png"


def other_size(folder: Path) -> str:
    cv2.imwrite(str(folder / "benign" / "benign (5)_mask.png"), np.zeros((20, 30), dtype=np.uint8))
    return "benign (5)_mask.png"


def no_mask(folder: Path) -> str:
    (folder / "benign" / "benign (6)_mask.png").unlink()
    return "benign (6).png"


def empty(folder: Path) -> str:
    shutil.rmtree(folder.parent)
    return "raw/busi"


def one_label(folder: Path) -> str:
    for path in (folder / "malignant").iterdir():
        path.unlink()
    return "malignant"


def too_few(folder: Path) -> str:
    for path in folder.rglob("*.png"):
        if "(1)" not in path.name:
            path.unlink()
    return "too few"


@pytest.mark.parametrize("breakage", [unreadable, other_size, no_mask, empty, one_label, too_few])
def test_broken_input_is_named(workplace: Path, breakage: Callable[[Path], str]) -> None:
    culprit = breakage(raw(workplace))
    with pytest.raises(StageError) as caught:
        split(workplace)
    assert culprit in str(caught.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (None, "is missing. Make it with `dvc repro split`"),
        ("", "not a table"),
        ("image,label\na,b\n", f"expected the columns {', '.join(COLUMNS)}. Found image, label"),
        (",".join(COLUMNS) + "\na,b,c,d,dev" + "," * 7 + "\n", "`split` must be one of train, val, test or empty"),
        (",".join(COLUMNS) + "\na,b,c,d,val,,dev" + "," * 5 + "\n", "`stratified` must be one of train, val, test or"),
        (",".join(COLUMNS) + "\n", "no cases"),
    ],
)
def test_a_broken_table_is_named(tmp_path: Path, text: str | None, part: str) -> None:
    path = tmp_path / "busi.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(StageError) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert part in str(caught.value)


def test_labels_that_look_like_missing_values_survive(tmp_path: Path) -> None:
    table = pd.DataFrame([["a.png", "", "NA", "007", *["train"] * 5, "1", "", "1e5"]], columns=list(COLUMNS))
    write_table(tmp_path / "t.csv", table)
    assert read_table(tmp_path / "t.csv").equals(table)


@pytest.fixture(scope="module")
def busi(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SplitTable]:
    root = tmp_path_factory.mktemp("data")
    unpack("Dataset_BUSI.zip", root / "raw" / "busi")
    return root, audit_and_split(root, BUSI)


@pytest.mark.slow
def test_busi_duplicates_across_labels_share_a_split(busi: tuple[Path, SplitTable]) -> None:
    table = busi[1].table
    twins = table[table["image"].str.contains(r"benign \(433\)|malignant \(145\)")]
    assert len(twins) == 2
    assert twins["group"].nunique() == twins["split"].nunique() == 1


@pytest.mark.slow
def test_busi_meets_the_papers_counts(busi: tuple[Path, SplitTable]) -> None:
    """437 benign and 210 malignant; the paper trains on 453 of them. In groups, to within one image here."""
    table = busi[1].table
    assert table["random"].value_counts().to_dict() == {"train": 453, "val": 97, "test": 97}
    counts = table["grouped"].value_counts()
    assert counts["train"] == pytest.approx(453, abs=1)
    assert counts["test"] == pytest.approx(97, abs=1)


@pytest.mark.slow
def test_busi_has_the_groups_that_were_checked_by_eye(busi: tuple[Path, SplitTable]) -> None:
    """At least the 64 groups of 140 images known at 0.98 on full-size images, and no group larger than one sweep."""
    size = busi[1].table["group"].value_counts()
    assert (size > 1).sum() == pytest.approx(122, abs=1)
    assert size[size > 1].sum() == pytest.approx(273, abs=2)
    assert size.max() == 7


@pytest.mark.slow
@pytest.mark.parametrize("side", [12, 16, 32, 64])
def test_no_near_duplicates_of_busi_lie_across_splits(busi: tuple[Path, SplitTable], side: int) -> None:
    """Measured independently: plain thumbnails of several sizes, correlated with numpy."""
    root, outcome = busi
    pictures = [load_image(root / "raw" / "busi" / name) for name in outcome.table["image"]]
    grey = [picture if picture.ndim == 2 else picture.mean(axis=2).astype(np.uint8) for picture in pictures]
    small = np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA).ravel() for one in grey])
    first, second = np.nonzero(np.triu(np.corrcoef(small) >= 0.98, k=1))
    home = outcome.table["split"].to_numpy()
    assert len(first) > 50
    assert (home[first] == home[second]).all()


@pytest.mark.slow
def test_no_pair_of_busi_that_was_found_lies_across_splits(busi: tuple[Path, SplitTable]) -> None:
    home = busi[1].table["split"]
    assert len(busi[1].pairs) == pytest.approx(187, abs=3)
    assert all(home[pair.first] == home[pair.second] for pair in busi[1].pairs)
    plain = busi[1].table["random"]
    assert sum(plain[pair.first] != plain[pair.second] for pair in busi[1].pairs) > 50


def unpacked(root: Path, name: str, archive: str) -> tuple[DatasetEntry, list[Case]]:
    """A data set of the mirror below `root`, with an audit that has its checksums and looked for no duplicates."""
    unpack(archive, root / "raw" / name)
    entry = load_catalogue()[name]
    cases = read_cases(entry, root / "raw" / name)
    checksums = {case.name: file_checksum(root / "raw" / name / case.image) for case in cases}
    write_duplicates(record_path(root, name), Duplicates(similarity=0.95, sha256=checksums, pairs=[]))
    return entry, cases


@pytest.mark.slow
def test_no_patient_of_bus_bra_is_in_two_splits(tmp_path: Path) -> None:
    """All 1,875 images of 1,064 patients, 1,622 of them of patients with several; 70/15/15 and fifths of each label."""
    entry, cases = unpacked(tmp_path, "bus_bra", "BUSBRA.zip")
    table = split_dataset(entry, tmp_path, SplitParams()).table
    patients = pd.Series([case.patient for case in sorted(cases, key=lambda case: case.name)])
    assert (len(table), patients.nunique()) == (1875, 1064)
    for column in ("grouped", "fold", "random", "stratified"):
        most = table.groupby(patients)[column].nunique().max()
        assert (most == 1) == (column in ("grouped", "fold")), column
    for label, of_label in table.groupby("label"):
        shares = of_label["grouped"].value_counts()
        assert abs(shares["test"] - 0.15 * len(of_label)) <= 2, label
        assert (of_label["fold"].value_counts() - len(of_label) / 5).abs().max() <= 2, label


def test_the_official_test_set_of_the_brain_mri_stays_whole_and_loses_its_twins_in_train(tmp_path: Path) -> None:
    """Images that are in Training and in Testing byte for byte; near duplicates are the audit's to find."""
    entry, cases = unpacked(tmp_path, "brain_tumor_mri", "brain-tumor-mri-dataset.zip")
    outcome = split_dataset(entry, tmp_path, SplitParams(method="official"))
    table = outcome.table
    tested = {case.name for case in cases if case.official_split == "test"}
    assert set(table.loc[table["split"] == "test", "image"]) == tested
    left_out = table[table["split"] == ""]
    assert set(left_out["sha256"]) <= set(table.loc[table["split"] == "test", "sha256"])
    assert not set(table.loc[table["split"].isin(["train", "val"]), "sha256"]) & set(
        table.loc[table["split"] == "test", "sha256"]
    )
    assert len(left_out) > 0
    assert f"`official` leaves out {len(left_out)} train and val images" in summary(entry.name, outcome)
