"""The papers' 35 claims, a person's own, and how often chance alone is taken for support."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy import stats

from pipelines.papers.claim import Claim, claims_of, paper_claims
from pipelines.papers.evidence import Evidence
from pipelines.papers.inference import repeats_needed
from pipelines.papers.kinds import Outcome
from pipelines.papers.verdict import judge, untested, verdicts
from tests.support.grids import STUDY
from tests.support.hand_records import HandRecord, disc_truth, scored, study_records, with_score
from tune_spaces import ConfigError, load_study

COUNTS = {"dmf": 16, "afl": 4, "exp": 9, "ngr": 6}
SMALL = sorted({f"{study}_small" for claim in paper_claims() for study in claim.study})


def test_there_are_35_claims_each_with_a_place_and_a_study_that_exists() -> None:
    claims = paper_claims()
    assert Counter(claim.id.partition("-")[0] for claim in claims) == COUNTS
    assert all(claim.place and claim.statement.endswith(".") for claim in claims)
    for claim in claims:
        for name in claim.study:
            load_study(name)


def test_every_claim_has_evidence_in_a_small_study_and_in_the_papers() -> None:
    for suffix in ("", "_small"):
        about = {claim.id for name in SMALL for claim in claims_of(load_study(name.removesuffix("_small") + suffix))}
        assert about == {claim.id for claim in paper_claims()}


@pytest.mark.parametrize("name", SMALL)
def test_claims_on_the_records_of_a_small_study(name: str) -> None:
    """Whatever the numbers are, each claim ends in a verdict with effect and interval, or with the reason why not."""
    study = load_study(name)
    records, baseline = study_records(name)
    truths = {dataset: disc_truth([f"{place}.png" for place in range(12)]) for dataset in study.datasets}
    found = verdicts(study, records, baseline, truths)
    assert [one.claim for one in found] == claims_of(study)
    for one in found:
        if one.outcome is Outcome.NOT_TESTED:
            assert one.reason
            assert study.seeds == 1 or "another data set" in one.reason or "no spread" in one.reason, one
        else:
            assert one.cell is not None
            assert np.isfinite(one.cell.effect)
            assert one.cell.n == (12 if one.cell.unit == "r, images" else (study.folds or study.seeds))
            assert all(cell.state for cell in one.cells)


def test_the_same_records_give_the_same_verdicts() -> None:
    records, baseline = study_records("dmf_small")
    one, other = (verdicts(load_study("dmf_small"), records, baseline) for _ in range(2))
    assert [(v.outcome, v.reason, v.needed) for v in one] == [(v.outcome, v.reason, v.needed) for v in other]


def test_claims_of_a_study_without_trials_are_not_left_out() -> None:
    found = untested(load_study("dmf"), "no trials")
    assert len(found) == COUNTS["dmf"]
    assert {one.outcome for one in found} == {Outcome.NOT_TESTED}


class TestEvidence:
    def claim(self, **changes: Any) -> Claim:
        test = {"kind": "difference", "ours": {"weighting": "variance"}, "rivals": {"weighting": "fixed"}}
        content = {"id": "c", "statement": "S.", "study": "s", "protocol": "per_image", "metrics": "dice", "test": test}
        return Claim.model_validate(content | changes)

    def records(self, dataset: str = "phantom") -> list[HandRecord]:
        rng = np.random.default_rng(0)
        base = rng.uniform(0.6, 0.7, 5)
        ours = base + 0.1 + rng.normal(0, 0.001, 5)
        return scored({"variance": ours.tolist(), "fixed": base.tolist()}, dataset=dataset)

    def test_the_papers_own_study_has_to_hold_the_claims_data(self) -> None:
        claim, evidence = self.claim(datasets=["busi", "busc"]), Evidence(tuple(self.records("busi")))
        partly, nothing = judge(claim, "s", evidence), judge(claim, "s", Evidence(tuple(self.records())))
        assert partly.outcome is Outcome.UNDECIDED
        assert partly.notes == ("without busc",)
        assert nothing.reason == "no trials on busi, busc"

    def test_patches_of_the_claims_volumes_are_the_claims_data(self) -> None:
        evidence = Evidence(tuple(self.records("picai2022_patches")))
        found = judge(self.claim(datasets=["picai2022"]), "s", evidence)
        assert found.outcome is Outcome.SUPPORTED
        assert found.notes == ()

    def test_a_small_study_stands_in_with_its_own_data_and_says_so(self) -> None:
        found = judge(self.claim(datasets=["busi"]), "s_small", Evidence(tuple(self.records())))
        assert found.outcome is Outcome.SUPPORTED
        assert found.notes == ("on phantom in the place of busi",)

    def test_a_rival_that_no_trial_has_keeps_a_claim_undecided(self) -> None:
        test = {"kind": "difference", "ours": {"weighting": "variance"}, "rivals": {"weighting": ["fixed", "mad"]}}
        found = judge(self.claim(test=test), "s", Evidence(tuple(self.records())))
        assert found.outcome is Outcome.UNDECIDED
        assert found.notes == ("no trials have weighting mad",)

    @pytest.mark.parametrize(
        ("test", "lacking", "note"),
        [
            ({"kind": "difference"}, "fixed", "no trials have weighting fixed on busi"),
            ({"kind": "difference", "by": "mean"}, "fixed", "no trials have weighting fixed on busi"),
            ({"kind": "difference", "by": "best"}, "variance", "no trials have weighting variance on busi"),
            ({"kind": "first"}, "variance", "no trials have weighting variance on busi"),
            ({"kind": "first"}, "fixed", "nothing to compare on busi"),
            ({"kind": "threshold", "above": 10}, "variance", "no trials have weighting variance on busi"),
        ],
    )
    def test_a_row_that_one_data_set_lacks_keeps_a_claim_undecided(
        self, test: dict[str, Any], lacking: str, note: str
    ) -> None:
        sides = {"ours": {"weighting": "variance"}}
        sides |= {"rivals": {"weighting": "fixed"}} if test["kind"] == "difference" else {}
        there = [record for record in self.records("busi") if record.spec.weighting != lacking]
        claim = self.claim(test={**test, **sides}, datasets=["phantom", "busi"])
        whole = judge(claim, "s", Evidence((*self.records(), *self.records("busi"))))
        found = judge(claim, "s", Evidence((*self.records(), *there)))
        assert (whole.outcome, whole.notes) == (Outcome.SUPPORTED, ())
        assert (found.outcome, found.notes) == (Outcome.UNDECIDED, (note,))

    def test_a_claim_about_one_data_set_asks_nothing_of_the_others(self) -> None:
        test = {"kind": "threshold", "above": 10, "ours": {"dataset": "busi"}}
        found = judge(self.claim(test=test), "s", Evidence((*self.records(), *self.records("busi"))))
        assert (found.outcome, found.notes) == (Outcome.SUPPORTED, ())

    def test_a_gain_covers_the_data_sets_that_it_compares(self) -> None:
        records = scored({"variance": [0.80, 0.82, 0.81], "fixed": [0.60, 0.61, 0.62]}, dataset="ph2")
        records += scored({"variance": [0.72, 0.70, 0.71], "fixed": [0.70, 0.69, 0.68]})
        test = {"kind": "gain", "dataset": "ph2", "ours": {"weighting": "variance"}, "rivals": {"weighting": "fixed"}}
        assert judge(self.claim(test=test), "s", Evidence(tuple(records))).notes == ()

    def test_a_test_that_could_not_be_made_counts_for_nothing(self) -> None:
        """Three rivals, one of them ours to the digit: p is doubled, the level halved."""
        ours = np.array([0.60, 0.64, 0.61, 0.66, 0.62])
        others = [ours + off for off in ([0.01, 0.02, 0.03, 0.01, -0.01], [0.02, -0.01, 0.0, 0.01, -0.03])]
        names = ["fixed", "mad", "bayesian"]
        records = scored(
            {"variance": ours.tolist()}
            | {name: values.tolist() for name, values in zip(names, [*others, ours], strict=True)}
        )
        test = {"kind": "difference", "ours": {"weighting": "variance"}, "rivals": {"weighting": names}}
        found = judge(self.claim(test=test), "s", Evidence(tuple(records)))
        differences = [100 * (ours - other) for other in others]
        p = [stats.ttest_1samp(values, 0).pvalue for values in differences]
        assert found.reason == "of 3 tests 2 are undecided, 1 could not be made"
        assert min(cell.p for cell in found.cells) == pytest.approx(2 * min(p))
        assert found.cell is not None
        decides = next(values for values in differences if values.mean() == pytest.approx(found.cell.effect))
        assert found.needed == repeats_needed(decides.mean(), decides.std(ddof=1), 0.05 / 2)

    def test_preference_decides_which_fidelity_counts(self) -> None:
        records = [
            with_score(0.7, 0, weighting=w, fidelity=f) for w in ("mad", "bayesian") for f in ("paper", "reference")
        ]
        for record in records:
            record.configuration += record.spec.fidelity
        prefer = [{"weighting": "bayesian", "fidelity": ["reference"]}, {"fidelity": ["paper", "reference"]}]
        kept = Evidence(tuple(records)).preferring(prefer).records
        assert [(r.spec.weighting, r.spec.fidelity) for r in kept] == [("mad", "paper"), ("bayesian", "reference")]

    def test_preferred_fields_do_not_keep_rows_from_being_compared(self) -> None:
        records = self.records()
        for record in records[:5]:
            object.__setattr__(record.spec, "fidelity", "reference")
        prefer = [{"weighting": "variance", "fidelity": ["reference"]}, {"fidelity": ["paper"]}]
        assert judge(self.claim(), "s", Evidence(tuple(records))).outcome is Outcome.NOT_TESTED
        assert judge(self.claim(prefer=prefer), "s", Evidence(tuple(records))).outcome is Outcome.SUPPORTED

    @pytest.mark.parametrize(
        ("selector", "count"),
        [
            ({"losses": ["dice"]}, 1),
            ({"losses": [["dice"], ["dice", "focal"]]}, 2),
            ({"losses": {"contains": "focal"}}, 2),
            ({"losses": {"lacks": "focal"}}, 1),
            ({"order": 2}, 1),
            ({"model": "rfe_unet:*"}, 2),
            ({"model": {"largest": "rfe_unet:resnet*"}}, 1),
            ({"model_params.skips": "plain"}, 1),
            ({"model_params.skips": None}, 2),
            ({"baseline": True}, 1),
            ({"auxiliary": None}, 3),
        ],
    )
    def test_selectors(self, selector: dict[str, Any], count: int) -> None:
        specs: list[dict[str, Any]] = [
            {"losses": ("dice",), "model": "unet"},
            {"losses": ("focal",), "model": "rfe_unet:resnet50"},
            {"losses": ("dice", "focal"), "model": "rfe_unet:resnet101", "model_params": {"skips": "plain"}},
        ]
        records = tuple(with_score(0.5, 0, **spec) for spec in specs)
        assert len(Evidence(records, records[0].configuration).where(selector).records) == count


class TestOwnClaims:
    FIVE_LINES = """
