"""`dvc metrics`, `dvc exp` and `dvc plots` tell a study's main numbers, and ask no network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pipelines.report.layout import Layout, lay_out
from pipelines.report.numbers import write_numbers
from pipelines.trials.finished import read_trials
from tests.support.places import ROOT
from tests.support.report_trials import make_facts, paper_specs, plan_trials, write_trials

FACTS = make_facts()


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    planned = plan_trials(tmp_path_factory.mktemp("trials"), paper_specs(seeds=2))
    dice = {"mad": 0.8, "fixed": 0.75}
    write_trials(planned, FACTS, score=lambda spec: dice.get(spec.weighting, 0.5) + 0.01 * spec.seed)
    return lay_out(read_trials(planned), "fixed · none")


@pytest.fixture
def repository(layout: Layout, tmp_path: Path) -> Path:
    """A clone with the report of the study that params.yaml names."""
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".dvc/config", ".dvc/plots.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    figures = tmp_path / "reports" / "quickstart" / "figures"
    figures.mkdir(parents=True)
    write_numbers(layout, {"phantom": FACTS}, figures.parent)
    Image.new("L", (8, 8)).save(figures / "phantom_panel.png")
    (figures / "phantom_panel.pdf").write_bytes(b"%PDF-1.4")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "-c", "user.name=n", "-c", "user.email=n@example.org", "commit", "--quiet", "--message", "m")
    return tmp_path


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True)


def dvc(folder: Path, *words: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "dvc", *words],
        cwd=folder,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "failed" not in ran.stderr
    return ran.stdout


def test_the_numbers_are_those_of_the_best_configuration_and_the_baseline(layout: Layout, tmp_path: Path) -> None:
    write_numbers(layout, {"phantom": FACTS}, tmp_path)
    numbers = json.loads((tmp_path / "metrics.json").read_text())
    assert numbers["trials"] == 26
    assert numbers["training_hours"] == pytest.approx(26 * 12.5 / 3600, abs=1e-4)
    assert numbers["phantom"]["per_image_dice"] == {
        "best": 80.5, "configuration": "mad · tversky", "baseline": 75.5, "lead": 5.0,
    }  # fmt: skip


@pytest.mark.slow
def test_dvc_shows_and_compares_them_and_its_plots_ask_for_nothing(repository: Path) -> None:
    shown = json.loads(dvc(repository, "metrics", "show", "--json"))
    (told,) = shown[""]["data"].values()
    assert told["data"]["phantom"]["per_image_dice"]["best"] == 80.5
    metrics = repository / "reports" / "quickstart" / "metrics.json"
    metrics.write_text(metrics.read_text().replace("80.5", "81.0"))
    compared = json.loads(dvc(repository, "metrics", "diff", "--json"))
    (changed,) = compared.values()
    assert changed["phantom.per_image_dice.best"]["diff"] == pytest.approx(0.5)
    dvc(repository, "plots", "show")
    page = (repository / "dvc_plots" / "index.html").read_text()
    pictures = re.findall(r'src="([^"]+)"', page)
    assert [Path(address).name for address in pictures] == ["workspace_reports_quickstart_figures_phantom_panel.png"]
    assert (repository / "dvc_plots" / pictures[0]).is_file()
    assert "//" not in page.replace("<!DOCTYPE html>", "")
