"""Components of other packages in trials: their source counts, they are named, and a machine without them says so."""

from __future__ import annotations

import itertools
import platform
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from dmf.losses import build_loss
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial
from pipelines.core.console import StageError
from pipelines.trials.code import Code
from pipelines.trials.columns import HistoryColumns
from pipelines.trials.identity import (
    PACKAGE,
    OtherCode,
    behind_network,
    chosen_by_name,
    code_fingerprint,
    components,
    plugins,
    require_planned_code,
    source,
    sources_of,
)  # fmt: skip
from pipelines.trials.plugins import sources_behind
from tests.support.packages import FILES, install, on_the_path
from tests.support.places import ROOT
from tests.support.toy import toy_data, toy_spec
from tune_spaces import Study, load_study
from tune_spaces.expand import expand
from tune_spaces.strict_yaml import ConfigError
from tune_spaces.study import FOLDER

NUMBERS = itertools.count()


class Installed(NamedTuple):
    """A package on the path, and a trial that uses all that it offers."""

    folder: Path
    spec: TrialSpec


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Installed]:
    """Another name each time: what a process has read of a module's source it does not read again."""
    folder = install(tmp_path, f"strangers_{next(NUMBERS)}")
    spec = toy_spec(
        losses=("cross_entropy", "brier"), loss_params={"brier": {"exponent": 4}}, weighting="halves",
        weighting_params={}, model="tiny", model_params={"side": 3}, activation=None, auxiliary=None, epochs=1,
    )  # fmt: skip
    with on_the_path(tmp_path):
        yield Installed(folder, spec)


def read_anew(spec: TrialSpec) -> str:
    """The fingerprint by the source as it lies on the disk now."""
    roots = components(spec)
    code = Code({**sources_of(PACKAGE), **sources_behind({root.module for root in roots} - source().modules.keys())})
    return code.fingerprint(roots, chosen_by_name(code))


def edit(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "counts"),
    [
        ("losses.py", ".sum(1).mean()", ".sum(1).sum()", True),
        ("arithmetic.py", "x.abs() ** q", "x ** q", True),
        ("parts.py", "side // 2", "side", True),
        ("losses.py", "value = 1", "value = 2", False),
        ("losses.py", "'''Σ", "'''The sum", False),
        ("arithmetic.py", "return 1", "return 2", False),
        ("parts.py", "x**3", "x**5", False),
        ("broken.py", "= =", "= = =", False),
    ],
    ids=["loss", "what it calls", "model", "class beside it", "docstring", "function beside it", "activation", "file"],
)
def test_its_source_counts_as_far_as_the_trial_reaches_it(
    package: Installed, file: str, old: str, new: str, counts: bool
) -> None:
    before = code_fingerprint(package.spec)
    assert read_anew(package.spec) == before
    edit(package.folder, file, old, new)
    assert (read_anew(package.spec) != before) is counts


def test_trials_without_plugins_keep_their_fingerprint(package: Installed) -> None:
    before = code_fingerprint(toy_spec())
    code_fingerprint(package.spec)
    assert read_anew(toy_spec()) == before
    assert not [module for module in source().modules if module.partition(".")[0] != "dmf"]


def test_an_edit_while_a_grid_runs_is_noticed(package: Installed) -> None:
    planned = code_fingerprint(package.spec)
    require_planned_code(package.spec, planned)
    edit(package.folder, "arithmetic.py", "** q", "** (q + 1)")
    message = rf"{platform.node()} has other code in .*dmf or {package.folder.name}\.losses or .*planned {planned}"
    with pytest.raises(OtherCode, match=message):
        require_planned_code(package.spec, planned)


def test_a_machine_without_the_package_says_its_name(package: Installed) -> None:
    spec = toy_spec(losses=("dice", "missing.losses.Brier"), loss_params={})
    with pytest.raises(OtherCode, match=rf"^{platform.node()} does not have what the trial names\. .*'missing'.*insta"):
        require_planned_code(spec, "0" * 12)
    with pytest.raises(StageError, match=r"'missing\.losses\.Brier'.* cannot be imported"):
        plugins(spec)


def test_they_train(package: Installed) -> None:
    steps = Trial(package.spec, toy_data()).epoch().steps
    assert set(HistoryColumns.of(package.spec.losses)) <= steps.keys()
    assert steps[HistoryColumns.weight("brier")].tolist() == [0.5] * 3


