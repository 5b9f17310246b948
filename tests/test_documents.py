"""What the documents say of the repository is so: links lead somewhere, names exist, drawings are the contracts'."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import dmf
from tests.support.places import ROOT

PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tests/**/*.md"))
    if ".venv" not in path.parts
)
page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
MODULE = re.compile(r"(?<![/\w])(?:dmf|pipelines|tune_spaces|benchmarks)(?:\.[a-z_]\w*)+\b(?!/)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(r"^```python.*?^```", re.MULTILINE | re.DOTALL)
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def anchors(path: Path) -> set[str]:
    """Of headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text(path)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@page
def test_links_lead_somewhere(path: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text(path))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        place = (path.parent / name).resolve() if name else path
        if not place.exists() or (anchor and anchor not in anchors(place)):
            lost.append(target)
    assert lost == []


@page
def test_modules_and_what_is_named_in_them_exist(path: Path) -> None:
    assert [name for name in MODULE.findall(PROGRAM.sub("", text(path))) if not exists(name)] == []


def exists(name: str) -> bool:
    """Whether `a.b.c` is a module, or something that the module `a.b` mentions."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:length])
        source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if source.is_file():
            return length == len(parts) or re.search(rf"\b{parts[length]}\b", text(source)) is not None
    return False


@page
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)(?=[`\s])", "\n".join(code(path)))) <= targets


def code(path: Path) -> list[str]:
    """What stands in backticks and in blocks."""
    return re.findall(r"`[^`\n]+`", text(path)) + FENCE.findall(text(path))


def test_the_index_names_every_page() -> None:
    index = text(ROOT / "docs/index.md")
    pages = (path for path in ROOT.glob("docs/*.md") if path.name != "index.md")
    assert [path.name for path in pages if f"]({path.name})" not in index] == []
    assert all(f"](../{name})" in index for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff"))


def test_the_drawing_has_the_floors_of_the_contract() -> None:
    contracts = tomllib.loads(text(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (floors,) = (contract["layers"] for contract in contracts if contract.get("containers") == ["pipelines"])
    drawing = ARCHITECTURE.partition("```text\n")[2].partition("```")[0].splitlines()
    rows = [index for floor in floors for index, line in enumerate(drawing) if has_all(line, floor.split(" | "))]
    assert len(rows) == len(floors), "Each floor of the contract is a line of the drawing."
    assert rows == sorted(rows)


def has_all(line: str, names: list[str]) -> bool:
    words = re.findall(r"\w+", line.partition("  |  ")[0])
    return all(name in words for name in names)


def test_the_table_of_stages_is_dvcs() -> None:
    stages: dict[str, Any] = yaml.safe_load(text(ROOT / "dvc.yaml"))["stages"]
    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]*\|(.*)\|$", ARCHITECTURE, re.MULTILINE))
    assert list(rows) == list(stages)
    for name, stage in stages.items():
        outputs = {path for out in stage["outs"] for path in out}
        assert set(re.findall(r"`((?:data|reports|trials)/[^`]+)`", rows[name])) == outputs


def test_hooks_run_the_makefiles_own_tools() -> None:
    (repository,) = yaml.safe_load(text(ROOT / ".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        command = [*hook["entry"].split(), "--dry-run"]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=True)


def test_the_citation_file_is_whole() -> None:
    """The keys that the Citation File Format 1.2.0 requires, of the software and of each reference."""
    citation = yaml.safe_load(text(ROOT / "CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == dmf.__version__
    assert citation.keys() >= {"message", "title", "authors", "license"}
    assert len(citation["references"]) == 4
    for reference in citation["references"]:
        assert reference.keys() >= {"type", "title", "authors"}
        assert all(author.keys() & {"family-names", "name"} for author in reference["authors"])


def test_the_changes_name_this_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", text(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert dmf.__version__ in headings
