"""The report as files on disk: complete or not at all, the same every time, readable without a network."""

from __future__ import annotations

import base64
import dataclasses
import html.parser
import io
import itertools
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pipelines.core.console import StageError
from pipelines.pages.drawing import spread
from pipelines.papers.claim import paper_claims
from pipelines.report import page, panel
from pipelines.report.build import build_report
from pipelines.report.layout import lay_out
from pipelines.report.names import Metric, loss_colours, weighting_colours
from pipelines.report.results import StudyFacts
from pipelines.report.tables import Entry, Line, Table
from pipelines.report.writers import to_latex, to_latex_document
from pipelines.trials.failure import Failure, write_failure
from pipelines.trials.finished import read_trials
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import TrialRecord
from tests.support.latex import needs_latex, typeset
from tests.support.report_trials import make_facts, paper_specs, plan_trials, write_trials

FACTS = make_facts()
CLAIMS = [claim for claim in paper_claims() if "dmf" in claim.study]
STUDY = StudyFacts("s", "A <study> & its title", [("weighting: mad, auxiliary: focal", "too <slow>")], CLAIMS)


def build(planned: list[PlannedTrial], reports: Path) -> Path:
    return build_report(STUDY, planned, "fixed · none", {"phantom": FACTS}, reports)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> list[PlannedTrial]:
    planned = plan_trials(tmp_path_factory.mktemp("trials"), paper_specs(seeds=2))
    write_trials(planned, FACTS)
    return planned


@pytest.fixture(scope="module")
def report(planned: list[PlannedTrial], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(planned, tmp_path_factory.mktemp("reports")).parent


@pytest.fixture
def spoilable(planned: list[PlannedTrial], tmp_path: Path) -> list[PlannedTrial]:
    """Three of the trials (variance with Tversky and with focal, fixed), in folders of their own."""
    chosen = [planned[0], planned[1], planned[12]]
    copies = plan_trials(tmp_path / "trials", [trial.spec for trial in chosen])
    for source, copy in zip(chosen, copies, strict=True):
        shutil.copytree(source.folder, copy.folder)
    return copies


class TestPage:
    def test_nothing_is_loaded_from_a_network_and_every_file_named_is_there(self, report: Path) -> None:
        parsed = Page(report)
        linked = [address for address in parsed.addresses if not address.startswith("data:image/")]
        assert not [address for address in linked if "//" in address]
        assert linked
        for address in linked:
            if address.startswith("#"):
                assert address[1:] in parsed.identifiers
            else:
                assert (report / address).is_file()
        assert "@import" not in parsed.text
        assert "url(" not in parsed.text

    def test_every_picture_has_a_text_and_its_true_size(self, report: Path) -> None:
        for attributes in Page(report).pictures:
            assert len(attributes["alt"]) > 30
            content = base64.b64decode(attributes["src"].removeprefix("data:image/png;base64,"))
            with Image.open(io.BytesIO(content)) as image:
                assert image.size == (int(attributes["width"]), int(attributes["height"]))

    def test_text_from_studies_and_trials_is_escaped(self, report: Path) -> None:
        text = (report / "index.html").read_text()
        assert "A &lt;study&gt; &amp; its title" in text
        assert "too &lt;slow&gt;" in text
        assert "&lt;since&gt;" in text

    def test_headings_never_skip_a_level(self, report: Path) -> None:
        levels = [int(level) for level in re.findall(r"<h([1-6])", (report / "index.html").read_text())]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))

    def test_it_says_what_a_reader_has_to_know(self, report: Path, planned: list[PlannedTrial]) -> None:
        text = (report / "index.html").read_text()
        for needed in (
            "26 trials finished",
            "13 configurations × 2 seeds",
            "cannot give a p below 0.5",
            "Weight collapse",
            "PyTorch",
            "abc123",
            FACTS.checksum,
            planned[0].identifier,
            "make repro",
            "Nobody et al.",
        ):
            assert needed in text

    def test_it_is_small_enough_to_commit(self, report: Path) -> None:
        assert sum(path.stat().st_size for path in report.rglob("*") if path.is_file()) < 4_000_000

    def test_configurations_that_are_the_same_training_are_called_so(self, spoilable: list[PlannedTrial]) -> None:
        records = read_trials(spoilable)
        same = records[0].model_copy(update={"test": records[1].test})
        (spoilable[0].folder / "trial.json").write_text(same.to_json())
        rows = lay_out(read_trials(spoilable), "fixed · none").rows["phantom"]
        assert page.twins(rows) == [["variance · tversky", "variance · focal"]]


