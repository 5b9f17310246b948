"""A data set of a person's own, as docs/data.md tells a new user: a folder, eight lines of YAML, the real commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipelines.artifacts import arrays
from pipelines.core.console import StageError
from pipelines.datasets.cases import read_cases
from pipelines.datasets.catalogue import find_entries
from pipelines.fetch.obtain import fetch
from tests.support.commands import run_module, without_rights
from tests.support.pictures import disc, save, texture
from tests.support.places import ROOT

PAGE = (ROOT / "docs" / "data.md").read_text()
ENTRY, STUDY = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^python -m (.*)$", PAGE, re.MULTILINE)


def draw(folder: Path, *, mask: str = "{}.png") -> Path:
    """Twelve benign and eight malignant patients, two images of each, in the layout of the page."""
    for label, count in {"benign": 12, "malignant": 8}.items():
        for number in range(count):
            for side in ("left", "right"):
                name = f"p{label[0]}{number:02d}_{side}"
                seed = len(label) * 1000 + number * 10 + len(side)
                save(folder / "images" / label / f"{name}.png", texture(seed))
                save(folder / "masks" / label / mask.format(name), disc())
    return folder


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of last change of every file."""
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def describe(root: Path, **changes: object) -> None:
    """Write `root`/catalogue.yaml: the page's entry, changed."""
    root.mkdir(exist_ok=True)
    entry = {**yaml.safe_load(ENTRY)["thyroid"], **changes}
    kept = {key: value for key, value in entry.items() if value is not None}
    (root / "catalogue.yaml").write_text(yaml.safe_dump({"thyroid": kept}))


def test_the_page_keeps_its_promise_of_eight_lines() -> None:
    assert len(ENTRY.splitlines()) == 8


@pytest.mark.slow
def test_the_pages_commands_lead_from_a_folder_to_trials(tmp_path: Path) -> None:
    source = draw(tmp_path / "scans")
    (source / "manifest.json").write_text('{"by": "the person, not by us"}')
    before = contents(source)
    shutil.copytree(ROOT / "tune_spaces", tmp_path / "tune_spaces")
    (tmp_path / "tune_spaces/thyroid.yaml").write_text(STUDY)
    (tmp_path / "params.yaml").write_text("study: thyroid\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/catalogue.yaml").write_text(ENTRY)
    said = ""
    for command in COMMANDS:
        done = run_module(*command.split(), cwd=tmp_path, DMF_DATA_MIRROR="")
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert contents(source) == before, f"{command}: a file of the person's own was touched"
        said += done.stdout
    assert "Terms: Not to be passed on." in said
    assert "39 trials: 0 done, 39 to run" in said
    prepared = arrays.load(tmp_path / "data", "thyroid", 64)
    assert prepared.images.shape == (40, 1, 64, 64)
    assert set(np.unique(prepared.targets)) == {0, 1}
    assert prepared.meta.terms == "Not to be passed on."


def cases(tmp_path: Path, **changes: object) -> list:
    describe(tmp_path / "data", **changes)
    (entry,) = find_entries(["thyroid"], tmp_path / "data")
    fetch(entry, tmp_path / "data")
    return read_cases(entry, tmp_path / "data/raw/thyroid")


def test_a_source_that_nobody_may_write_to_will_do(tmp_path: Path) -> None:
    source = draw(tmp_path / "scans")
    (source / "manifest.json").write_text("theirs")
    describe(tmp_path / "data")
    (tmp_path / "tune_spaces").mkdir()
    for path in (source, *source.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    command = ["-m", "pipelines.fetch", "--dataset", "thyroid", "--root", str(tmp_path / "data")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DMF_DATA_MIRROR": ""}
    done = subprocess.run(
        [*without_rights(), sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (source / "manifest.json").read_text() == "theirs"
    assert (tmp_path / "data/raw/thyroid/manifest.json").read_text() != "theirs"
    for path in (source, *source.rglob("*")):
        path.chmod(0o755)


def test_masks_may_be_called_so(tmp_path: Path) -> None:
    draw(tmp_path / "scans", mask="{}_mask.png")
    found = cases(tmp_path)
    assert len(found) == 40
    assert found[0].masks == (Path("masks/benign/pb00_left_mask.png"),)


def test_an_expression_says_who_was_imaged(tmp_path: Path) -> None:
    draw(tmp_path / "scans")
    assert {case.patient for case in cases(tmp_path)} == {None}
    assert len({case.patient for case in cases(tmp_path, patient="^(p[a-z0-9]+)_")}) == 20
    with pytest.raises(StageError, match=r"pb00_left\.png: `patient: \^\(x\)` .* does not say who was imaged"):
        cases(tmp_path, patient="^(x)")


def test_one_label_needs_no_folders(tmp_path: Path) -> None:
    for kind, picture in {"images": texture(1), "masks": disc()}.items():
        save(tmp_path / "scans" / kind / "a.png", picture)
    assert [(case.image.as_posix(), case.label) for case in cases(tmp_path, labels=["nodule"])] == [
        ("images/a.png", "nodule")
    ]


def test_images_to_classify_need_no_masks(tmp_path: Path) -> None:
    for label in ("benign", "malignant"):
        save(tmp_path / "scans" / label / "a.png", texture(len(label)))
    found = cases(tmp_path, task="classification", classes=["benign", "malignant"])
    assert [(case.image.as_posix(), case.label, case.masks) for case in found] == [
        ("benign/a.png", "benign", ()),
        ("malignant/a.png", "malignant", ()),
    ]
