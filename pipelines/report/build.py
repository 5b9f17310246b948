"""The whole report: tables, figures and page, built beside the earlier one and put in its place when complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from pipelines.core.console import track
from pipelines.core.files import replaced
from pipelines.pages.drawing import Picture
from pipelines.papers.evidence import Evidence, Truth
from pipelines.papers.verdict import Verdict, judge
from pipelines.report.claims import write_claims
from pipelines.report.confusion import draw_confusion, draw_gallery
from pipelines.report.crate import write_crate
from pipelines.report.crowded import drawable, told
from pipelines.report.curves import draw_convergence, draw_noise, draw_validation
from pipelines.report.data import DataFacts
from pipelines.report.forest import draw_forest
from pipelines.report.histories import draw_losses, draw_weights
from pipelines.report.layout import Layout, lay_out
from pipelines.report.numbers import write_numbers
from pipelines.report.page import StudyFacts, render_page
from pipelines.report.panel import draw_panel
from pipelines.report.printed.make import make_sheets, write_sheets
from pipelines.report.printed.matching import Trials
from pipelines.report.printed.sheet import Sheet, Unmade
from pipelines.report.statistics import Comparison, compare, comparison_table
from pipelines.report.tables import Table, build_tables, score_table, summary_table
from pipelines.report.writers import to_latex, to_latex_document, to_markdown, write_csv
from pipelines.trials.bundle import write_bundle
from pipelines.trials.finished import read_trials
from pipelines.trials.plan import PlannedTrial


def build_report(
    study: StudyFacts,
    planned: Sequence[PlannedTrial],
    baseline: str,
    facts: Mapping[str, DataFacts],
    reports: Path,
    images: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> Path:
    """Write `reports`/<study>/: index.html, tables/, figures/, records/, and a crate that lists them.

    The same trials give the same bytes.

    Args:
        planned: exactly the trials that the study enumerates.
        baseline: configuration that the others are compared with.
        facts: by data set name.
        images: tables of the prepared images, for the records that the report carries (`pipelines.trials.bundle`).

    Raises:
        StageError: if a trial is missing or a file damaged; the earlier report is left as it was.
    """
    records = read_trials(planned)
    layout = lay_out(records, baseline)
    truths = {name: Truth(f.cases, f.truths) for name, f in facts.items() if f.task == "segmentation"}
    verdicts = [judge(claim, study.name, Evidence(tuple(records), baseline, truths)) for claim in study.claims]
    tables, comparisons = build_tables(layout, facts), compare(layout, facts)
    sheets = make_sheets(study.tables, Trials(records, facts))
    target = reports / study.name
    with replaced(target, beside=reports) as partial:
        _write_tables(layout, tables, sheets, comparisons, verdicts, partial / "tables")
        pictures = {
            dataset: _draw(layout, facts[dataset], comparisons, partial / "figures")
            for dataset in track(layout.datasets, "drawing", unit="data sets")
        }
        write_bundle(records, images, partial)
        page = render_page(study, layout, facts, tables, sheets, comparisons, pictures, verdicts, partial / "figures")
        (partial / "index.html").write_text(page)
        write_numbers(layout, facts, partial)
        write_crate(partial, study.title, records)
    return target / "index.html"


def _draw(layout: Layout, facts: DataFacts, comparisons: Sequence[Comparison], folder: Path) -> list[Picture]:
    name, everything = facts.name, layout
    layout = drawable(layout, name)
    classified = facts.task == "classification"
    drawn = [
        draw_forest(layout, facts, comparisons, folder),
        draw_confusion(layout, facts, folder),
        draw_gallery(layout, facts, folder) if classified else draw_panel(layout, facts, folder),
        draw_noise(layout, facts, folder),
        draw_validation(layout, name, folder),
        draw_convergence(layout, name, folder),
        *draw_weights(layout, name, folder),
        *draw_losses(layout, name, folder),
    ]
    return [told(picture, everything, name) for picture in drawn if picture is not None]


def _write_tables(
    layout: Layout,
    tables: Sequence[Table],
    sheets: Sequence[Sheet | Unmade],
    comparisons: Sequence[Comparison],
    verdicts: Sequence[Verdict],
    folder: Path,
) -> None:
    folder.mkdir(parents=True)
    for table in tables:
        (folder / f"{table.name}.tex").write_text(to_latex(table))
        (folder / f"{table.name}.md").write_text(to_markdown(table))
    write_sheets(sheets, folder)
    if verdicts:
        write_claims(verdicts, folder)
    more = [sheet.stem for sheet in sheets if isinstance(sheet, Sheet)] + ["claims"] * bool(verdicts)
    (folder / "all_tables.tex").write_text(to_latex_document(tables, more))
    scores = score_table(layout)
    write_csv(scores, folder / "scores.csv")
    write_csv(summary_table(scores), folder / "summary.csv")
    write_csv(comparison_table(comparisons), folder / "comparisons.csv")
