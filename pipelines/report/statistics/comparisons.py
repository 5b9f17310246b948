"""Is a configuration better than the baseline, or luckier? Differences paired by seed, or by fold."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import special, stats

from pipelines.papers.inference import LEVEL, holm, without_spread
from pipelines.report.data import DataFacts
from pipelines.report.environments import repeats_across
from pipelines.report.layout import Layout, Repeat, Row, repeat_of
from pipelines.report.names import Metric
from pipelines.report.tables import metrics_of, protocols_of

RESAMPLES = 2_000
TAIL = (1 - LEVEL) / 2
LARGEST = 1_000.0
"""A t beyond which the interval of an effect is that of this one in proportion: its ends take seconds to find."""
_RECKONED = (
    *("mean", "low", "high", "p_t", "bootstrap_low", "bootstrap_high", "p_wilcoxon"),
    *("effect", "effect_low", "effect_high"),
)
Intervals = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Comparison:
    """A configuration against the baseline in one metric: d_s = score(s) - baseline(s) for every seed s they share.

    In a cross-validation s is a fold, and scores are means over its seeds (`independent`). Differences are on the
    printed scale (percentage points, or pixels). Intervals are 95 %, for the mean difference: `low, high` from
    Student's t (assumes roughly normal differences), `bootstrap_low, bootstrap_high` from the percentiles of resampled
    seeds. `p_holm_*` are corrected over the configurations of one data set, protocol and
    metric. `effect` is the difference in its own standard deviations, see `effect_sizes`. `across_environments` of the
    pairs were trained on machines or libraries that may give other digits.
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
    effect: float = math.nan
    effect_low: float = math.nan
    effect_high: float = math.nan
    across_environments: int = 0

    @property
    def seeds(self) -> int:
        return len(self.differences)

    @property
    def clear(self) -> bool:
        """Whether the t interval lies on one side of zero; one without a spread does not tell."""
        return math.isfinite(self.p_t) and (self.low > 0 or self.high < 0)


def compare(layout: Layout, facts: Mapping[str, DataFacts]) -> list[Comparison]:
    """Every configuration against the baseline, on every data set, protocol and metric; needs two seeds or more."""
    found: list[Comparison] = []
    for dataset in layout.datasets:
        baseline = layout.baseline(dataset)
        if baseline is None:
            continue
        others = [row for row in layout.rows[dataset] if not row.baseline]
        across = {row.configuration: repeats_across(row, baseline) for row in others}
        for protocol, text in protocols_of(layout, facts[dataset]).items():
            for metric in metrics_of(text, protocol, [baseline]):
                family = [*_family(others, baseline, protocol, metric, across)]
                by_t, by_wilcoxon = holm([c.p_t for c in family]), holm([c.p_wilcoxon for c in family])
                found += [
                    dataclasses.replace(one, p_holm_t=t, p_holm_wilcoxon=w)
                    for one, t, w in zip(family, by_t, by_wilcoxon, strict=True)
                ]
    return found


def comparison_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One row a comparison, for CSV."""
    columns = [field.name for field in dataclasses.fields(Comparison)]
    table = pd.DataFrame([vars(comparison) for comparison in comparisons], columns=columns)
    table["differences"] = [" ".join(f"{d:.6g}" for d in comparison.differences) for comparison in comparisons]
    table.insert(5, "seeds", [comparison.seeds for comparison in comparisons])
    return table


def smallest_wilcoxon_p(seeds: int) -> float:
    """The smallest two-sided p a signed-rank test of n pairs can give: all signs equal, 2 of 2^n sign patterns.

    It is also the share of cases in which no interval between the smallest and the largest of n differences, and so
    no percentile bootstrap, holds the median difference.
    """
    return min(1.0, 2.0 ** (1 - seeds))


def caveat(comparisons: Sequence[Comparison]) -> str:
    """What the fewest pairs of these can and cannot show."""
    pairs = min((one.seeds for one in comparisons), default=0)
    if not pairs:
        return (
            "Differences are not tested: no two seeds are shared with the baseline, so nothing tells of their spread."
        )
    smallest = smallest_wilcoxon_p(pairs)
    text = (
        f"With {pairs} pairs the signed-rank test cannot give a p below {smallest:.3g} before correction, "
        f"and the bootstrap interval, which never leaves the range of the {pairs} differences, covers the median "
        f"difference in at most {100 * (1 - smallest):.3g} % of cases."
    )
    if smallest > 1 - LEVEL:
        text += " So read the t intervals and the single differences, not the p-values; a claim needs more pairs."
    return text


def scores_of(row: Row, protocol: str, metric: Metric) -> dict[Repeat, float]:
    """A configuration's test score in each repeat that has the protocol, on the printed scale.

    A score that was not measured is no number.
    """
    return {
        repeat_of(record.spec): record.test[protocol].get(metric.name, math.nan) * metric.scale
        for record in row.records
        if protocol in record.test
    }


def paired_tests(differences: Float[np.ndarray, "C S"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper ends of the t intervals, and p of the paired t test; p of differences without spread is none."""
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():  # no spread
        warnings.simplefilter("ignore", RuntimeWarning)
        tested = stats.ttest_1samp(differences, 0, axis=1)
        interval = tested.confidence_interval(LEVEL)
    mean = differences.mean(axis=1)
    still = without_spread(differences)
    low, high, p = (
        np.where(still, instead, value)
        for instead, value in ((mean, interval.low), (mean, interval.high), (math.nan, tested.pvalue))
    )
    return low, high, p


