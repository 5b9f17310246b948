"""The statistics behind the tables: against hand-worked cases, the libraries, and studies in which nothing happens."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from pipelines.report.statistics.comparisons import paired_tests
from pipelines.report.statistics.diagram import draw_ranks
from pipelines.report.statistics.images import fit_mixed
from pipelines.report.statistics.make import _interval, _ranking
from pipelines.report.statistics.practical import equivalence, judge_practically, probability_of_improvement
from pipelines.report.statistics.ranks import MOST, interquartile_mean, standings
from pipelines.report.statistics.scores import ImageScores, Scores
from pipelines.report.statistics.winner import count_wins


def make_scores(
    values: Mapping[str, Sequence[float | None]], dataset: str = "d", images: np.ndarray | None = None, folds: int = 1
) -> Scores:
    """Scores in percent by configuration, the last of them the baseline; None is no trial. Folds change fastest."""
    trained = np.array([[value is not None for value in row] for row in values.values()])
    table = np.array([*values.values()], dtype=float)
    places = (divmod(place, folds) for place in range(table.shape[1]))
    repeats = tuple((seed, f"fold:{fold}" if folds > 1 else "") for seed, fold in places)
    by_image = None if images is None else ImageScores(tuple(map(str, range(images.shape[2]))), images)
    return Scores(
        dataset, "per_image", "dice", "Dice", tuple(values), repeats, table, trained, len(values) - 1, by_image
    )


class TestEquivalence:
    def test_it_is_baycomps_correlated_t_test(self) -> None:
        # baycomp 1.0.3, two_on_single(x, y, rope=.005), the five scores of one cross-validation.
        x, y = [0.70, 0.72, 0.77, 0.74, 0.71], [0.715, 0.722, 0.781, 0.739, 0.731]
        differences = 100 * (np.array(y) - x)
        found = equivalence(differences, 0.5, folds=5)
        assert found == pytest.approx((0.03750901427601817, 0.2090026579844979, 0.7534883277394839))

    def test_without_folds_the_scale_is_that_of_the_t_interval(self) -> None:
        differences = np.array([10.0, 12.0, 8.0])
        low = paired_tests(differences[None])[0][0]
        below, within, above = equivalence(differences, low)  # the 95 % interval ends there
        assert above == pytest.approx(0.975)
        assert below + within + above == pytest.approx(1)

    def test_no_spread_has_no_probability(self) -> None:
        assert np.isnan(equivalence(np.zeros(3), 0.5)).all()
        assert np.isnan(equivalence(np.array([0.3 - 0.1, 0.4 - 0.2]), 0.5)).all()


class TestImprovement:
    def test_by_hand_with_ties_counted_half(self) -> None:
        # 3 beats 1 and 2; 2 beats 1 and ties with 2: 3.5 of 4. The second data set: all pairs tie.
        one = probability_of_improvement([np.array([3.0, 2.0])], [np.array([1.0, 2.0])])
        assert one[0] == pytest.approx(3.5 / 4)
        both = probability_of_improvement([np.array([3.0, 2.0]), np.ones(2)], [np.array([1.0, 2.0]), np.ones(2)])
        assert both[0] == pytest.approx((3.5 / 4 + 0.5) / 2)

    def test_it_is_mann_and_whitneys_u(self) -> None:
        x, y = np.random.default_rng(7).normal(size=(2, 9))
        point, low, high = probability_of_improvement([x], [y])
        assert point == pytest.approx(stats.mannwhitneyu(x, y).statistic / 81)
        assert low <= point <= high

    def test_one_repeat_of_either_side_has_no_interval(self) -> None:
        point, *ends = probability_of_improvement([np.array([3.0, 4.0])], [np.array([1.0])])
        assert point == 1
        assert np.isnan(ends).all()
        placed = standings([make_scores({"a": [8], "base": [7]}, "d1"), make_scores({"a": [8], "base": [7]}, "d2")])
        (first, _) = next(placed).lines
        assert first.improvement == 1
        assert math.isnan(first.improvement_low)


class TestInterquartileMean:
    def test_by_hand(self) -> None:
        # Over both data sets 1 ... 8: the middle half is 3, 4, 5, 6.
        point, low, high = interquartile_mean([np.array([[1.0, 3, 5, 7]]), np.array([[2.0, 4, 6, 8]])])
        assert point == pytest.approx([4.5])
        assert low < point < high

    def test_repeats_are_resampled_within_each_data_set(self) -> None:
        """Where a data set's repeats agree there is nothing to resample, however far apart the data sets are."""
        point, low, high = interquartile_mean([np.full((1, 4), 10.0), np.full((1, 4), 90.0)])
        assert (point, low, high) == pytest.approx((50, 50, 50))

    def test_one_repeat_has_no_interval(self) -> None:
        assert np.isnan(interquartile_mean([np.ones((2, 1))])[1:]).all()


