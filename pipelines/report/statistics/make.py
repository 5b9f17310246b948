"""All statistics of a study's headline scores, as tables to read and as CSV."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.papers.inference import MOST
from pipelines.report.data import DataFacts
from pipelines.report.latex import breakable, escape_latex, row, table_environment
from pipelines.report.layout import Layout, averaged
from pipelines.report.spelled import number
from pipelines.report.statistics.comparisons import Comparison
from pipelines.report.statistics.practical import Practical, judge_practically
from pipelines.report.statistics.ranks import Standings, standings
from pipelines.report.statistics.scores import Scores, headline_scores
from pipelines.report.statistics.winner import Wins, count_wins
from pipelines.report.tidy import write_csv

NONE = "–"


@dataclass(frozen=True)
class TextTable:
    """A table of words and numbers for reading; `dataset` is empty where it is about all."""

    name: str
    dataset: str
    title: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Statistics:
    """Tables to read, standings over data sets, and what the CSV files hold, by name."""

    tables: tuple[TextTable, ...]
    standings: tuple[Standings, ...]
    files: Mapping[str, pd.DataFrame]

    @property
    def names(self) -> list[str]:
        return [table.name for table in self.tables]


def make_statistics(
    layout: Layout, facts: Mapping[str, DataFacts], comparisons: Sequence[Comparison], equivalence: float
) -> Statistics:
    """Everything about the headline scores; differences within `equivalence` (a share of 1) are no difference."""
    found = [*headline_scores(layout, facts)]
    placed = [*standings(found)]
    effects = {(c.dataset, c.protocol, c.metric, c.configuration): c for c in comparisons}
    tables, rows = [], []
    for scores in found:
        practical = {one.configuration: one for one in judge_practically(scores, 100 * equivalence)}
        wins = count_wins(scores)
        if wins:
            about = averaged(layout.rows[scores.dataset])
            tables.append(_table(scores, practical, wins, effects, 100 * equivalence, about))
        rows += [*_rows(scores, practical, wins)]
    return Statistics(
        tables=(*tables, *(_ranking(one) for one in placed)),
        standings=tuple(placed),
        files={
            "statistics": pd.DataFrame(rows, columns=_COLUMNS),
            "standings": pd.DataFrame([_head(one) | dataclasses.asdict(line) for one in placed for line in one.lines]),
            "nemenyi": pd.DataFrame(
                [_head(one) | {"one": a, "other": b, "p": p} for one in placed for a, b, p in _pairs(one.nemenyi)],
                columns=["protocol", "metric", "one", "other", "p"],
            ),
        },
    )


def write_statistics(statistics: Statistics, folder: Path) -> None:
    """CSV files, and each table as LaTeX."""
    for name, frame in statistics.files.items():
        write_csv(frame, folder / f"{name}.csv")
    for table in statistics.tables:
        (folder / f"{table.name}.tex").write_text(to_latex(table))


def to_latex(table: TextTable) -> str:
    """A `table` environment; \\label is tab:<name>."""
    heads = row(rf"\begin{{tabular}}[b]{{@{{}}l@{{}}}}{_stacked(head)}\end{{tabular}}" for head in table.heads)
    columns = "p{5.5cm}" + r"@{\quad}r" * (len(table.heads) - 1)
    body = (row([rf"\raggedright {breakable(line[0])}", *map(escape_latex, line[1:])]) for line in table.rows)
    return table_environment(table.name, table.caption, columns, [heads], body)


def _stacked(head: str) -> str:
    return r" \\ ".join(map(escape_latex, head.split("\n")))


def _table(
    scores: Scores,
    practical: Mapping[str, Practical],
    wins: Sequence[Wins],
    effects: Mapping[tuple[str, str, str, str], Comparison],
    margin: float,
    about: str,
) -> TextTable:
    base = scores.configurations[scores.baseline] if scores.baseline is not None else None
    mixed = any(math.isfinite(one.mixed.mean) for one in practical.values())
    heads = ["Configuration", "Mean", "Effect size g", "P worse, same,\nbetter", "P(improvement)", "Seeds needed"]
    heads += ["Over seeds\nand images"] * mixed + ["Best of all, in %:\nseeds, images, both"]
    rows = []
    for win in wins:
        name = win.configuration
        cells = [f"{name} (baseline)" if name == base else name, number(win.mean)]
        one, effect = practical.get(name), effects.get((scores.dataset, scores.protocol, scores.metric, name))
        if one and effect:
            cells += [
                _interval(effect.effect, effect.effect_low, effect.effect_high, 1, sign=True),
                ", ".join(_known(p) for p in (one.worse, one.equal, one.better)),
                _interval(one.improvement, one.improvement_low, one.improvement_high),
                f"{_needed(one.needed)}, {_needed(one.needed_margin)}",
                *([_interval(one.mixed.mean, one.mixed.low, one.mixed.high, sign=True)] if mixed else []),
            ]
        else:
            cells += [NONE] * (4 + mixed)
        cells.append(", ".join(_known(100 * p, 0) for p in (win.seeds, win.images, win.both)))
        rows.append(tuple(cells))
    none = " n/a: the score of a trial is no number." * any(math.isnan(win.mean) for win in wins)
    return TextTable(
        f"statistics_{scores.name}",
        scores.dataset,
        f"{scores.label}: large enough to matter, and best again?",
        _caption(scores.label, margin, about + none, mixed=mixed),
        tuple(heads),
        tuple(rows),
    )


def _caption(label: str, margin: float, about: str, *, mixed: bool) -> str:
    over = (
        " Over seeds and images: difference, 95 % interval, from a model with random seeds and test images, on at most "
        "the degrees of freedom of the seeds."
    ) * mixed
    return (
        f"{label}, in percent, best mean first.{about} Effect size: Hedges' g of the "
        "differences to the baseline, paired by repeat, with its 95 % interval. P worse, same, better: probability "
        f"that the mean difference lies below, within and above ± {margin:g} points (Bayesian t test, flat prior). "
        "P(improvement): how often one training beats one of the baseline, 95 % bootstrap interval. Seeds needed: for "
        "80 % power of the paired t test at the observed spread, first for the observed difference, then for one of "
        f"{margin:g} points.{over} Best of all: in which share of bootstrap resamples of seeds, of test images and of "
        "both it has the best mean."
    )


def _ranking(placed: Standings) -> TextTable:
    where = f"{placed.number} {placed.blocks}"
    left = f" Left out, as a trial or its score is missing: {', '.join(placed.left_out)}." if placed.left_out else ""
    iqm = "mean of the middle half of all scores" if placed.cut else "mean of all scores, too few to leave any out,"
    return TextTable(
        f"standings_{placed.name}",
        "",
        f"{placed.label}: ranks over {where}",
        f"{placed.label}, over {', '.join(placed.datasets)}.{left} Rank: mean over {where}, 1 is best."
        f"{placed.friedman} IQM: {iqm} over data sets and repeats, in percent, with its 95 % interval by bootstrap "
        "stratified by data set. P(improvement): how often a training beats one of the baseline, mean over data sets.",
        ("Configuration", "Rank", "IQM", "P(improvement)"),
        tuple(
            (
                line.configuration,
                f"{line.rank:.2f}",
                _interval(line.iqm, line.low, line.high),
                _interval(line.improvement, line.improvement_low, line.improvement_high),
            )
            for line in placed.lines
        ),
    )


_COLUMNS = (
    *("dataset", "protocol", "metric", "mean"),
    *(field.name for field in dataclasses.fields(Practical) if field.name != "mixed"),
    *("mixed_mean", "mixed_low", "mixed_high", "mixed_p", "mixed_seeds", "mixed_images", "mixed_rest"),
    *("wins_seeds", "wins_images", "wins_both"),
)


def _rows(scores: Scores, practical: Mapping[str, Practical], wins: Sequence[Wins]) -> Iterator[dict[str, Any]]:
    won = {one.configuration: one for one in wins}
    for name in scores.configurations:
        one, win = practical.get(name), won.get(name)
        line: dict[str, Any] = {"dataset": scores.dataset, "protocol": scores.protocol, "metric": scores.metric}
        line |= {"configuration": name}
        if one:
            fitted = {f"mixed_{key}": value for key, value in vars(one.mixed).items()}
            line |= {**vars(one), **fitted}
        if win:
            line |= {"wins_seeds": win.seeds, "wins_images": win.images, "wins_both": win.both, "mean": win.mean}
        yield line


def _head(placed: Standings) -> dict[str, str]:
    return {"protocol": placed.protocol, "metric": placed.metric}


def _pairs(nemenyi: pd.DataFrame) -> Iterator[tuple[str, str, float]]:
    names = list(nemenyi.index)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            yield one, other, float(nemenyi.loc[one, other])


def _known(value: float, digits: int = 2, *, sign: bool = False) -> str:
    return number(value, digits, sign) if math.isfinite(value) else NONE


def _interval(value: float, low: float, high: float, digits: int = 2, *, sign: bool = False) -> str:
    ends = f" [{number(low, digits, sign)}, {number(high, digits, sign)}]" if math.isfinite(low) else ""
    return _known(value, digits, sign=sign) + ends


def _needed(repeats: float | None) -> str:
    return f"> {MOST:,}" if repeats is None else NONE if math.isnan(repeats) else f"{repeats:,}"
