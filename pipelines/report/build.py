"""The whole report: tables, figures and page, built beside the earlier one and put in its place when complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from pipelines.core.background import in_background
from pipelines.core.files import replaced
from pipelines.pages.drawing import Picture
from pipelines.report.claims import write_claims
from pipelines.report.confusion import draw_confusion, draw_gallery
from pipelines.report.crate import write_crate
from pipelines.report.crowded import drawable, told
from pipelines.report.curves import draw_convergence, draw_noise, draw_validation
from pipelines.report.data import DataFacts
from pipelines.report.document.document import write_document
from pipelines.report.explore.contents import explore
from pipelines.report.forest import draw_forest
from pipelines.report.histories import draw_losses, draw_weights
from pipelines.report.layout import Layout, lay_out
from pipelines.report.numbers import write_numbers
from pipelines.report.page import STATISTICS, render_page
from pipelines.report.panel import draw_panel
from pipelines.report.printed.make import write_sheets
from pipelines.report.printed.sheet import Sheet
from pipelines.report.results import Results, StudyFacts, work_out
from pipelines.report.statistics import Comparison, compare, comparison_table
from pipelines.report.statistics.diagram import draw_ranks
from pipelines.report.statistics.make import write_statistics
from pipelines.report.tidy import missing_table, score_table, summary_table, write_csv
from pipelines.report.tuned import write_costs
from pipelines.report.writers import to_latex, to_latex_document, to_markdown
from pipelines.trials.bundle import write_bundle
from pipelines.trials.finished import read_finished, read_trials
from pipelines.trials.plan import PlannedTrial

CLAIMS, SHEETS = "Claims", "The papers' tables"
"""Sections of the document that are about all data sets, beside `STATISTICS`."""


def build_report(
    study: StudyFacts,
    planned: Sequence[PlannedTrial],
    baseline: str,
    facts: Mapping[str, DataFacts],
    reports: Path,
    images: Mapping[str, pd.DataFrame] = MappingProxyType({}),
    *,
    partial: bool = False,
) -> Path:
    """Write `reports`/<study>/: index.html, tables/, figures/, records.tar.zst, and a crate that lists them.

    The same trials give the same bytes. What is explored in the page, and the figures and records, are
    made in processes of their own (`in_background`).

    Args:
        planned: exactly the trials that the study enumerates.
        baseline: configuration that the others are compared with.
        facts: by data set name.
        images: tables of the prepared images, for the records that the report carries (`pipelines.trials.bundle`).
        partial: report what has finished while trials are missing, say so, and give no claim a verdict.

    Raises:
        StageError: if a trial is missing or a file damaged; the earlier report is left as it was.
    """
    records, missing = read_finished(planned) if partial else (read_trials(planned), [])
    layout = lay_out(records, baseline, missing)
    target = reports / study.name

    def illustrate() -> dict[str, list[Picture]]:
        figures = folder / "figures"
        drawn = {dataset: _draw(layout, facts[dataset], comparisons, figures) for dataset in layout.datasets}
        write_bundle(records, images, folder)
        return drawn

    with replaced(target, beside=reports) as folder, in_background(lambda: explore(layout, facts)) as explored:
        comparisons = compare(layout, facts)
        with in_background(illustrate) as illustrated:
            results = work_out(study, records, baseline, layout, facts, comparisons, missing)
            _write_tables(results, folder / "tables")
            ranks = [draw_ranks(placed, folder / "figures") for placed in results.statistics.standings]
            pictures = illustrated() | {STATISTICS: [picture for picture in ranks if picture is not None]}
        (folder / "index.html").write_text(render_page(results, pictures, folder / "figures", explored()))
        write_numbers(layout, facts, folder)
        write_document(folder, study.title, layout, facts, _sections(results), pictures, missing=len(missing))
        write_crate(folder, study.title, records)
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


def _write_tables(results: Results, folder: Path) -> None:
    folder.mkdir(parents=True)
    write_statistics(results.statistics, folder)
    for table in results.tables:
        (folder / f"{table.name}.tex").write_text(to_latex(table))
        (folder / f"{table.name}.md").write_text(to_markdown(table))
    write_sheets(results.sheets, folder)
    if results.verdicts:
        write_claims(results.verdicts, folder)
    more = [name for heading in (SHEETS, CLAIMS, STATISTICS) for name in _sections(results)[heading]]
    (folder / "all_tables.tex").write_text(to_latex_document(results.tables, more))
    scores = score_table(results.layout)
    write_csv(scores, folder / "scores.csv")
    write_csv(summary_table(scores), folder / "summary.csv")
    write_csv(comparison_table(results.comparisons), folder / "comparisons.csv")
    write_costs(results.layout, results.costs, folder)
    if results.missing:
        write_csv(missing_table(results.missing), folder / "missing.csv")


def _sections(results: Results) -> dict[str, list[str]]:
    """Names of the tables, by the section of the document that has them."""
    return {
        **{name: [table.name for table in results.tables if table.dataset == name] for name in results.layout.datasets},
        STATISTICS: results.statistics.names,
        CLAIMS: ["claims"] * bool(results.verdicts),
        SHEETS: [sheet.stem for sheet in results.sheets if isinstance(sheet, Sheet)],
    }
