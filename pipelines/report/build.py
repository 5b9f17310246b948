"""The whole report: tables, figures and page, built beside the earlier one and put in its place when complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from pipelines.core.console import track
from pipelines.core.files import replaced
from pipelines.pages.drawing import Picture
from pipelines.papers.described import described
from pipelines.papers.evidence import Evidence, Truth
from pipelines.papers.kinds import Outcome
from pipelines.papers.verdict import Verdict, judge
from pipelines.report.claims import write_claims
from pipelines.report.confusion import draw_confusion, draw_gallery
from pipelines.report.crate import write_crate
from pipelines.report.crowded import drawable, told
from pipelines.report.curves import draw_convergence, draw_noise, draw_validation
from pipelines.report.data import DataFacts
from pipelines.report.document.document import write_document
from pipelines.report.forest import draw_forest
from pipelines.report.histories import draw_losses, draw_weights
from pipelines.report.layout import Layout, lay_out
from pipelines.report.missing import reason
from pipelines.report.numbers import write_numbers
from pipelines.report.page import StudyFacts, render_page
from pipelines.report.panel import draw_panel
from pipelines.report.printed.make import make_sheets, write_sheets
from pipelines.report.printed.matching import Trials
from pipelines.report.printed.sheet import Sheet, Unmade
from pipelines.report.statistics import Comparison, compare, comparison_table
from pipelines.report.statistics.diagram import draw_ranks
from pipelines.report.statistics.make import Statistics, make_statistics, write_statistics
from pipelines.report.tables import Table, build_tables
from pipelines.report.tidy import missing_table, score_table, summary_table, write_csv
from pipelines.report.tuned import costs_of, write_costs
from pipelines.report.writers import to_latex, to_latex_document, to_markdown
from pipelines.trials.bundle import write_bundle
from pipelines.trials.finished import read_finished, read_trials
from pipelines.trials.plan import PlannedTrial


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

    The same trials give the same bytes.

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
    sheets: list[Sheet | Unmade]
    if missing:
        why = reason(missing, len(records))
        verdicts = [Verdict(claim, study.name, Outcome.NOT_TESTED, why) for claim in study.claims]
        sheets = [Unmade(name, described(name).number, why) for name in study.tables]
    else:
        truths = {name: Truth(f.cases, f.truths) for name, f in facts.items() if f.task == "segmentation"}
        verdicts = [judge(claim, study.name, Evidence(tuple(records), baseline, truths)) for claim in study.claims]
        sheets = make_sheets(study.tables, Trials(records, facts))
    comparisons = compare(layout, facts)
    tested = {(c.dataset, c.protocol, c.metric, c.configuration): c.p_holm_t for c in comparisons}
    tables = build_tables(layout, facts, tested, missing)
    costs = costs_of(layout, facts)
    statistics = make_statistics(layout, facts, comparisons, study.equivalence)
    target = reports / study.name
    with replaced(target, beside=reports) as folder:
        _write_tables(layout, tables, sheets, comparisons, verdicts, statistics, folder / "tables")
        write_costs(layout, costs, folder / "tables")
        if missing:
            write_csv(missing_table(missing), folder / "tables" / "missing.csv")
        pictures = {
            dataset: _draw(layout, facts[dataset], comparisons, folder / "figures")
            for dataset in track(layout.datasets, "drawing", unit="data sets")
        }
        drawn = (draw_ranks(placed, folder / "figures") for placed in statistics.standings)
        ranks = [picture for picture in drawn if picture is not None]
        write_bundle(records, images, folder)
        page = render_page(
            study,
            layout,
            facts,
            tables,
            sheets,
            comparisons,
            pictures,
            verdicts,
            costs,
            statistics,
            ranks,
            folder / "figures",
            missing,
        )
        (folder / "index.html").write_text(page)
        write_numbers(layout, facts, folder)
        sections = {name: [table.name for table in tables if table.dataset == name] for name in layout.datasets}
        sections |= {
            "Statistics": statistics.names,
            "Claims": ["claims"] * bool(verdicts),
            "The papers' tables": [sheet.stem for sheet in sheets if isinstance(sheet, Sheet)],
        }
        pictures["Statistics"] = ranks
        write_document(folder, study.title, layout, facts, sections, pictures, missing=len(missing))
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


def _write_tables(
    layout: Layout,
    tables: Sequence[Table],
    sheets: Sequence[Sheet | Unmade],
    comparisons: Sequence[Comparison],
    verdicts: Sequence[Verdict],
    statistics: Statistics,
    folder: Path,
) -> None:
    folder.mkdir(parents=True)
    write_statistics(statistics, folder)
    for table in tables:
        (folder / f"{table.name}.tex").write_text(to_latex(table))
        (folder / f"{table.name}.md").write_text(to_markdown(table))
    write_sheets(sheets, folder)
    if verdicts:
        write_claims(verdicts, folder)
    more = [sheet.stem for sheet in sheets if isinstance(sheet, Sheet)] + ["claims"] * bool(verdicts) + statistics.names
    (folder / "all_tables.tex").write_text(to_latex_document(tables, more))
    scores = score_table(layout)
    write_csv(scores, folder / "scores.csv")
    write_csv(summary_table(scores), folder / "summary.csv")
    write_csv(comparison_table(comparisons), folder / "comparisons.csv")