def effect_sizes(differences: Float[np.ndarray, "C S"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hedges' g of paired differences, and the ends of its 95 % interval.

    g = J(n - 1) mean / std (ddof = 1), Cohen's d_z mended for few pairs by
    J(m) = Γ(m / 2) / (√(m / 2) Γ((m - 1) / 2)). The interval holds every effect under which the observed t is no
    surprise: noncentralities at which it is the 97.5th and the 2.5th percentile, divided by √n, times J.
    """
    n = differences.shape[1]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        d = differences.mean(axis=1) / differences.std(axis=1, ddof=1)
        t = np.nan_to_num(d * math.sqrt(n))
        beyond = np.maximum(1, np.abs(t) / LARGEST)
        low, high = (beyond * special.nctdtrinc(n - 1, tail, t / beyond) / math.sqrt(n) for tail in (1 - TAIL, TAIL))
    freedom = n - 1
    correction = 1.0
    if freedom > 1:
        log = special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2) - math.log(freedom / 2) / 2
        correction = math.exp(log)
    vain = without_spread(differences) | ~np.isfinite(d)
    return tuple(np.where(vain, math.nan, correction * value) for value in (d, low, high))  # type: ignore[return-value]


def bootstrap_intervals(differences: Float[np.ndarray, "C S"]) -> Intervals:
    """Percentile bootstrap of the mean difference over the same resampled seeds for all configurations."""
    batch = max(1, 20_000_000 // differences.size)
    drawn = stats.bootstrap(
        (differences,), np.mean, axis=1, n_resamples=RESAMPLES, batch=batch, method="percentile", rng=0
    )
    interval = drawn.confidence_interval
    return np.atleast_1d(interval.low), np.atleast_1d(interval.high)


def signed_rank_p(differences: Float[np.ndarray, "C S"]) -> np.ndarray:
    """p of Wilcoxon's signed-rank test, differences of zero left aside; 1 where there is no other."""
    p = np.full(len(differences), math.nan)
    for place in np.flatnonzero(np.isfinite(differences).all(axis=1)):  # one by one: ties in one would change all
        nonzero = differences[place][differences[place] != 0]
        p[place] = stats.wilcoxon(nonzero).pvalue if len(nonzero) else 1.0
    return p


def independent(repeats: Sequence[Repeat], values: Float[np.ndarray, "*C R"]) -> Float[np.ndarray, "*C S"]:
    """Values that can count as drawn independently: those of the seeds, or of each fold the mean over its seeds.

    Seeds of a fold share its test images and what they say of two configurations, so that tests on seeds times folds
    find differences where there are none.
    """
    folds = dict.fromkeys(fold for _, fold in repeats)
    if len(folds) < 2:
        return values
    members = ([place for place, (_, fold) in enumerate(repeats) if fold == one] for one in folds)
    return np.stack([values[..., places].mean(axis=-1) for places in members], axis=-1)


def _family(
    rows: Sequence[Row], baseline: Row, protocol: str, metric: Metric, across: Mapping[str, Set[Repeat]]
) -> Iterator[Comparison]:
    """Comparisons of one score in the order of the rows; those that share the same repeats are reckoned together."""
    theirs = scores_of(baseline, protocol, metric)
    groups: dict[tuple[Repeat, ...], list[tuple[Row, list[float]]]] = {}
    for row in rows:
        ours = scores_of(row, protocol, metric)
        shared = tuple(sorted(ours.keys() & theirs.keys()))
        if len(shared) > 1:
            groups.setdefault(shared, []).append((row, [ours[repeat] - theirs[repeat] for repeat in shared]))
    found = {}
    for shared, members in groups.items():
        differences = independent(shared, np.array([one for _, one in members]))
        columns = (
            differences.mean(axis=1),
            *paired_tests(differences),
            *bootstrap_intervals(differences),
            signed_rank_p(differences),
            *effect_sizes(differences),
        )
        for (row, _), one, values in zip(members, differences.tolist(), np.transpose(columns).tolist(), strict=True):
            kinds = np.array([float(repeat in across[row.configuration]) for repeat in shared])
            found[row.configuration] = Comparison(
                dataset=row.dataset,
                protocol=protocol,
                metric=metric.name,
                configuration=row.configuration,
                baseline=baseline.configuration,
                differences=tuple(one),
                across_environments=int((independent(shared, kinds) > 0).sum()),
                **dict(zip(_RECKONED, values, strict=True)),
            )
    return (found[row.configuration] for row in rows if row.configuration in found)
