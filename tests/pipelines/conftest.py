"""A small data set in BUSI's layout, and the stages' command line run on it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.datasets.catalogue import load_catalogue
from pipelines.fetch import download
from tests.support.audited import place_manifest
from tests.support.commands import run_module
from tests.support.once import made_once
from tests.support.pictures import disc, save, texture
from tests.support.places import ROOT
from tests.support.site import Site, serve

COUNTS = {"benign": 14, "malignant": 8}
PARAMS = "study: quickstart\n"

RunStage = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server whose file is empty, and downloads that try again at once."""
    monkeypatch.setattr(download, "FIRST_PAUSE", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve(Site(b"")) as site:
        yield site


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the disk is asked for, in order: "flush NAME" of a file or folder, "rename NAME to NAME"."""
    asked: list[str] = []
    fsync, rename, replace = os.fsync, os.rename, os.replace

    def flush(descriptor: int) -> None:
        asked.append(f"flush {os.path.basename(os.readlink(f'/proc/self/fd/{descriptor}'))}")
        fsync(descriptor)

    def moving(move: Callable[..., None]) -> Callable[..., None]:
        def moved(source: Path, target: Path) -> None:
            asked.append(f"rename {Path(source).name} to {Path(target).name}")
            move(source, target)

        return moved

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "rename", moving(rename))
    monkeypatch.setattr(os, "replace", moving(replace))
    return asked


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
    place_manifest(tmp_path / "data", load_catalogue()["busi"], reduced="22 images")
    return tmp_path


@pytest.fixture
def run_stage_cli(workplace: Path) -> RunStage:
    """`run("split", "--dataset", "busi")` as a person would in that folder."""

    def run(stage: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_module(f"pipelines.{stage}", *arguments, cwd=workplace)

    return run


@pytest.fixture(scope="session")
def prepared_phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the phantom, prepared by the real stages at 16, 24 and 64 pixels: one for all workers."""

    def prepare(root: Path) -> None:
        pages = str(tmp_path_factory.mktemp("pages"))
        for stage, options in {
            "fetch": [],
            "audit": ["--reports", pages],
            "split": [],
            "filter": ["--reports", pages, "--size", "16", "24", "64"],
        }.items():
            run_module(
                f"pipelines.{stage}", "--dataset", "phantom", "--root", str(root), *options, cwd=ROOT
            ).check_returncode()

    return made_once(tmp_path_factory, "phantom", prepare)