claims:
  - id: memory-helps
    statement: Variance beats fixed weights by lesion Dice.
    protocol: per_image
    metrics: dice
    test: {kind: difference, ours: {baseline: false}, rivals: {baseline: true}}
"""

    def write(self, folder: Path, claims: str) -> Any:
        (folder / "mine.yaml").write_text(yaml.safe_dump(STUDY) + claims)
        return load_study("mine", folder)

    def test_five_lines_beside_the_study(self, tmp_path: Path) -> None:
        study = self.write(tmp_path, self.FIVE_LINES)
        rng = np.random.default_rng(0)
        base = rng.uniform(0.6, 0.7, 5)
        records = scored({"mad": (base + 0.1 + rng.normal(0, 0.001, 5)).tolist(), "fixed": base.tolist()})
        (found,) = verdicts(study, records, records[-1].configuration)
        assert (found.claim.id, found.outcome) == ("memory-helps", Outcome.SUPPORTED)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("kind: difference", "kind: diference", "claims.0.test"),
            ("baseline: false", "waiting: mad", "no field of a trial is called 'waiting'. Did you mean `weighting`?"),
            ("metrics: dice", "measure: speed", "no measure is called 'speed'"),
            ("    metrics: dice\n", "", "give `protocol` and `metrics`, or `measure`"),
            ("statement:", "statment:", "unknown key `claims.0.statment`. Did you mean `statement`?"),
        ],
    )
    def test_mistakes_are_named(self, tmp_path: Path, old: str, new: str, message: str) -> None:
        with pytest.raises(ConfigError, match=r"mine\.yaml") as raised:
            claims_of(self.write(tmp_path, self.FIVE_LINES.replace(old, new)))
        assert message in str(raised.value)

    def test_an_id_that_is_taken(self, tmp_path: Path) -> None:
        twice = self.FIVE_LINES + self.FIVE_LINES.replace("\nclaims:\n", "")
        with pytest.raises(ConfigError, match="two claims are called memory-helps"):
            claims_of(self.write(tmp_path, twice))
