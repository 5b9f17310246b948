"""dvc.yaml's dependencies are the imports: what a stage is made of makes it run again, and nothing else does."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.closure import PACKAGES, closure
from tests.support.places import ROOT

STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
NAMES = [*STAGES]


def code(stage: dict[str, Any]) -> set[Path]:
    """The dependencies that are code; the others are data."""
    return {Path(path) for path in stage["deps"] if Path(path).parts[0] in PACKAGES}


def faults(stage: dict[str, Any]) -> Iterator[str]:
    """Where the dependencies of a stage are not what its command imports."""
    module = stage["cmd"].split()[2]
    files, given = closure(module), code(stage)
    for file in sorted(files):
        if not any(file.is_relative_to(path) for path in given):
            yield f"{module} loads {file}, on which it does not depend"
    for path in sorted(given):
        if not any(file.is_relative_to(path) for file in files):
            yield f"{module} depends on {path}, of which it loads nothing"


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_depends_on_what_it_imports_and_on_nothing_else(name: str) -> None:
    assert list(faults(STAGES[name])) == []


@pytest.mark.parametrize(("name", "path"), [(name, path) for name in NAMES for path in sorted(code(STAGES[name]))])
def test_a_dependency_that_is_forgotten_is_noticed(name: str, path: Path) -> None:
    broken = copy.deepcopy(STAGES[name])
    broken["deps"].remove(path.as_posix())
    assert any(f"loads {path}" in fault for fault in faults(broken))


@pytest.mark.parametrize("name", NAMES)
def test_a_dependency_too_many_is_noticed(name: str) -> None:
    broken = copy.deepcopy(STAGES[name])
    broken["deps"].append("pipelines/ui")
    assert list(faults(broken)) == [f"pipelines.{name} depends on pipelines/ui, of which it loads nothing"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_set_in_params_yaml_is_a_dependency_of_the_stages_that_read_it(name: str) -> None:
    sources = [path.read_text() for path in (ROOT / "pipelines" / name).glob("*.py")]
    assert any("load_params" in source for source in sources) == ("params" in STAGES[name])


def test_templates_tables_and_commands_in_texts_are_part_of_a_stage() -> None:
    """Worked by hand, one of each kind."""
    assert Path("pipelines/filter/templates/filter.html") in closure("pipelines.filter")
    assert Path("pipelines/datasets/catalogue.yaml") in closure("pipelines.split")
    assert Path("tune_spaces/quickstart.yaml") in closure("pipelines.fetch")
    assert Path("pipelines/sync/work.py") in closure("pipelines.grid"), "it starts that as a process of its own"
    assert Path("dmf/losses/region.py") in closure("pipelines.grid")
    assert not any(path.parts[0] == "dmf" for path in closure("pipelines.filter")), "no edit of a loss filters anew"


def test_a_persons_own_entries_are_a_dependency_that_is_always_there() -> None:
    assert "data/catalogue.yaml" in STAGES["fetch"]["deps"]
    assert yaml.safe_load((ROOT / "data/catalogue.yaml").read_text()) is None, "the repository has none of its own"
