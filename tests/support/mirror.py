"""Copies of published data sets, which are too large and too little ours to lie in the repository."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from tests.support.places import ROOT


def mirror() -> Path:
    """The folder with `mirror.yaml`: $DMF_DATA_MIRROR, or `shared/data` beside the repository.

    Skips the test where there is none.
    """
    folder = Path(os.environ.get("DMF_DATA_MIRROR") or ROOT.parent / "shared" / "data")
    if not (folder / "mirror.yaml").is_file():
        pytest.skip(f"No mirror of real data in {folder}; set DMF_DATA_MIRROR to a folder with mirror.yaml.")
    return folder


def archive(name: str) -> Path:
    """A zip file of the mirror. Skips where it is not at hand."""
    path = mirror() / name
    if not path.is_file():
        pytest.skip(f"{path} is not there.")
    return path


def unpack(name: str, folder: Path) -> None:
    """Unpack a zip file of the mirror. Skips where it is not at hand."""
    with zipfile.ZipFile(archive(name)) as opened:
        opened.extractall(folder)
