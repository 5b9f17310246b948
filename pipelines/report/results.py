"""All that a report says of a study, worked out once for its tables, its page and its document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.papers.claim import Claim
from pipelines.papers.described import described
from pipelines.papers.evidence import Evidence, Truth
from pipelines.papers.kinds import Outcome
from pipelines.papers.verdict import Verdict, judge
from pipelines.report.data import DataFacts
from pipelines.report.layout import Layout
from pipelines.report.missing import reason
from pipelines.report.printed.make import make_sheets
from pipelines.report.printed.matching import Trials
from pipelines.report.printed.sheet import Sheet, Unmade
from pipelines.report.statistics import Comparison
from pipelines.report.statistics.make import Statistics, make_statistics
from pipelines.report.tables import Table, build_tables
from pipelines.report.tuned import Cost, costs_of
from pipelines.trials.finished import Missing
from pipelines.trials.record import TrialRecord


@dataclass(frozen=True)
class StudyFacts:
    """What is known of the study beside its trials: title, left-out combinations with their reason, claims about it,
    the papers' tables that it makes, and the difference (a share of 1) up to which scores count as equal.
    """

    name: str
    title: str
    skipped: Sequence[tuple[str, str]]
    claims: Sequence[Claim] = ()
    tables: Sequence[str] = ()
    equivalence: float = 0.005


@dataclass(frozen=True)
class Results:
    """What is printed, drawn and written out.

    Attributes:
        facts: By data set name.
        sheets: The papers' tables, or why one cannot be made.
        missing: Cells without a result; while there are any, no claim has a verdict.
    """

    study: StudyFacts
    layout: Layout
    facts: Mapping[str, DataFacts]
    comparisons: Sequence[Comparison]
    tables: Sequence[Table]
    sheets: Sequence[Sheet | Unmade]
    verdicts: Sequence[Verdict]
    costs: Sequence[Cost]
    statistics: Statistics
    missing: Sequence[Missing]


def work_out(
    study: StudyFacts,
    records: Sequence[TrialRecord],
    baseline: str,
    layout: Layout,
    facts: Mapping[str, DataFacts],
    comparisons: Sequence[Comparison],
    missing: Sequence[Missing],
) -> Results:
    """The results of finished trials, given in the study's order; `baseline` is the name of a configuration."""
    sheets: list[Sheet | Unmade]
    if missing:
        why = reason(missing, len(records))
        verdicts = [Verdict(claim, study.name, Outcome.NOT_TESTED, why) for claim in study.claims]
        sheets = [Unmade(name, described(name).number, why) for name in study.tables]
    else:
        truths = {name: Truth(f.cases, f.truths) for name, f in facts.items() if f.task == "segmentation"}
        verdicts = [judge(claim, study.name, Evidence(tuple(records), baseline, truths)) for claim in study.claims]
        sheets = make_sheets(study.tables, Trials(records, facts))
    tested = {(c.dataset, c.protocol, c.metric, c.configuration): c.p_holm_t for c in comparisons}
    return Results(
        study=study,
        layout=layout,
        facts=facts,
        comparisons=comparisons,
        tables=build_tables(layout, facts, tested, missing),
        sheets=sheets,
        verdicts=verdicts,
        costs=costs_of(layout, facts),
        statistics=make_statistics(layout, facts, comparisons, study.equivalence),
        missing=missing,
    )
