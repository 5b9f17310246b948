"""What PyPI would be given: `dmf` alone, under a name of our own, with a page that needs nothing of the repository."""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

import dmf
from tests.support.places import ROOT

NEEDED = ("dmf", "dmf_command.py", "docs", "LICENSE", "pyproject.toml")
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since a build leaves files beside the source."""
    source, target = (tmp_path_factory.mktemp(name) for name in ("source", "wheel"))
    for name in NEEDED:
        place = ROOT / name
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(place, source / name, ignore=ignored) if place.is_dir() else shutil.copy(place, source)
    subprocess.run([sys.executable, "-c", BUILD, str(target)], cwd=source, capture_output=True, check=True)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(path))


def test_it_holds_the_library_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "dmf").rglob("*.py")}
    assert names == {*modules, "dmf/py.typed", "dmf_command.py"}


def test_it_offers_only_what_it_holds(metadata: Message) -> None:
    """The name `dmf` is a stranger's on PyPI, and the platform is no extra, as its code is not in the wheel."""
    assert metadata["Name"] == "dynamic-memory-fusion"
    assert metadata["Version"] == dmf.__version__
    assert metadata.get_all("Provides-Extra") == ["fast", "models", "gradients", "cagrad"]
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert {re.split(r"[^\w-]", line)[0] for line in required} == {"torch", "numpy", "jaxtyping"}


def test_every_message_asks_for_our_package() -> None:
    files = (path for folder in ("dmf", "docs") for path in (ROOT / folder).rglob("*.*"))
    texts = {path: path.read_text("utf-8") for path in files if path.suffix in (".py", ".md")}
    asked = [name for text in texts.values() for name in re.findall(r"pip install '?([\w-]+)\[", text)]
    assert asked.count("dynamic-memory-fusion") >= 2
    assert "dmf" not in asked


def test_its_page_needs_nothing_of_the_repository(metadata: Message) -> None:
    """PyPI has no other file to which a relative link or picture could lead."""
    page = metadata.get_payload()
    assert isinstance(page, str)
    assert page.startswith("# Dynamic Memory Fusion\n")
    assert metadata["Description-Content-Type"] == "text/markdown"
    prose = re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"\]\((?!https://)[^)]*\)", prose) == []
    assert "pip install dynamic-memory-fusion" in page


def test_its_examples_run_from_it_alone(wheel: Path, tmp_path: Path) -> None:
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    files = [str(ROOT / name) for name in (".ci/examples.py", "README.md", "docs/loops.md")]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-P", *files], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert {line.partition(":")[0] for line in lines} == {"README.md", "loops.md"}
    assert all(f" in {tmp_path / 'dmf'}, " in line for line in lines)
