"""report.tex: typesets as it is, whatever names hold, and cites what the trials use."""

from __future__ import annotations

import csv
import dataclasses
import html.parser
import re
import shutil
from pathlib import Path

import pytest

from dmf.losses import LOSSES
from dmf.models import MODELS
from dmf.weightings import WEIGHTINGS
from dmf.weightings.torchjd import PREFIX, REFUSED, methods
from pipelines.report.build import build_report
from pipelines.report.document.references import Reference, of_torchjd, references_of, source_of, to_bbl, to_bibtex
from pipelines.report.latex import PREAMBLE, breakable
from pipelines.report.results import StudyFacts
from pipelines.trials.finished import read_trials
from pipelines.trials.plan import PlannedTrial
from tests.support.latex import needs_latex, typeset
from tests.support.report_trials import BASE, make_facts, plan_trials, write_trials

ODD = 'a_b 50 % & #1 <i> "x" $y$ {z} ~ ^ \\ | `q` [w] * Ünïté Çelik γ → Łódź 甲 --'
FACTS = dataclasses.replace(
    make_facts(),
    title=f"Data {ODD}",
    citation=f"Çiçek, O'Neill, et al.: A {ODD} of things. Journal of Names 1, 2 (2020).",
    classes=("background", 'les_ion & <"é">'),
    foreground='les_ion & <"é">',
)
SPECS = [
    dataclasses.replace(BASE, seed=seed, weighting=weighting, auxiliary="cb_dice")
    for seed in range(2)
    for weighting in ("variance", "dwa", "fixed")
]


def named(trial: PlannedTrial) -> PlannedTrial:
    return dataclasses.replace(trial, configuration=f"{trial.spec.weighting} {ODD}")


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> list[PlannedTrial]:
    planned = [*map(named, plan_trials(tmp_path_factory.mktemp("trials"), SPECS))]
    write_trials(planned, FACTS)
    return planned


