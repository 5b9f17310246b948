"""All configurations over all data sets: interquartile means, ranks, and which ranks can be told apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from pipelines.report.statistics.comparisons import RESAMPLES, independent
from pipelines.report.statistics.practical import probability_of_improvement
from pipelines.report.statistics.scores import Scores

CUT = 0.25
"""Share of the scores that an interquartile mean leaves out at either end."""
MOST = 60
"""Configurations beyond which ranks are not told apart pair by pair: no diagram could show it."""


@dataclass(frozen=True)
class Standing:
    """A configuration among all, over data sets.

    Attributes:
        iqm, low, high: Interquartile mean over data sets and repeats, and its 95 % interval.
        improvement, improvement_low, improvement_high: See `probability_of_improvement`; nan for the baseline.
        rank: Mean over blocks; 1 is best.
    """

    configuration: str
    iqm: float
    low: float
    high: float
    improvement: float
    improvement_low: float
    improvement_high: float
    rank: float


@dataclass(frozen=True)
class Standings:
    """The configurations that have all trials of a headline score as numbers, the best rank first.

    Attributes:
        blocks: What is ranked within: "data sets", or "repeats" where there is one data set ("folds" where each is the
            mean of several seeds).
        left_out: Configurations that lack a trial, or the number of one.
        cut: Scores that each interquartile mean leaves out at either end.
        chi2, p: Friedman's test that all ranks are alike; nan for fewer than three configurations or two blocks.
        nemenyi: p of each pair of configurations by Nemenyi's test; empty for one data set, for more than `MOST`
            configurations, and where Friedman's test was not made.
    """

    protocol: str
    metric: str
    label: str
    datasets: tuple[str, ...]
    blocks: str
    number: int
    left_out: tuple[str, ...]
    cut: int
    lines: tuple[Standing, ...]
    chi2: float
    p: float
    nemenyi: pd.DataFrame

    @property
    def name(self) -> str:
        return f"{self.protocol}_{self.metric}"

    @property
    def friedman(self) -> str:
        """What its test says, if it says something: where all tie everywhere it does not."""
        return f" Friedman's test that all rank alike: p = {self.p:.3g}." if math.isfinite(self.p) else ""


def standings(found: Sequence[Scores]) -> Iterator[Standings]:
    """One for each headline score, over the data sets that have it."""
    for protocol, metric in dict.fromkeys((one.protocol, one.metric) for one in found):
        made = _standings([one for one in found if (one.protocol, one.metric) == (protocol, metric)])
        if made is not None:
            yield made


def interquartile_mean(samples: Sequence[Float[np.ndarray, "C S"]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of the middle half of a configuration's scores over data sets and repeats, with its 95 % interval.

    Agarwal et al. (rliable): percentile bootstrap that resamples repeats within each data set.
    """

    def middle(*samples: np.ndarray, axis: int) -> np.ndarray:
        return stats.trim_mean(np.concatenate(samples, axis=axis), CUT, axis=axis)

    point = middle(*samples, axis=-1)
    if min(one.shape[1] for one in samples) < 2:
        return point, np.full_like(point, math.nan), np.full_like(point, math.nan)
    batch = max(1, 20_000_000 // sum(one.size for one in samples))
    interval = stats.bootstrap(
        samples, middle, axis=-1, n_resamples=RESAMPLES, batch=batch, method="percentile", rng=0
    ).confidence_interval
    return point, np.atleast_1d(interval.low), np.atleast_1d(interval.high)


def _standings(found: Sequence[Scores]) -> Standings | None:
    whole = [
        {name: values for name, values in zip(one.configurations, one.values, strict=True) if np.isfinite(values).all()}
        for one in found
    ]
    names = [name for name in found[0].configurations if all(name in one for one in whole)]
    if len(names) < 2:
        return None
    samples = [np.array([one[name] for name in names]) for one in whole]
    several = len(samples) > 1
    alone = independent(found[0].repeats, samples[0]).T
    blocks = np.array([one.mean(axis=1) for one in samples]) if several else alone
    blocks = np.round(blocks, 9)  # the order of the seeds is in a mean's last digits
    ranks = stats.rankdata(-blocks, axis=1).mean(axis=0)
    tested = len(names) >= 3 and len(blocks) >= 2
    with np.errstate(invalid="ignore"):  # every block one tie
        chi2, p = stats.friedmanchisquare(*blocks.T) if tested else (math.nan, math.nan)
    pairs = pd.DataFrame(index=names, columns=names, dtype=float)
    if tested and several and len(names) <= MOST:
        import scikit_posthocs  # half a second, with seaborn and statsmodels, that studies of one data set do without

        pairs[:] = scikit_posthocs.posthoc_nemenyi_friedman(blocks).to_numpy()
    base = found[0].configurations[found[0].baseline] if found[0].baseline is not None else None
    theirs = [one[base] for one in whole] if base in names else None
    iqm = np.transpose(interquartile_mean(samples)).tolist()
    lines = []
    for name, (middle, low, high), rank in zip(names, iqm, ranks.tolist(), strict=True):
        improvement = (math.nan, math.nan, math.nan)
        if theirs is not None and name != base:
            improvement = probability_of_improvement([one[name] for one in whole], theirs)
        lines.append(Standing(name, middle, low, high, *improvement, rank))
    return Standings(
        found[0].protocol,
        found[0].metric,
        found[0].label,
        tuple(one.dataset for one in found),
        "data sets" if several else "repeats" if len(alone) == samples[0].shape[1] else "folds",
        len(blocks),
        tuple(dict.fromkeys(name for one in found for name in one.configurations if name not in names)),
        int(CUT * sum(one.shape[1] for one in samples)),
        tuple(sorted(lines, key=lambda line: (line.rank, -line.iqm))),
        float(chi2),
        float(p),
        pairs.dropna(how="all").dropna(how="all", axis=1),
    )
