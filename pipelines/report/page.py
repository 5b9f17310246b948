"""index.html: one page that opens from disk, without a network, and says everything about a study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from dmf.training.diagnostics import Finding
from pipelines.pages.drawing import Picture
from pipelines.pages.html import new_environment
from pipelines.pages.inline import embedded, picture_uri, policy
from pipelines.papers.wording import row_of
from pipelines.report import environments, pairing
from pipelines.report.claims import CAPTION
from pipelines.report.data import DataFacts
from pipelines.report.explore.contents import contents, read_parts
from pipelines.report.explore.histories import points_of
from pipelines.report.layout import Layout, Row, averaged, mean_score, repeat_of
from pipelines.report.methods import duration, summarise
from pipelines.report.names import HEADLINES, Metric, printed
from pipelines.report.printed.sheet import Unmade
from pipelines.report.results import Results
from pipelines.report.spelled import number, p_value
from pipelines.report.statistics import Comparison, caveat
from pipelines.report.tables import protocols_of
from pipelines.report.tuned import CAPTION as COSTS
from pipelines.trials.record import TrialRecord

MOST_COMPARED = 400
"""Comparisons of a protocol that the page shows; the files hold all."""

STATISTICS = "Statistics"
"""The section about all data sets."""

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Headline:
    """The best configuration of a data set in one score, the row that it is, and its lead over the baseline."""

    label: str
    best: str
    row: int
    protocol: str
    metric: str
    score: str
    baseline: str
    verdict: str


@dataclass(frozen=True)
class WarningLine:
    """A kind of finding of the diagnostics in one configuration; step and message are those of the earliest."""

    dataset: str
    configuration: str
    kind: str
    subject: str
    trials: int
    step: int
    message: str


def render_page(
    results: Results, pictures: Mapping[str, Sequence[Picture]], figures: Path, explored: Mapping[str, Any]
) -> str:
    """The page as HTML text, with the pictures of `figures` in it; other files beside it are named relative to it.

    Args:
        pictures: By data set, and under STATISTICS those about all of them.
        explored: What can be explored of each data set (`pipelines.report.explore.contents`).
    """
    layout, facts, comparisons = results.layout, results.facts, results.comparisons
    environment = new_environment(TEMPLATES)
    css, scripts = read_parts(TEMPLATES)
    environment.globals["inlined"] = lambda picture: picture_uri(figures / f"{picture.name}.png")
    environment.globals |= {"printed": printed, "number": number, "p_value": p_value, "Metric": Metric}
    records = [record for dataset in layout.datasets for row in layout.rows[dataset] for record in row.records]
    return environment.get_template("page.html").render(
        study=results.study,
        layout=layout,
        facts=facts,
        tables=results.tables,
        sheets=[(sheet, isinstance(sheet, Unmade)) for sheet in results.sheets],
        comparisons=comparisons,
        pictures=pictures,
        verdicts=[row_of(verdict) for verdict in results.verdicts],
        claims_caption=CAPTION,
        statistics=results.statistics,
        rank_pictures=pictures[STATISTICS],
        missing=results.missing,
        repeat_of=repeat_of,
        protocols={dataset: protocols_of(layout, facts[dataset]) for dataset in layout.datasets},
        headlines={dataset: _headlines(layout, facts[dataset], comparisons) for dataset in layout.datasets},
        most_compared=MOST_COMPARED,
        caveats={dataset: caveat([c for c in comparisons if c.dataset == dataset]) for dataset in layout.datasets},
        averaged={dataset: averaged(rows) for dataset, rows in layout.rows.items()},
        summary=summarise(records, layout, len(results.missing)),
        findings=_findings(records),
        environments=environments.warning(records),
        unpaired=pairing.warning(records),
        costs=results.costs,
        costs_caption=COSTS,
        duration=duration,
        twins={dataset: twins(layout.rows[dataset]) for dataset in layout.datasets},
        records=records,
        places={
            dataset: {row.configuration: place for place, row in enumerate(rows)}
            for dataset, rows in layout.rows.items()
        },
        css=Markup(css),
        scripts=[Markup(script) for script in scripts],
        policy=policy(scripts, [css]),
        points=points_of(sum(map(len, layout.rows.values()))),
        data=embedded(contents(results.study.name, layout, results.tables, explored)),
        headline_columns=[
            column for task in dict.fromkeys(f.task for f in facts.values()) for column in HEADLINES[task]
        ],
    )


def _headlines(layout: Layout, facts: DataFacts, comparisons: Sequence[Comparison]) -> list[Headline]:
    rows, baseline = layout.rows[facts.name], layout.baseline(facts.name)
    headlines = []
    for protocol, metric, label in HEADLINES[facts.task]:
        finite = [row for row in rows if math.isfinite(mean_score(row, protocol, metric))]
        if not finite:
            continue
        best = max(finite, key=lambda row: mean_score(row, protocol, metric))
        against = next(
            (
                c
                for c in comparisons
                if (c.dataset, c.protocol, c.metric, c.configuration)
                == (facts.name, protocol, metric, best.configuration)
            ),
            None,
        )
        headlines.append(
            Headline(
                label=label,
                best=best.configuration,
                row=rows.index(best),
                protocol=protocol,
                metric=metric,
                score=_percent(best, protocol, metric),
                baseline=_percent(baseline, protocol, metric) if baseline else "not finished",
                verdict=_verdict(best, against) if baseline else "Whether it leads cannot be told yet.",
            )
        )
    return headlines


def _percent(row: Row, protocol: str, metric: str) -> str:
    mean = mean_score(row, protocol, metric)
    return f"{number(mean)} %" if math.isfinite(mean) else "n/a"


def _verdict(best: Row, comparison: Comparison | None) -> str:
    if best.baseline:
        return "The baseline itself is best."
    if comparison is None:
        seeds = "One seed" if len(best.records) == 1 else "Fewer than two seeds in common with the baseline"
        return f"{seeds}: whether the lead is more than luck cannot be told."
    if not math.isfinite(comparison.mean):
        return "A score of the baseline is no number: whether there is a lead cannot be told."
    mean, low, high = (number(value, sign=True) for value in (comparison.mean, comparison.low, comparison.high))
    if not math.isfinite(comparison.p_t):
        return f"{mean} points in all {comparison.seeds} pairs: without spread it cannot be told whether that is luck."
    interval = f"{mean} points, 95 % interval {low} to {high}"
    if comparison.across_environments:
        interval += f" (‡ {comparison.across_environments} of {comparison.seeds} pairs)"
    if not comparison.clear:
        return f"{interval}: not told apart from no difference."
    return f"{interval}: the interval excludes zero, without allowance for having picked the best of many."


def _findings(records: Sequence[TrialRecord]) -> list[WarningLine]:
    """What the diagnostics found, in how many trials of each configuration, and when first."""
    grouped: dict[tuple[str, str, str, str], list[Finding]] = {}
    for record in records:
        for finding in record.diagnostics:
            key = (record.spec.dataset, record.configuration, finding.kind, finding.subject)
            grouped.setdefault(key, []).append(finding)
    return [
        WarningLine(*key, trials=len(found), step=first.step, message=first.message)
        for key, found in grouped.items()
        for first in [min(found, key=lambda finding: finding.step)]
    ]


def twins(rows: Sequence[Row]) -> list[list[str]]:
    """Configurations that agree in every test score and the weights of every seed: one training under two names."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        found = repr([(repeat_of(record.spec), record.digests.weights, record.test) for record in row.records])
        groups.setdefault(found, []).append(row.configuration)
    return [names for names in groups.values() if len(names) > 1]
