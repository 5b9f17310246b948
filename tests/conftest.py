"""Fixtures for every test: the handed-over data, where it is at hand, and quiet, single-threaded torch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.support.places import ROOT

settings.register_profile("patient", deadline=None)  # timings never decide a test
settings.load_profile("patient")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the papers' oracle and a mirror of real data: $DMF_SHARED, or `shared` beside the repository."""
    folder = Path(os.environ.get("DMF_SHARED", ROOT.parent / "shared"))
    if not (folder / "oracles").is_dir():
        pytest.skip(f"No oracles in {folder}; set DMF_SHARED to the folder that holds them.")
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