class TestDeterminism:
    @pytest.mark.slow
    def test_building_again_gives_the_same_bytes_and_drops_what_is_stale(
        self, spoilable: list[PlannedTrial], tmp_path: Path
    ) -> None:
        def build_three() -> dict[str, bytes]:
            return contents(build(spoilable, tmp_path / "reports").parent)

        first = build_three()
        (tmp_path / "reports" / "s" / "figures" / "stale.png").touch()
        assert build_three() == first
        readable = {".html", ".png", ".pdf", ".tex", ".md", ".csv", ".bib", ".bbl"}
        assert {Path(name).suffix for name in first} == readable | {".json", ".zst"}
        assert [path.name for path in (tmp_path / "reports").iterdir()] == ["s"]


class TestLatex:
    @needs_latex
    def test_all_tables_compile_within_the_page(self, report: Path, tmp_path: Path) -> None:
        shutil.copytree(report / "tables", tmp_path / "tables")
        typeset(tmp_path / "tables", "all_tables")

    @needs_latex
    def test_many_rows_and_long_labels_stay_within_the_page(self, tmp_path: Path) -> None:
        loss = "Cross entropy + Smooth L1 + Paced focal + Dice"
        params = "paced_focal.adaptive_gamma=True, paced_focal.epoch_scaling_factor=0.1, smooth_l1.beta=0.5"
        entry = Entry(mean=82.75, std=1.05, n=3, best=False)
        metrics = tuple(Metric(name) for name in ("dice", "iou", "precision", "recall", "cb_dice", "hd95", "hausdorff"))
        first = Line((loss, params, "MAD"), (entry,) * len(metrics), repeated=0, baseline=False)
        lines = (first, *(dataclasses.replace(first, repeated=2) for _ in range(62)))
        axes = ("losses", "loss_params", "weighting")
        table = Table("phantom", "per_image", axes, metrics, lines, "scores", "A caption of one line.")
        (tmp_path / f"{table.name}.tex").write_text(to_latex(table))
        (tmp_path / "all_tables.tex").write_text(to_latex_document([table]))
        typeset(tmp_path, "all_tables")


