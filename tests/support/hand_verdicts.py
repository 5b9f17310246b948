"""Five seeds of two configurations, and what they say about a claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.papers.claim import Claim
from pipelines.papers.evidence import Evidence
from pipelines.papers.verdict import Verdict, judge
from tests.support.hand_records import HandRecord, scored

WOBBLE = np.array([-0.01, 0.004, 0.006, -0.002, 0.002])  # mean 0
BASE = np.array([0.70, 0.72, 0.69, 0.71, 0.73])
HIGHER, LOWER, SIMILAR = BASE + 0.05 + WOBBLE, BASE - 0.05 + WOBBLE, BASE + 0.001 + WOBBLE
MINE_AND_FIXED = {"ours": {"weighting": "variance"}, "rivals": {"weighting": "fixed"}}


def verdict(records: Sequence[HandRecord], test: dict[str, Any], truths: Any = None, **claim: Any) -> Verdict:
    """What these trials say about a claim with this test, on the lesion Dice of each image."""
    about = {"protocol": "per_image", "metrics": "dice"} if "measure" not in claim else {}
    made = Claim.model_validate({"id": "c", "statement": "It is so.", "study": "s", "test": test} | about | claim)
    return judge(made, "s", Evidence(tuple(records), records[0].configuration if records else "", truths or {}))


def against_fixed(ours: np.ndarray) -> list[HandRecord]:
    return scored({"variance": ours.tolist(), "fixed": BASE.tolist()})
