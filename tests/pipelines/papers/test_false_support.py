"""How often chance alone is taken for support, or for a contradiction: at most 5 times in 100."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipelines.papers.claim import Claim
from pipelines.papers.evidence import Evidence
from pipelines.papers.kinds import Outcome
from pipelines.papers.verdict import judge
from tests.support.hand_records import with_score

STUDIES = 2000
# Studies in which nothing is the case: no difference, no order, a range or a spread just at the bound.
OURS = {"ours": {"weighting": "variance"}, "rivals": {"weighting": "fixed"}}
OTHERS = ["mad", "bayesian", "fixed"]
NULLS: dict[str, dict[str, Any]] = {
    "difference": {"kind": "difference", **OURS},
    "every difference": {"kind": "difference", "ours": {"weighting": "variance"}, "rivals": {"weighting": OTHERS}},
    "best by validation": {
        "kind": "difference",
        "by": "best",
        "ours": {"weighting": ["variance", "mad"]},
        "rivals": {"weighting": ["bayesian", "fixed"]},
    },
    "holds": {"kind": "holds", **OURS, "number": {"dice": 1.0}},
    "first": {"kind": "first", "ours": {"weighting": ["variance", "mad"]}},
    "anova": {"kind": "anova"},
    "slope": {"kind": "slope", "over": "weighting_params.place"},
    "threshold": {"kind": "threshold", "above": 50, "ours": {"weighting": "variance"}},
    "proportion": {"kind": "proportion", "above": 50, "ours": {"weighting": "variance"}},
    "spread": {"kind": "spread", "at_most": 1, "ours": {"weighting": "variance"}},
    "equivalent": {"kind": "equivalent", "within": 2},
}
PLACES = ("variance", *OTHERS)
EACH = -(-STUDIES // len(NULLS))
LUCKY = 0.05 + 3 * np.sqrt(0.05 * 0.95 / EACH)


def null_scores(name: str, rng: np.random.Generator, seeds: int) -> np.ndarray:
    """(configurations, seeds) in points: a level of the seed and luck, each of deviation .7; so 1 together."""
    scores = 50 + np.sqrt(0.5) * (rng.normal(size=(4, seeds)) + rng.normal(size=seeds))
    if name == "equivalent":
        scores[0] += 2
    return scores


def rates(test: dict[str, Any], seeds: int, draw: Callable[[], np.ndarray]) -> dict[Outcome, float]:
    """How often a claim meets which end over null studies, through the same evaluator as real trials.

    Args:
        draw: Makes a study's scores (configurations, seeds), in points.
    """
    content = {"id": "c", "statement": "S.", "study": "s", "protocol": "per_image", "metrics": "dice", "test": test}
    claim = Claim.model_validate(content)
    records = {
        (place, seed): with_score(0.5, seed, weighting=weighting, weighting_params={"place": place + 1})
        for (place, weighting), seed in itertools.product(enumerate(PLACES), range(seeds))
    }
    evidence, found = Evidence(tuple(records.values())), Counter[Outcome]()
    for _ in range(EACH):
        for split in ("validation", "test"):
            for (place, seed), value in np.ndenumerate(draw()):
                getattr(records[place, seed], split)["per_image"]["dice"] = value / 100
        found[judge(claim, "s", evidence).outcome] += 1
    return {outcome: found[outcome] / EACH for outcome in Outcome}


def test_at_most_5_percent_of_null_studies_support_a_claim(record_property: Callable[[str, object], None]) -> None:
    rng = np.random.default_rng(2026)
    support = {
        name: rates(test, 5, lambda name=name: null_scores(name, rng, 5))[Outcome.SUPPORTED]  # type: ignore[misc]
        for name, test in NULLS.items()
    }
    overall = float(np.mean(list(support.values())))
    record_property("false support", overall)
    print(f"false support over {EACH * len(NULLS)} null studies: {overall:.2%}", support)
    assert overall <= 0.05
    # A kind by itself is tried on fewer studies: 5 % of them, and three standard errors for luck.
    assert max(support.values()) <= LUCKY


@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("name", ["difference", "every difference", "first", "anova"])
def test_seeds_that_agree_by_chance_decide_nothing(name: str, seeds: int) -> None:
    """Scores are counts over 36 images: differences of two seeds are the same in every ninth study."""
    rng = np.random.default_rng(seeds)
    found = rates(NULLS[name], seeds, lambda: 100 * rng.binomial(36, 0.9, (4, seeds)) / 36)
    assert found[Outcome.SUPPORTED] + found[Outcome.CONTRADICTED] <= LUCKY