class TestMixed:
    def test_it_is_statsmodels_mixed_model(self) -> None:
        seeds, images = 4, 9
        rng = np.random.default_rng(3)
        values = 1 + rng.normal(size=(seeds, 1)) + rng.normal(size=(1, images)) + 0.7 * rng.normal(size=(seeds, images))
        found = fit_mixed(values)
        frame = pd.DataFrame({"d": values.ravel(), "all": 1})
        frame["seed"], frame["image"] = np.divmod(np.arange(values.size), images)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = MixedLM.from_formula(
                "d ~ 1", groups="all", vc_formula={"i": "0 + C(image)", "s": "0 + C(seed)"}, data=frame
            ).fit(reml=True)
        assert found.mean == pytest.approx(fitted.params["Intercept"], abs=1e-6)
        variances = dict(zip(fitted.model.exog_vc.names, fitted.vcomp, strict=True))
        assert found.images**2 == pytest.approx(variances["i"], rel=1e-2)
        assert found.seeds**2 == pytest.approx(variances["s"], rel=1e-2)
        assert found.rest**2 == pytest.approx(fitted.scale, rel=1e-2)
        assert (found.high - found.low) / 2 > 1.96 * 0.99 * fitted.bse["Intercept"]

    def test_without_a_part_of_the_seeds_it_is_the_paired_test_over_images_on_the_degrees_of_the_seeds(self) -> None:
        by_image = np.random.default_rng(7).normal(size=12)
        found = fit_mixed(np.array([by_image, by_image, by_image]))
        t = stats.ttest_1samp(by_image, 0).statistic
        assert found.p == pytest.approx(2 * stats.t.sf(abs(t), 2))
        assert found.seeds == 0

    @pytest.mark.parametrize(("seeds", "part"), [(2, 0.2), (3, 0.4), (5, 1.0)])
    def test_it_is_wrong_5_times_in_100_when_nothing_is_there(self, seeds: int, part: float) -> None:
        """Also where the part of the seeds is so small that it is often lost."""
        rng = np.random.default_rng(1)
        wrong = [
            fit_mixed(part * rng.normal(size=(seeds, 1)) + rng.normal(size=(1, 30)) + rng.normal(size=(seeds, 30))).p
            < 0.05
            for _ in range(2000)
        ]
        assert np.mean(wrong) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


class TestWinner:
    def test_one_that_always_leads_always_wins(self) -> None:
        wins = count_wins(make_scores({"a": [5, 6, 7], "b": [1, 2, 3], "c": [2, 3, 4]}))
        assert [(one.configuration, one.seeds) for one in wins] == [("a", 1), ("c", 0), ("b", 0)]
        assert all(math.isnan(one.images) for one in wins)

    def test_two_that_are_one_share(self) -> None:
        wins = count_wins(make_scores({"a": [5, 6], "b": [5, 6]}))
        assert [one.seeds for one in wins] == [0.5, 0.5]

    def test_seeds_by_hand(self) -> None:
        # a leads by 3 on seed 0 and trails by 1 on seed 1: it loses only where both draws are seed 1.
        (first, _) = count_wins(make_scores({"a": [8, 4], "b": [5, 5]}))
        assert first.configuration == "a"
        assert first.seeds == pytest.approx(0.75, abs=0.03)

    def test_images_and_seeds_are_resampled_apart_and_together(self) -> None:
        images = np.array([[[8.0, 4.0], [8.0, 4.0]], [[5.0, 5.0], [5.0, 5.0]]])
        (first, _) = count_wins(make_scores({"a": [6, 6], "b": [5, 5]}, images=images))
        assert first.seeds == 1
        assert first.images == pytest.approx(0.75, abs=0.03)
        assert first.both == pytest.approx(0.75, abs=0.03)

    def test_one_that_lacks_a_trial_takes_no_part(self) -> None:
        assert count_wins(make_scores({"a": [1, None], "b": [1, 2]})) == []

    def test_one_that_diverged_stands_last_and_wins_nothing(self) -> None:
        wins = count_wins(make_scores({"a": [1, math.nan], "b": [5, 6], "c": [2, 3]}))
        assert [(one.configuration, one.seeds) for one in wins[:2]] == [("b", 1), ("c", 0)]
        assert wins[2].configuration == "a"
        assert np.isnan([wins[2].mean, wins[2].seeds]).all()

    def test_in_a_cross_validation_folds_are_resampled(self) -> None:
        """a leads by 3 on fold 0 and trails by 1 on fold 1, in both seeds: it wins unless fold 1 is drawn twice."""
        (first, _) = count_wins(make_scores({"a": [8, 4, 8, 4], "b": [5, 5, 5, 5]}, folds=2))
        assert first.seeds == pytest.approx(0.75, abs=0.03)