def test_they_are_named_with_their_distribution(package: Installed) -> None:
    name = package.folder.name
    came = f"({name.replace('_', '-')} 1.2)"
    assert plugins(package.spec) == [
        f"plugin: model tiny is {name}.parts.Tiny {came}",
        f"plugin: loss brier is {name}.losses.Brier {came}",
        f"plugin: weighting halves is {name}.parts.Halves {came}",
    ]
    assert plugins(toy_spec()) == []


def test_elsewhere_a_network_needs_its_package_and_no_loss_or_weighting(package: Installed) -> None:
    assert behind_network(package.spec) == ([f"{package.folder.name.replace('_', '-')}==1.2"], [])
    assert behind_network(toy_spec(losses=("dice", "brier"), weighting="halves")) == ([], [])


def test_what_was_never_installed_is_carried_along(tmp_path: Path) -> None:
    """A file, or a whole package."""
    module, folder = f"single_{next(NUMBERS)}", f"several_{next(NUMBERS)}"
    (tmp_path / f"{module}.py").write_text(FILES["parts.py"])
    (tmp_path / folder / "deeper").mkdir(parents=True)
    (tmp_path / folder / "deeper" / "parts.py").write_text(FILES["parts.py"])
    spec = toy_spec(model=f"{module}.Tiny", model_params={}, activation=f"{folder}.deeper.parts.Cube")
    with on_the_path(tmp_path):
        assert behind_network(spec) == ([], [tmp_path / f"{module}.py", tmp_path / folder])


def test_a_file_beside_the_study_will_do(tmp_path: Path) -> None:
    module = f"single_{next(NUMBERS)}"
    (tmp_path / f"{module}.py").write_text(
        FILES["losses.py"].replace(".arithmetic", "operator").replace("power", "pow")
    )
    spec = toy_spec(losses=("dice", f"{module}.Brier"), loss_params={})
    with on_the_path(tmp_path):
        (line,) = plugins(spec)
        assert line == (f"plugin: loss {module}.Brier is {module}.Brier ({tmp_path / module}.py, of no distribution)")
        assert code_fingerprint(spec) != code_fingerprint(toy_spec(losses=("dice", "iou")))


def test_an_import_that_hides_names_is_refused(package: Installed) -> None:
    edit(package.folder, "losses.py", "from .arithmetic import power", "from .arithmetic import *")
    with pytest.raises(StageError, match=r"losses\.py, line 5: `from strangers_\d+\.arithmetic import \*` hides"):
        code_fingerprint(package.spec)


def test_a_study_names_them_and_a_misspelt_one_is_answered(package: Installed) -> None:
    place = f"{package.folder.name}.parts.Halves"
    grid = [{"weighting": place, "losses": [["brier", "dice"]]}, {"weighting": "fixed"}]
    study = {"name": "own", "title": "t", "datasets": ["phantom"], "seeds": 1, "baseline": {"weighting": "fixed"}}
    trial = {"image_size": 16, "auxiliary": None, "losses": ["dice"]}
    cells = expand(Study(**study, trial=trial, grid=grid)).cells
    assert [cell.configuration for cell in cells] == [f"brier+dice · {place}", "dice · fixed"]
    grid[0]["weighting"] = "strangers.parts.Halfs"
    with pytest.raises(ConfigError, match=r"own\.yaml: The weighting 'strangers\.parts\.Halfs' .* cannot be imported"):
        expand(Study(**study, trial=trial, grid=grid))


def test_the_documents_package_is_one(tmp_path: Path) -> None:
    """Put together from the page's blocks, each of which says where it belongs."""
    page = (ROOT / "docs" / "plugins.md").read_text("utf-8")
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL))
    source, project, study = blocks["python"], blocks["toml"], blocks["yaml"]
    place = source.partition("\n")[0].removeprefix("# ").partition("/")
    told = tomllib.loads(project)["project"]
    points = "\n".join(f"{k} = {v}" for k, v in told["entry-points"]["dmf.losses"].items())
    install(tmp_path, place[0], {"__init__.py": "", place[2]: source}, f"[dmf.losses]\n{points}\n", told["version"])
    shutil.copy(FOLDER / "quickstart.yaml", tmp_path)
    (tmp_path / "sensitivity.yaml").write_text(study)
    with on_the_path(tmp_path):
        cells = expand(load_study("sensitivity", tmp_path)).cells
        specs = [cell.spec for cell in cells if "sensitivity" in cell.spec.losses]
        assert [spec.seed for spec in specs] == [0, 1, 2]
        assert plugins(specs[0]) == ["plugin: loss sensitivity is my_package.losses.Sensitivity (my-package 1.0)"]
        p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
        assert build_loss("sensitivity", 2)(p.log(), y).item() == pytest.approx(1 - (0.75 + 0.5) / 2)
