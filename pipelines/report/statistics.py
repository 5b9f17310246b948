"""Is a configuration better than the baseline, or luckier? Differences paired by repeat: seed and fold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from pipelines.papers.inference import holm
from pipelines.report.data import DataFacts
from pipelines.report.environments import pairs_across
from pipelines.report.layout import Layout, Row, repeat_of
from pipelines.report.names import Metric
from pipelines.report.tables import metrics_of, protocols_of

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Comparison:
    """A configuration against the baseline in one metric: d_s = score(s) - baseline(s) for every seed s they share.

    Differences are on the printed scale (percentage points, or pixels). Intervals are 95 %, for the mean difference:
    `low, high` from Student's t (assumes roughly normal differences), `bootstrap_low, bootstrap_high` from the
    percentiles of resampled seeds. `p_holm_*` are corrected over the configurations of one data set, protocol and
    metric. `across_environments` of the pairs were trained on machines or libraries that may give other digits.
    """

    dataset: str
    protocol: str
    metric: str
    configuration: str
    baseline: str
    differences: tuple[float, ...]
    mean: float
    low: float
    high: float
    bootstrap_low: float
    bootstrap_high: float
    p_t: float
    p_wilcoxon: float
    p_holm_t: float = math.nan
    p_holm_wilcoxon: float = math.nan
    across_environments: int = 0

    @property
    def seeds(self) -> int:
        return len(self.differences)

    @property
    def clear(self) -> bool:
        """Whether the t interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def compare(layout: Layout, facts: Mapping[str, DataFacts]) -> list[Comparison]:
    """Every configuration against the baseline, on every data set, protocol and metric; needs two seeds or more."""
    found: list[Comparison] = []
    for dataset in layout.datasets:
        baseline = layout.baseline(dataset)
        others = [row for row in layout.rows[dataset] if not row.baseline]
        across = [pairs_across(row, baseline) for row in others]
        for protocol, text in protocols_of(layout, facts[dataset]).items():
            for metric in metrics_of(text, protocol, baseline):
                pairs = zip(others, across, strict=True)
                family = [_compare_one(row, baseline, protocol, metric, number) for row, number in pairs]
                found += _correct([comparison for comparison in family if comparison is not None])
    return found


def comparison_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One row a comparison, for CSV."""
    columns = [field.name for field in dataclasses.fields(Comparison)]
    table = pd.DataFrame([dataclasses.asdict(comparison) for comparison in comparisons], columns=columns)
    table["differences"] = [" ".join(f"{d:.6g}" for d in comparison.differences) for comparison in comparisons]
    table.insert(5, "seeds", [comparison.seeds for comparison in comparisons])
    return table


def smallest_wilcoxon_p(seeds: int) -> float:
    """The smallest two-sided p a signed-rank test of n pairs can give: all signs equal, 2 of 2^n sign patterns.

    It is also the share of cases in which no interval between the smallest and the largest of n differences, and so
    no percentile bootstrap, holds the median difference.
    """
    return min(1.0, 2.0 ** (1 - seeds))


def caveat(seeds: int) -> str:
    """What so many seeds can and cannot show."""
    if seeds < 2:
        return "With one seed nothing can be said about spread: differences are not tested."
    smallest = smallest_wilcoxon_p(seeds)
    text = (
        f"With {seeds} paired seeds the signed-rank test cannot give a p below {smallest:.3g} before correction, "
        f"and the bootstrap interval, which never leaves the range of the {seeds} differences, covers the median "
        f"difference in at most {100 * (1 - smallest):.3g} % of cases."
    )
    if smallest > 1 - LEVEL:
        text += " So read the t intervals and the single seeds, not the p-values; a claim needs more seeds."
    return text


def _compare_one(row: Row, baseline: Row, protocol: str, metric: Metric, across: int) -> Comparison | None:
    ours, theirs = (_by_repeat(r, protocol, metric) for r in (row, baseline))
    shared = sorted(ours.keys() & theirs.keys())
    if len(shared) < 2:
        return None
    differences = np.array([ours[repeat] - theirs[repeat] for repeat in shared])
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(len(shared))
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, len(shared) - 1)) * error
    picks = np.random.default_rng(0).integers(len(shared), size=(RESAMPLES, len(shared)))
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    bootstrap_low, bootstrap_high = np.quantile(differences[picks].mean(axis=1), tails).tolist()
    return Comparison(
        dataset=row.dataset,
        protocol=protocol,
        metric=metric.name,
        configuration=row.configuration,
        baseline=baseline.configuration,
        differences=tuple(differences.tolist()),
        mean=mean,
        low=mean - reach,
        high=mean + reach,
        bootstrap_low=bootstrap_low,
        bootstrap_high=bootstrap_high,
        p_t=2 * float(stats.t.sf(abs(mean) / error, len(shared) - 1)) if error > 0 else math.nan,
        p_wilcoxon=_wilcoxon(differences),
        across_environments=across,
    )


def _wilcoxon(differences: np.ndarray) -> float:
    if not np.isfinite(differences).all():
        return math.nan
    nonzero = differences[differences != 0]
    if not len(nonzero):
        return 1.0
    return float(stats.wilcoxon(nonzero).pvalue)


def _by_repeat(row: Row, protocol: str, metric: Metric) -> dict[tuple[int, str], float]:
    return {
        repeat_of(record.spec): record.test[protocol].get(metric.name, math.nan) * metric.scale
        for record in row.records
    }


def _correct(family: Sequence[Comparison]) -> list[Comparison]:
    by_t, by_wilcoxon = (holm([getattr(c, name) for c in family]) for name in ("p_t", "p_wilcoxon"))
    return [
        dataclasses.replace(c, p_holm_t=t, p_holm_wilcoxon=w) for c, t, w in zip(family, by_t, by_wilcoxon, strict=True)
    ]