class TestRanks:
    def four(self) -> list[Scores]:
        """Four data sets on each of which a is first, b second, c third."""
        return [make_scores({"a": [9 + d, 9 + d], "b": [5 + d, 5 + d], "c": [1 + d, 1 + d]}, f"d{d}") for d in range(4)]

    def test_friedman_and_nemenyi_by_hand(self) -> None:
        # chi2 = 12 n / (k (k + 1)) Σ (rank - 2)^2 = 12 * 4 / 12 * 2 = 8; p = exp(-8 / 2).
        (placed,) = standings(self.four())
        assert [(line.configuration, line.rank) for line in placed.lines] == [("a", 1), ("b", 2), ("c", 3)]
        assert (placed.blocks, placed.number) == ("data sets", 4)
        assert placed.chi2 == pytest.approx(8)
        assert placed.p == pytest.approx(math.exp(-4))
        # q = |difference of ranks| / √(k (k + 1) / (6 n)) = 2 / √.5, studentised range at q √2.
        assert placed.nemenyi.loc["a", "c"] == pytest.approx(stats.studentized_range.sf(4, 3, np.inf))
        assert placed.lines[0].improvement == 1
        assert list(placed.nemenyi.index) == ["a", "b", "c"]

    def test_equal_means_share_a_rank_whatever_the_order_of_their_seeds(self) -> None:
        a, b = [3300 / 36, 3400 / 36, 3600 / 36], [3600 / 36, 3300 / 36, 3400 / 36]
        assert np.mean(a) != np.mean(b)
        (placed,) = standings([make_scores({"a": a, "b": b, "c": [0, 0, 0]}, f"d{number}") for number in range(3)])
        assert {line.configuration: line.rank for line in placed.lines} == {"a": 1.5, "b": 1.5, "c": 3}
        # Ties: (12 n Σ (rank - 2)² / (k (k + 1))) / (1 - Σ (t³ - t) / (n (k³ - k))) = 3 * 1.5 / (1 - 6 / 24).
        assert placed.chi2 == pytest.approx(6)

    def test_the_diagram_is_of_several_data_sets(self, tmp_path: Path) -> None:
        (placed,) = standings(self.four())
        picture = draw_ranks(placed, tmp_path)
        assert picture is not None
        assert "tells 1 of 3 pairs apart" in picture.caption
        assert (tmp_path / "ranks_per_image_dice.pdf").is_file()
        (alone,) = standings(self.four()[:1])
        assert draw_ranks(alone, tmp_path) is None

    def test_one_data_set_is_ranked_within_its_repeats(self) -> None:
        values = np.random.default_rng(7).normal(size=(4, 5))
        (placed,) = standings([make_scores(dict(zip("abcd", values.tolist(), strict=True)))])
        assert placed.blocks == "repeats"
        assert placed.p == pytest.approx(stats.friedmanchisquare(*values).pvalue)
        assert placed.nemenyi.empty

    def test_too_many_are_ranked_but_not_told_apart(self) -> None:
        many = {str(number): [float(number), number + 0.5] for number in range(MOST + 1)}
        (placed,) = standings([make_scores(many, "d1"), make_scores(many, "d2")])
        assert placed.nemenyi.empty
        assert math.isfinite(placed.p)

    def test_seeds_of_a_fold_are_one_block(self) -> None:
        values = {"a": [9, 1, 9, 2, 9, 3], "b": [5, 5, 5, 5, 5, 5], "c": [1, 9, 1, 9, 1, 9]}
        (placed,) = standings([make_scores(values, folds=2)])
        assert (placed.blocks, placed.number) == ("folds", 2)
        # a, b, c are 1, 2, 3 on the one fold and 3, 2, 1 on the other.
        assert placed.p == pytest.approx(1)

    def test_who_lacks_a_number_is_named(self) -> None:
        (placed,) = standings([make_scores({"a": [1, math.nan], "b": [1, None], "c": [2, 3], "d": [1, 2]})])
        assert placed.left_out == ("a", "b")
        assert "Left out, as a trial or its score is missing: a, b." in _ranking(placed).caption

    def test_where_all_tie_friedman_says_nothing(self, tmp_path: Path) -> None:
        same = {"a": [80, 81], "b": [80, 81], "base": [80, 81]}
        (placed,) = standings([make_scores(same, f"d{number}") for number in range(3)])
        picture = draw_ranks(placed, tmp_path)
        assert picture is not None
        assert picture.caption.endswith("tells 0 of 3 pairs apart.")

    def test_of_three_scores_the_middle_half_is_all(self) -> None:
        (few,) = standings([make_scores({"a": [0, 50, 100], "b": [0, 0, 0]})])
        assert few.lines[0].iqm == 50
        assert "mean of all scores, too few to leave any out," in _ranking(few).caption
        (four,) = standings([make_scores({"a": [0, 50, 60, 100], "b": [0, 0, 0, 0]})])
        assert four.lines[0].iqm == 55
        assert "middle half" in _ranking(four).caption

    def test_two_have_ranks_and_no_test(self) -> None:
        (placed,) = standings([make_scores({"a": [1, 2], "b": [0, 1]})])
        assert math.isnan(placed.p)
        assert [line.rank for line in placed.lines] == [1, 2]


