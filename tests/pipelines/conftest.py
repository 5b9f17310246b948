"""A small data set in BUSI's layout, and the stages' command line run on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipelines.fetch import download
from tests.pipelines.site import Site, serve

REPOSITORY = Path(__file__).resolve().parents[2]
COUNTS = {"benign": 14, "malignant": 8}
PARAMS = "study: quickstart\narrays: {size: 32}\n"

RunStage = Callable[..., "subprocess.CompletedProcess[str]"]


def texture(seed: int, height: int = 72, width: int = 96) -> np.ndarray:
    """A smooth random picture with speckle on it; different seeds look different."""
    random = np.random.default_rng(seed)
    smooth = cv2.resize(random.uniform(20, 220, (8, 8)), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + random.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)


def disc(height: int = 72, width: int = 96) -> np.ndarray:
    """A mask of 0 and 255."""
    return cv2.circle(np.zeros((height, width), dtype=np.uint8), (width // 2, height // 2), 15, 255, -1)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server whose file is empty, and downloads that try again at once."""
    monkeypatch.setattr(download, "FIRST_PAUSE", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve(Site(b"")) as site:
        yield site


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with params.yaml and data/raw/busi: 14 benign and 8 malignant images of different sizes."""
    (tmp_path / "params.yaml").write_text(PARAMS)
    raw = tmp_path / "data" / "raw" / "busi"
    for offset, (label, count) in enumerate(COUNTS.items()):
        for number in range(1, count + 1):
            size = (72 + number, 96)
            path = raw / "Dataset_BUSI_with_GT" / label / f"{label} ({number}).png"
            save(path, texture(100 * offset + number, *size))
            save(path.with_name(f"{path.stem}_mask.png"), disc(*size))
    manifest = {"dataset": "busi", "provenance": "mirror", "reduced": "22 images", "sources": [], "fingerprint": ""}
    manifest |= {"files": 44, "bytes": 1, "terms": "none", "citation": "none"}
    (raw / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


@pytest.fixture
def run_stage_cli(workplace: Path) -> RunStage:
    """`run("split", "--dataset", "busi")` as a person would in that folder."""

    def run(stage: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", f"pipelines.{stage}", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        return subprocess.run(command, cwd=workplace, env=environment, capture_output=True, text=True)

    return run


@pytest.fixture(scope="session")
def prepared_phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the phantom, prepared by the real stages."""
    root, pages = tmp_path_factory.mktemp("data"), str(tmp_path_factory.mktemp("pages"))
    for stage, options in {
        "fetch": [],
        "audit": ["--reports", pages],
        "split": [],
        "filter": ["--reports", pages],
    }.items():
        command = [sys.executable, "-m", f"pipelines.{stage}", "--dataset", "phantom", "--root", str(root), *options]
        subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return root
