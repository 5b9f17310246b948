"""What the report makes of other studies than the quickstart: classes of images, folds, noisy test sets."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pandas as pd
import pytest

from dmf.metrics import PROTOCOLS, SOFT
from dmf.training.spec import TrialSpec
from pipelines.report.build import build_report
from pipelines.report.data import DataFacts
from pipelines.report.layout import lay_out, repeats_text
from pipelines.report.names import PROTOCOL_TEXTS
from pipelines.report.results import StudyFacts
from pipelines.report.statistics import compare
from pipelines.report.tables import build_tables
from pipelines.trials.finished import read_trials
from tests.support.report_trials import BASE, make_classified, make_facts, plan_trials, write_trials
from tune_spaces.expand import Cell

pytestmark = pytest.mark.slow

STUDY = StudyFacts("s", "A study", [])
PAIR = (("mad", "cb_dice"), ("fixed", None))


def test_every_protocol_has_its_text() -> None:
    assert set(PROTOCOL_TEXTS) == {*PROTOCOLS, SOFT}


def specs(**changes: object) -> list[TrialSpec]:
    return [dataclasses.replace(BASE, weighting=w, auxiliary=a, **changes) for w, a in PAIR]  # type: ignore[arg-type]


def build(root: Path, wanted: list[TrialSpec], facts: DataFacts) -> Path:
    planned = plan_trials(root / "trials", wanted)
    write_trials(planned, facts)
    return build_report(STUDY, planned, "fixed · none", {facts.name: facts}, root / "reports").parent


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wanted = [spec for seed in range(2) for spec in specs(seed=seed)]
    return build(tmp_path_factory.mktemp("classified"), wanted, make_classified())


def test_classification_has_its_own_tables_and_figures(classified: Path) -> None:
    tables = {path.stem for path in (classified / "tables").glob("phantom*.md")}
    figures = {path.stem for path in (classified / "figures").glob("*.png")}
    assert tables == {"phantom_macro", "phantom_weighted"}
    assert {"phantom_confusion", "phantom_gallery", "phantom_differences"} <= figures
    assert "phantom_panel" not in figures
    assert "F1, mean over classes" in (classified / "index.html").read_text()


def test_a_confusion_matrix_names_the_classes_and_what_is_counted(classified: Path) -> None:
    page = (classified / "index.html").read_text()
    assert "Test images of each true class (row) by predicted class (column)" in page
    assert "Confusion matrices of 2 models over no tumour, glioma, meningioma_of_some_length." in page


def test_two_classes_of_pixels_need_no_confusion_matrix(tmp_path: Path) -> None:
    report = build(tmp_path, specs(), make_facts())
    assert not (report / "figures" / "phantom_confusion.png").exists()


def test_folds_are_repeats_of_one_configuration(tmp_path: Path) -> None:
    wanted = [spec for fold in range(5) for spec in specs(split=f"fold:{fold}")]
    report = build(tmp_path, wanted, make_facts())
    summary = pd.read_csv(report / "tables" / "summary.csv")
    assert set(summary["repeats"]) == {5}
    assert (report / "figures" / "phantom_panel.png").is_file(), "models of one fold are asked about its test images"
    assert "over 5 folds, in percent" in (report / "tables" / "phantom_per_image.md").read_text()
    scores = pd.read_csv(report / "tables" / "scores.csv")
    assert set(scores["fold"]) == {f"fold:{fold}" for fold in range(5)}


def test_folds_are_compared_fold_by_fold(tmp_path: Path) -> None:
    facts = make_facts()
    planned = plan_trials(tmp_path, [spec for fold in range(3) for spec in specs(split=f"fold:{fold}")])
    score = {("mad", 0): 0.80, ("mad", 1): 0.70, ("mad", 2): 0.60, ("fixed", 0): 0.79, ("fixed", 1): 0.67}
    write_trials(planned, facts, lambda spec: score.get((spec.weighting, int(spec.split[-1])), 0.55))
    layout = lay_out(read_trials(planned), "fixed · none")
    found = next(c for c in compare(layout, {"phantom": facts}) if (c.protocol, c.metric) == ("per_image", "dice"))
    assert found.differences == pytest.approx((1, 3, 5))


def test_a_model_that_was_not_tested_on_an_image_is_not_drawn_on_it(tmp_path: Path) -> None:
    one, other = specs()
    report = build(tmp_path, [dataclasses.replace(one, split="fold:1"), other], make_facts())
    assert (report / "figures" / "phantom_panel.png").is_file()


@pytest.mark.parametrize(
    ("seeds", "folds", "text"), [(1, 0, "one seed"), (3, 0, "3 seeds"), (1, 5, "5 folds"), (2, 5, "2 seeds x 5 folds")]
)
def test_repeats_are_named_for_what_they_are(seeds: int, folds: int, text: str) -> None:
    splits = [f"fold:{fold}" for fold in range(folds)] or ["default"]
    assert repeats_text([dataclasses.replace(BASE, seed=s, split=f) for s in range(seeds) for f in splits]) == text


def test_a_split_that_is_no_fold_is_an_axis(tmp_path: Path) -> None:
    wanted = [spec for split in ("random", "grouped") for spec in specs(split=split)]
    planned = plan_trials(tmp_path, wanted)
    planned = [dataclasses.replace(p, configuration=f"{p.configuration} · {p.spec.split}") for p in planned]
    write_trials(planned, make_facts())
    layout = lay_out(read_trials(planned), "fixed · none · grouped")
    assert "split" in layout.axes


def test_a_deal_of_its_own_for_every_seed_is_no_axis_but_a_way_of_dealing(tmp_path: Path) -> None:
    wanted = [
        dataclasses.replace(spec, split=split.replace("<seed>", str(spec.seed)))
        for split in ("random:<seed>", "grouped")
        for seed in (0, 1)
        for spec in specs(seed=seed)
    ]
    planned = [
        dataclasses.replace(p, configuration=f"{p.configuration} · {p.spec.split.partition(':')[0]}")
        for p in plan_trials(tmp_path, wanted)
    ]
    write_trials(planned, make_facts())
    both = lay_out(read_trials(planned), "fixed · none · grouped")
    place = both.axes.index("split")
    assert {row.labels[place] for row in both.rows["phantom"]} == {"Random", "Grouped"}
    assert "split" not in lay_out(read_trials(planned[: len(planned) // 2]), "fixed · none · random").axes


def test_a_trial_that_stands_for_its_twin_has_two_rows_and_the_table_says_why(tmp_path: Path) -> None:
    planned = plan_trials(tmp_path, [dataclasses.replace(spec, weighting="mad") for spec in specs() if spec.auxiliary])
    planned = [
        dataclasses.replace(
            trial,
            twins=(Cell(dataclasses.replace(trial.spec, weighting="bayesian"), "bayesian", reason="They are one."),),
        )
        for trial in planned
    ]
    facts = make_facts()
    write_trials(planned, facts)
    layout = lay_out(read_trials(planned), planned[0].configuration)
    mad, bayesian = sorted(layout.rows["phantom"], key=lambda row: not row.baseline)
    assert (mad.spec.weighting, bayesian.spec.weighting) == ("mad", "bayesian")
    assert [record.identifier for record in mad.records] == [record.identifier for record in bayesian.records]
    for table in build_tables(layout, {"phantom": facts}):
        assert "They are one." in table.caption
        assert table.lines[0].entries[0].mean == table.lines[1].entries[0].mean


def test_what_differs_between_data_sets_only_is_no_axis(tmp_path: Path) -> None:
    wanted = [*specs(), *specs(dataset="busi", epochs=3)]
    planned = plan_trials(tmp_path, wanted)
    write_trials(planned, make_facts())
    assert lay_out(read_trials(planned), "fixed · none").axes == ("auxiliary", "weighting")


def test_noisy_test_sets_have_tables_of_their_own_and_a_figure(tmp_path: Path) -> None:
    report = build(tmp_path, specs(test_noise=(0.1, 0.2)), make_facts())
    text = (report / "tables" / "phantom_per_image_noise_0.1.md").read_text()
    assert "under Gaussian noise of standard deviation 0.1" in text
    assert re.search(r"phantom_pooled_noise_0\.2\.tex", (report / "tables" / "all_tables.tex").read_text())
    assert (report / "figures" / "phantom_noise.png").is_file()
    page = (report / "index.html").read_text()
    assert "Scores under noise" in page
    folded = re.findall(r'<details><summary><h3 id="(\w+)_noise_(0\.\d)">', page)
    assert folded == [(f"phantom_{p}", n) for p in ("reference", "per_image", "pooled") for n in ("0.1", "0.2")]
    assert page.count("<details") == page.count("</details>")
