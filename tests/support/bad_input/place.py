"""A whole place to work in, small enough to be spoilt a hundred times: three data sets, every stage done for one."""

from __future__ import annotations

import hashlib
import runpy
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.pictures import disc, save, texture
from tests.support.site import Site

COUNTS = {"benign": 8, "malignant": 6}
SIZE = (20, 24)
ENTRY: dict[str, Any] = {
    "title": "Pictures",
    "task": "segmentation",
    "classes": ["background", "nodule"],
    "labels": ["benign", "malignant"],
    "channels": 1,
    "terms": "For tests only.",
}
PARAMS = {"study": "quickstart"}
FIRST = Path("benign/b00.png")


@dataclass(frozen=True)
class Place:
    """Where a person works.

    Attributes:
        folder: The working directory: `params.yaml`, `data`, `mirror` and the images of their own, `scans`.
        site: A server that has the archive of the data set `posted`.
    """

    folder: Path
    site: Site

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def raw(self) -> Path:
        """The images and masks of `scans` as they were fetched; linked to nothing."""
        return self.data / "raw" / "scans"

    @property
    def posted(self) -> Path:
        """Where a person places the archive of `posted`."""
        return self.data / "downloads" / "posted.zip"

    def describe(self, **entries: Any) -> None:
        """Write these entries into one's own catalogue, beside the others; None removes a key."""
        path = self.data / "catalogue.yaml"
        written = yaml.safe_load(path.read_text())
        for name, changes in entries.items():
            entry = {**written.get(name, ENTRY), **changes} if isinstance(changes, dict) else changes
            written[name] = {k: v for k, v in entry.items() if v is not None} if isinstance(entry, dict) else entry
        path.write_text(yaml.safe_dump(written))

    def set(self, **params: Any) -> None:
        """Write params.yaml."""
        (self.folder / "params.yaml").write_text(yaml.safe_dump({**PARAMS, **params}))

    def copies(self, **copy: Any) -> None:
        """Describe the copy of `mirrored` in the mirror; None removes a key."""
        path = self.folder / "mirror" / "mirror.yaml"
        written = {**yaml.safe_load(path.read_text())["mirrored"], **copy}
        path.write_text(yaml.safe_dump({"mirrored": {k: v for k, v in written.items() if v is not None}}))

    def files(self) -> dict[str, bytes]:
        """Everything that is there, but for the locks that processes share and for the audit's pages, which list what
        is bad."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".lock")
        found = (path for path in found if self.folder / "reports" not in path.parents)
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in found}


def build(folder: Path) -> None:
    """Fill a folder with what a person has before the first command."""
    for label, count in COUNTS.items():
        for number in range(count):
            name = f"{label}/{label[0]}{number:02d}.png"
            save(folder / "scans/images" / name, texture(number + 100 * len(label), *SIZE))
            save(folder / "scans/masks" / name, disc(*SIZE))
    for place in ("data/downloads", "mirror"):
        (folder / place).mkdir(parents=True)
    pack(folder / "mirror/mirrored.zip", folder / "scans")
    copy = {"file": "mirrored.zip", "sha256": hashlib.sha256((folder / "mirror/mirrored.zip").read_bytes()).hexdigest()}
    (folder / "mirror/mirror.yaml").write_text(yaml.safe_dump({"mirrored": copy}))
    sources = {
        "scans": {"kind": "local", "path": "../scans"},
        "posted": {"kind": "manual", "page": "https://example.org/form", "how": "Ask for it.", "file": "posted"},
        "mirrored": {"kind": "archive", "url": "https://example.org/mirrored.zip"},
    }
    entries = {name: {**ENTRY, "sources": [source]} for name, source in sources.items()}
    (folder / "data/catalogue.yaml").write_text(yaml.safe_dump(entries))
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))


def pack(archive: Path, folder: Path) -> None:
    """Make a zip file of a folder."""
    with zipfile.ZipFile(archive, "w") as opened:
        for path in sorted(folder.rglob("*.png")):
            opened.write(path, path.relative_to(folder))


def run(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """`python -m pipelines.split --dataset scans` for `split scans`, in this process; returns the exit status."""
    stage, dataset = command.split()
    monkeypatch.chdir(folder)
    size = ["--size", "16"] if stage == "filter" else []
    monkeypatch.setattr(sys, "argv", [f"pipelines.{stage}", "--dataset", dataset, *size])
    monkeypatch.setenv("DMF_DATA_MIRROR", "mirror" if dataset == "mirrored" else "")
    try:
        runpy.run_module(f"pipelines.{stage}", run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def copy(whole: Path, folder: Path, site: Site) -> Place:
    """A copy of a whole place, times of files included: the folder of one's own counts as the same."""
    shutil.copytree(whole, folder)
    return Place(folder, site)