@pytest.fixture(scope="module")
def report(planned: list[PlannedTrial], tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = StudyFacts("s", f"A study {ODD}", [(f"weighting: {ODD}", ODD)], tables=["dmf-1"])
    reports = tmp_path_factory.mktemp("reports")
    return build_report(study, planned, f"fixed {ODD}", {"phantom": FACTS}, reports).parent


class Text(html.parser.HTMLParser):
    """What a reader of a page sees, and which elements there are."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.filterwarnings("ignore:Glyph")  # what a figure's font lacks, LaTeX has
class TestOddNames:
    @needs_latex
    def test_the_report_typesets_within_the_page(self, report: Path, tmp_path: Path) -> None:
        shutil.copytree(report, tmp_path / "s")
        said = typeset(tmp_path / "s", "report", times=2)
        assert "undefined" not in said

    @needs_latex
    def test_so_do_all_tables(self, report: Path, tmp_path: Path) -> None:
        shutil.copytree(report / "tables", tmp_path / "tables")
        typeset(tmp_path / "tables", "all_tables")

    @needs_latex
    def test_every_letter_of_many_alphabets(self, tmp_path: Path) -> None:
        every = " ".join(chr(place) for place in (*range(32, 1536), *range(7680, 8960)) if chr(place).isprintable())
        lines = "\n\n".join(breakable(every[place : place + 40]) for place in range(0, len(every), 40))
        (tmp_path / "letters.tex").write_text(f"{PREAMBLE}\\begin{{document}}\n{lines}\n\\end{{document}}\n")
        typeset(tmp_path, "letters")

    def test_the_page_shows_them_as_they_are(self, report: Path) -> None:
        page = Text((report / "index.html").read_text())
        text = "".join(page.words)
        assert f"fixed {ODD}" in text
        assert f"A study {ODD}" in text
        assert f"Data {ODD}" in text
        assert "i" not in page.elements

    @pytest.mark.parametrize("name", ["scores", "summary", "comparisons", "statistics", "standings"])
    def test_csv_gives_them_back(self, report: Path, name: str) -> None:
        with (report / "tables" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            rows = [*csv.DictReader(file)]
        assert {row["configuration"] for row in rows} <= {f"{one} {ODD}" for one in ("variance", "dwa", "fixed")}
        assert rows


class TestReferences:
    def test_what_is_used_is_cited_and_nothing_else(self, planned: list[PlannedTrial]) -> None:
        found = {one.key: one for one in references_of(read_trials(planned), {"phantom": FACTS})}
        assert [*found] == ["data-phantom", "golnari2026", "liu2019"]
        assert found["liu2019"].authors == ("Liu", "Johns", "Davison")
        assert found["liu2019"].title == "End-to-End Multi-Task Learning with Attention"
        assert (found["liu2019"].place, found["liu2019"].year) == ("CVPR", "2019")
        assert "weighting DWA" in found["liu2019"].uses
        assert {"network U-Net", "loss Dice", "weighting Variance"} <= {*found["golnari2026"].uses}
        assert found["data-phantom"].authors == ("Çiçek", "O'Neill", "others")
        assert found["data-phantom"].year == "2020"

    def test_bibtex_and_what_bibtex_would_make_of_it(self, planned: list[PlannedTrial]) -> None:
        found = references_of(read_trials(planned), {"phantom": FACTS})
        bibtex, bbl = to_bibtex(found), to_bbl(found)
        assert "@misc{liu2019,\n  author = {Liu and Johns and Davison}," in bibtex
        assert r"\bibitem{liu2019} Liu, Johns and Davison. End-to-End Multi-Task" in bbl
        assert re.findall(r"@misc\{(.*),", bibtex) == re.findall(r"\\bibitem\{(.*?)\}", bbl)
        balance = [{"{": 1, "}": -1}.get(one, 0) for one in re.sub(r"\\[{}]", "", bibtex)]
        assert sum(balance) == 0

    @pytest.mark.parametrize(
        ("cls", "surname"),
        [(WEIGHTINGS[name], surname) for name, surname in {"cov": "Groenendijk", "gls": "Chennupati"}.items()]
        + [(MODELS[name], surname) for name, surname in {"unet3d": "Çiçek", "transunet": "Chen"}.items()]
        + [(LOSSES["mse"], "Ramani"), (LOSSES["exponential"], "Zarrin"), (MODELS["small_cnn"], "loss-fusion")],
    )
    def test_sources_are_found_where_they_stand(self, cls: type, surname: str) -> None:
        assert surname in source_of(cls)

    def test_what_has_no_source_has_none(self) -> None:
        assert source_of(WEIGHTINGS["equal"]) == ""

    def test_torchjds_methods_are_of_the_papers_that_its_docstrings_link(self) -> None:
        found = {name: of_torchjd(f"{PREFIX}{name}") for name in methods().keys() - REFUSED.keys()}
        assert {name for name, one in found.items() if one is None} == {"Constant", "Mean", "Sum"}
        titles = {name: one.title for name, one in found.items() if one}
        assert titles["CAGrad"] == "Conflict-Averse Gradient Descent for Multi-task Learning"
        assert titles["MoDo"].startswith("Three-Way Trade-Off in Multi-Objective Learning")
        assert titles["STCH"] == "Smooth Tchebycheff Scalarization for Multi-Objective Optimization"
        assert found["UPGrad"] == Reference(
            "torchjd-upgrad",
            (),
            "Jacobian Descent For Multi-Objective Optimization",
            "arXiv:2406.16232",
            "2024",
            ("weighting TorchJD UPGrad",),
        )
        assert of_torchjd("dwa") is None

    def test_a_study_of_them_cites_them(self, planned: list[PlannedTrial]) -> None:
        weightings = ["torchjd:UPGrad", "torchjd:Mean", "torchjd:STCH", "fixed"]
        specs = [dataclasses.replace(trial.spec, weighting=one) for trial in planned[:1] for one in weightings]
        records = [read_trials(planned[:1])[0].model_copy(update={"spec": spec}) for spec in specs]
        keys = [one.key for one in references_of(records, {"phantom": FACTS})]
        assert [key for key in keys if key.startswith("torchjd")] == ["torchjd-upgrad", "torchjd-stch"]
