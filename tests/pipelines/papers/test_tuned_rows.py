"""Claims may tell tuned rows from others, and pair them with rows that differ in what was searched for."""

from __future__ import annotations

import dataclasses

from pipelines.papers.evidence import Evidence
from pipelines.trials.tuning import Proposal, Tuning
from tests.support.hand_records import with_score

VALUES = {"learning_rate": 0.002, "weights": [0.5, 0.25, 0.25]}
TUNING = Tuning(
    identifier="s", dataset="phantom", split="default", metric="dice",
    tuned={"space": {"learning_rate": [], "weights": []}, "method": "random"},
    proposals=(Proposal(number=0, identifier="p", values=VALUES, score=0.8, epochs=4, seconds=1.0),),
)  # fmt: skip
ADAPTIVE, FIXED = with_score(0.8, 0, weighting="variance"), with_score(0.7, 0, weighting="fixed")
TUNED = dataclasses.replace(
    with_score(0.75, 0, weighting="fixed", learning_rate=0.002, weighting_params={"weights": VALUES["weights"]}),
    configuration="fixed · tuned",
    tuning=TUNING,
)
EVIDENCE = Evidence((ADAPTIVE, FIXED, TUNED), baseline="fixed")


def test_a_selector_tells_tuned_rows_from_others() -> None:
    assert EVIDENCE.where({"weighting": "fixed", "tuned": True}).records == (TUNED,)
    assert EVIDENCE.where({"tuned": False}).records == (ADAPTIVE, FIXED)


def test_a_tuned_row_is_paired_with_rows_that_differ_in_what_was_searched_for() -> None:
    pairs = [*EVIDENCE.pairs({"weighting": "variance"}, {"weighting": "fixed", "tuned": True})]
    assert [(ours.first, rival.first) for ours, rival in pairs] == [(ADAPTIVE, TUNED)]


def test_a_claim_that_does_not_speak_of_tuning_pairs_only_what_agrees_in_all_else() -> None:
    """The learning rates differ."""
    pairs = [*EVIDENCE.pairs({"weighting": "variance"}, {"weighting": "fixed"})]
    assert [(ours.first, rival.first) for ours, rival in pairs] == [(ADAPTIVE, FIXED)]