def test_nothing_is_below_zero_in_print() -> None:
    assert _interval(-0.04, -1.2, 1.1, 1, sign=True) == "+0.0 [-1.2, +1.1]"
    assert _interval(-0.004, -0.004, 0.1, sign=True) == "+0.00 [+0.00, +0.10]"


class TestPractical:
    def test_seeds_needed_for_the_observed_difference_and_for_the_margin(self) -> None:
        scores = make_scores({"a": [10, 12, 8], "base": [0, 0, 0]})
        (one,) = judge_practically(scores, margin=2)
        assert one.difference == pytest.approx(10)
        # Effect 5: power of n = 3 is above 80 %. Effect 1: n = 10, by every table of Student's t.
        assert (one.needed, one.needed_margin) == (3, 10)

    def test_nothing_is_said_before_the_baseline_has_two_repeats(self) -> None:
        assert judge_practically(make_scores({"a": [1, 2], "base": [1, None]}), 0.5) == []
        none = dataclasses.replace(make_scores({"a": [1, 2], "b": [1, 2]}), baseline=None)
        assert judge_practically(none, 0.5) == []

    def test_nothing_is_said_of_one_that_diverged(self) -> None:
        """Not even of the seeds that did not."""
        scores = make_scores({"a": [80, 81, 82, math.nan, math.nan], "base": [70, 71.5, 71.7, 70, 72]})
        (one,) = judge_practically(scores, 0.5)
        assert one.seeds == 5
        said = (one.difference, one.worse, one.equal, one.better, one.improvement, one.improvement_low)
        assert np.isnan([*said, one.needed, one.needed_margin]).all()

    def test_without_spread_no_number_of_seeds_is_needed(self) -> None:
        (one,) = judge_practically(make_scores({"a": [0.3, 0.4], "base": [0.1, 0.2]}), 0.5)
        assert np.isnan([one.better, one.needed, one.needed_margin]).all()

    def test_seeds_of_a_fold_are_one_pair(self) -> None:
        """Two folds of three seeds: their means differ by 11 and 1. Scale: std √50, √(1 / 2 + 1 / (2 - 1))."""
        scores = make_scores({"a": [10, 0, 12, 1, 11, 2], "base": [0] * 6}, folds=2)
        (one,) = judge_practically(scores, 0.5)
        assert (one.seeds, one.difference) == (2, 6)
        assert one.better == pytest.approx(stats.t.sf((0.5 - 6) / math.sqrt(50 * 1.5), 1))