class TestFaults:
    def test_no_trial_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(StageError, match=r"holds none of the study's 39 trials.*Run the grid first"):
            read_trials(plan_trials(tmp_path, paper_specs()))

    def test_missing_and_failed_trials_are_listed_with_their_cause(
        self, spoilable: list[PlannedTrial], tmp_path: Path
    ) -> None:
        shutil.rmtree(spoilable[0].folder)
        (spoilable[1].folder / "trial.json").unlink()
        failure = Failure("divergence", "TrainingDiverged: `total` is nan", attempts=2, node="n1", log="log.txt")
        write_failure(spoilable[1].folder, spoilable[1].describe("s", "abc123"), failure)
        earlier = tmp_path / "reports" / "s" / "index.html"
        earlier.parent.mkdir(parents=True)
        earlier.write_text("earlier")
        with pytest.raises(StageError) as caught:
            build(spoilable, tmp_path / "reports")
        message = str(caught.value)
        assert "2 of the study's 3 trials are missing" in message
        assert f"variance · tversky · phantom · seed 0 ({spoilable[0].identifier}): never finished" in message
        assert "variance · focal" in message
        assert "failed (divergence, attempt 2, node n1): TrainingDiverged: `total` is nan; see log.txt" in message
        assert earlier.read_text() == "earlier"

    def test_trials_of_another_study_or_code_are_left_alone(self, spoilable: list[PlannedTrial]) -> None:
        assert [record.identifier for record in read_trials(spoilable[:2])] == [t.identifier for t in spoilable[:2]]

    @pytest.mark.parametrize(
        ("name", "read"),
        [
            ("trial.json", lambda record: record),
            ("history.parquet", lambda record: record.history),
            ("epochs.parquet", lambda record: record.epoch_table),
            ("images.parquet", lambda record: record.images),
            ("predictions.npz", lambda record: record.predictions),
        ],
    )
    @pytest.mark.parametrize("spoil", [lambda path: os.truncate(path, 40), lambda path: path.write_bytes(b"{}")])
    def test_a_damaged_file_is_named_with_the_remedy(
        self,
        spoilable: list[PlannedTrial],
        name: str,
        read: Callable[[TrialRecord], object],
        spoil: Callable[[Path], None],
    ) -> None:
        spoil(spoilable[0].folder / name)
        expected = rf"{spoilable[0].identifier}/{re.escape(name)} is damaged.*Delete that folder"
        with pytest.raises(StageError, match=expected):
            read(read_trials(spoilable)[0])

    def test_a_fault_found_while_drawing_leaves_no_half_report(
        self, spoilable: list[PlannedTrial], tmp_path: Path
    ) -> None:
        (spoilable[0].folder / "images.parquet").write_bytes(b"{}")
        with pytest.raises(StageError, match=r"images\.parquet is damaged"):
            build(spoilable, tmp_path / "reports")
        assert not any((tmp_path / "reports").glob("*"))

    def test_a_folder_with_another_trials_results_is_refused(self, spoilable: list[PlannedTrial]) -> None:
        shutil.copy(spoilable[1].folder / "trial.json", spoilable[0].folder / "trial.json")
        with pytest.raises(StageError, match="belongs to the trial"):
            read_trials(spoilable)


class TestFigures:
    def test_every_kind_of_figure_is_drawn_as_png_and_pdf(self, report: Path) -> None:
        kinds = {"differences", "panel", "weight_histories", "loss_histories", "validation"}
        files = {f"phantom_{kind}.{suffix}" for kind in kinds for suffix in ("png", "pdf")}
        assert {path.name for path in (report / "figures").iterdir()} == files

    def test_the_panels_model_of_a_block_has_its_best_validation_cb_dice(self, planned: list[PlannedTrial]) -> None:
        layout = lay_out(read_trials(planned), "fixed · none")
        for title, chosen in panel.best_of_blocks(layout.rows["phantom"]):
            rivals = [
                record
                for row in layout.rows["phantom"]
                for record in row.records
                if record.spec.auxiliary == chosen.spec.auxiliary
                and (record.spec.weighting == "fixed") == (title == "Fixed (baseline)")
            ]
            best = max(record.validation["reference"]["cb_dice"] for record in rivals)
            assert chosen.validation["reference"]["cb_dice"] == best

    def test_labels_are_moved_apart_and_keep_their_order(self) -> None:
        moved = spread([0.5, 0.51, 0.9], gap=0.1, low=0, high=1)
        assert moved == pytest.approx([0.455, 0.555, 0.9])
        assert spread([0.0, 0.0], gap=0.1, low=0.05, high=0.95) == pytest.approx([0.05, 0.15])

    def test_colours_do_not_depend_on_the_study(self) -> None:
        assert weighting_colours(["mad", "variance"])["mad"] == weighting_colours(["mad"])["mad"]
        assert not set(weighting_colours(["fixed", "variance", "mad", "bayesian"]).values()) & set(
            loss_colours(["cross_entropy", "iou", "dice"]).values()
        )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class Page(html.parser.HTMLParser):
    """What a page refers to."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.identifiers: set[str] = set()
        self.pictures: list[dict[str, str]] = []
        self.text = (folder / "index.html").read_text()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.addresses += [values[name] for name in ("src", "href", "data", "srcset") if name in values]
        self.identifiers |= {values["id"]} if "id" in values else set()
        if tag == "img":
            self.pictures.append(values)
