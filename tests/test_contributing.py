"""The templates of CONTRIBUTING.md, put into a copy of the repository as it says, pass the suites that it names."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.commands import run_module
from tests.support.places import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PLACE = re.compile(r"(?:# |<!-- )(?P<path>[\w/.]+)(?:, (?P<side>above|below) `(?P<line>.+)`)?(?: -->)?\n")
COPIED = ("dmf", "pipelines", "tune_spaces", "benchmarks", "tests", "docs", "pyproject.toml", "params.yaml", "dvc.yaml")
SUITES = {
    "tests/dmf/losses/test_loss_conformance.py": "log_cosh_dice",
    "tests/dmf/test_docstrings.py": "Tilted",
    "tests/dmf/weightings/test_weighting_conformance.py": "tilted",
    "tests/dmf/models/test_models_conformance.py": "dilated",
    "tests/dmf/activations/test_activations.py": "chebyshev",
    "tests/pipelines/datasets/readers/test_conformance.py": "kvasir_seg",
    "tests/pipelines/datasets/test_catalogue.py": "kvasir_seg",
    "tests/tune_spaces/test_study.py": "tilted",
}
"""Each suite, and the name of what it judges."""


class Template(NamedTuple):
    """A block of the page: where it goes and what it says."""

    path: str
    side: str | None
    line: str | None
    text: str


def templates() -> list[Template]:
    found = []
    for block in re.findall(r"```(?:python|yaml|markdown)\n(.*?)```", PAGE, re.DOTALL):
        place = PLACE.match(block)
        assert place, f"The first line of a template says where it goes. Found {block[:80]!r}."
        found.append(Template(place["path"], place["side"], place["line"], block[place.end() :]))
    return found


def put(template: Template, house: Path) -> None:
    """Beside its line, at the end of a file that is there, or as a new one."""
    path = house / template.path
    if template.line is None:
        with path.open("a", encoding="utf-8") as file:
            file.write(template.text)
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    (place,) = (index for index, line in enumerate(lines) if line.strip() == template.line)
    place += template.side == "below"
    path.write_text("".join([*lines[:place], template.text, *lines[place:]]), encoding="utf-8")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with every template in it."""
    house = tmp_path_factory.mktemp("house")
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, house / name)
    for template in templates():
        put(template, house)
    return house


def test_every_suite_is_named_on_the_page() -> None:
    assert [suite for suite in SUITES if f"]({suite})" not in PAGE] == []


@pytest.mark.slow
def test_templates_pass_the_suites_that_judge_them(house: Path) -> None:
    whole = "registered or under_test or all_weightings or no_two_losses or explained or has_its_layout"
    chosen = " or ".join(sorted({*SUITES.values(), whole}))
    options = ["-vv", "-p", "no:cacheprovider", "-k", chosen]
    done = run_module("pytest", *options, *SUITES, cwd=house, PYTHONPATH=str(house))
    assert done.returncode == 0, done.stdout[-5000:]
    for suite, name in SUITES.items():
        assert re.search(rf"{suite}::.*{name}.* PASSED", done.stdout), f"{suite} judged no {name}."


def test_templates_are_in_the_house_style(house: Path) -> None:
    written = [str(house / template.path) for template in templates() if template.path.endswith(".py")]
    ruff = str(Path(sys.executable).parent / "ruff")
    for command in ([ruff, "format", "--diff"], [ruff, "check"]):
        done = subprocess.run([*command, *set(written)], cwd=house, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
