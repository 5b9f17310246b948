"""What the tables say, worked out by hand."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dmf.training.spec import TrialSpec
from pipelines.papers.inference import holm
from pipelines.report.latex import escape_latex
from pipelines.report.layout import Layout, lay_out
from pipelines.report.statistics import caveat, compare, smallest_wilcoxon_p
from pipelines.report.tables import Table, build_tables
from pipelines.report.tidy import score_table, summary_table
from pipelines.report.writers import labels_to_print, to_latex, to_markdown
from pipelines.trials.finished import read_trials
from tests.support.report_trials import BASE, make_facts, paper_specs, plan_trials, write_trials

FACTS = make_facts()
BY_HAND = {("variance", 0): 0.80, ("variance", 1): 0.84, ("variance", 2): 0.85} | {
    ("fixed", 0): 0.70,
    ("fixed", 1): 0.72,
    ("fixed", 2): 0.77,
}


def two_configurations(seeds: int = 3) -> list[TrialSpec]:
    return [
        dataclasses.replace(BASE, seed=seed, weighting=weighting, auxiliary=auxiliary)
        for seed in range(seeds)
        for weighting, auxiliary in [("variance", "cb_dice"), ("fixed", None)]
    ]


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    planned = plan_trials(tmp_path_factory.mktemp("trials"), two_configurations())
    write_trials(planned, FACTS, lambda spec: BY_HAND[spec.weighting, spec.seed])
    return lay_out(read_trials(planned), "fixed · none")


@pytest.fixture(scope="module")
def per_image(by_hand: Layout) -> Table:
    return next(table for table in build_tables(by_hand, {"phantom": FACTS}) if table.protocol == "per_image")


class TestTables:
    def test_mean_and_sample_standard_deviation_over_seeds_in_percent(self, per_image: Table) -> None:
        # 80, 84, 85: mean 83; squares 9 + 1 + 4 = 14, over n - 1 = 2: 7. 70, 72, 77: mean 73; (9 + 1 + 16) / 2 = 13.
        dice = [line.entries[0] for line in per_image.lines]
        assert [str(entry) for entry in dice] == ["83.00 ± 2.65", "73.00 ± 3.61"]
        assert dice[0].std == pytest.approx(math.sqrt(7))

    def test_the_baseline_comes_last_and_the_best_is_bold(self, per_image: Table) -> None:
        assert [line.baseline for line in per_image.lines] == [False, True]
        assert all(entry.best for entry in per_image.lines[0].entries)
        assert not any(entry.best for entry in per_image.lines[1].entries)

    def test_of_distances_the_smallest_is_best_and_they_are_not_in_percent(self, per_image: Table) -> None:
        assert [metric.label for metric in per_image.metrics[-2:]] == ["HD95 (px)", "HD (px)"]
        hd95, hausdorff = per_image.lines[0].entries[-2:]
        assert (hd95.mean, hausdorff.mean) == (pytest.approx(30 * (1 - 0.83)), pytest.approx(40 * (1 - 0.83)))
        assert hd95.best
        assert hausdorff.best

    def test_equal_printed_means_are_both_bold(self, tmp_path: Path) -> None:
        planned = plan_trials(tmp_path, two_configurations())
        write_trials(planned, FACTS, lambda spec: 0.8 + (1e-6 if spec.weighting == "fixed" else 0))
        layout = lay_out(read_trials(planned), "fixed · none")
        table = build_tables(layout, {"phantom": FACTS})[0]
        assert [line.entries[0].best for line in table.lines] == [True, True]

    def test_a_score_that_is_no_number_spoils_its_mean_instead_of_vanishing(self, tmp_path: Path) -> None:
        planned = plan_trials(tmp_path, two_configurations())
        diverged = ("variance", 1)
        write_trials(planned, FACTS, lambda s: math.nan if (s.weighting, s.seed) == diverged else 0.8)
        table = build_tables(lay_out(read_trials(planned), "fixed · none"), {"phantom": FACTS})[0]
        assert str(table.lines[0].entries[0]) == "n/a"
        assert table.lines[1].entries[0].best

    def test_one_seed_gives_no_spread_and_says_so(self, tmp_path: Path) -> None:
        planned = plan_trials(tmp_path, two_configurations(seeds=1))
        write_trials(planned, FACTS)
        table = build_tables(lay_out(read_trials(planned), "fixed · none"), {"phantom": FACTS})[0]
        assert "±" not in str(table.lines[0].entries[0])
        assert "one seed, so no spread" in table.caption

    def test_the_caption_states_protocol_data_split_terms_and_reduction(self, per_image: Table) -> None:
        for needed in (
            "protocol per_image",
            "Simulated & real_istic ultrasound",
            "grouped split (10 training, 5 validation, 5 test images)",
            "ddof = 1",
            "over 3 seeds",
            "Nobody et al.",
            "100 % free",
            "longest side 256 px",
            "6 missed the lesion",
        ):
            assert needed in per_image.caption

    def test_the_papers_thirteen_configurations_in_the_papers_order(self, tmp_path: Path) -> None:
        planned = plan_trials(tmp_path, paper_specs(seeds=1))
        write_trials(planned, FACTS)
        table = build_tables(lay_out(read_trials(planned), "fixed · none"), {"phantom": FACTS})[0]
        assert table.axes == ("auxiliary", "weighting")
        assert [metric.label for metric in table.metrics] == ["Dice", "IoU", "F1", "Precision", "Recall", "CB-Dice"]
        losses, weightings = ["Tversky", "Focal", "CB-Dice", "None"], ["Variance", "MAD", "Bayesian"]
        assert [line.labels for line in table.lines] == [(a, w) for a in losses for w in weightings] + [
            ("None", "Fixed")
        ]
        assert [line.opens for line in table.lines] == [True, False, False] * 4 + [True]
        assert [line.repeated for line in table.lines] == [0, 1, 1] * 4 + [0]

    def test_rows_come_from_the_fields_that_vary_whatever_they_are(self, tmp_path: Path) -> None:
        specs = [
            dataclasses.replace(BASE, weighting="mad", auxiliary=None, fidelity=fidelity, losses=losses)
            for fidelity in ("paper", "reference")
            for losses in [("dice",), ("dice", "focal")]
        ]
        planned = plan_trials(tmp_path, specs)
        planned = [dataclasses.replace(t, configuration=f"{t.spec.fidelity} {len(t.spec.losses)}") for t in planned]
        write_trials(planned, FACTS)
        layout = lay_out(read_trials(planned), "paper 1")
        assert layout.axes == ("losses", "fidelity")
        assert [row.labels for row in layout.rows["phantom"]] == [
            ("Dice", "Reference"),
            ("Dice + Focal", "Paper"),
            ("Dice + Focal", "Reference"),
            ("Dice", "Paper"),
        ]

    def test_a_label_is_printed_where_it_or_one_further_out_changes(self, tmp_path: Path) -> None:
        specs = [
            dataclasses.replace(BASE, weighting=weighting, auxiliary=auxiliary, fidelity=fidelity)
            for fidelity in ("paper", "stable")
            for auxiliary in ("focal", "tversky")
            for weighting in ("mad", "variance")
        ]
        planned = plan_trials(tmp_path, specs)
        planned = [
            dataclasses.replace(t, configuration=f"{t.spec.fidelity} {t.spec.auxiliary} {t.spec.weighting}")
            for t in planned
        ]
        write_trials(planned, FACTS)
        table = build_tables(lay_out(read_trials(planned), "stable tversky variance"), {"phantom": FACTS})[0]
        assert table.axes == ("fidelity", "auxiliary", "weighting")
        assert [line.repeated for line in table.lines] == [0, 2, 1, 2, 0, 2, 1, 0]
        assert [line.opens for line in table.lines] == [True, False, False, False, True, False, False, True]
        assert [labels_to_print(line) for line in table.lines][1:4] == [
            ["", "", "Variance"],
            ["", "Tversky", "MAD"],
            ["", "", "Variance"],
        ]


class TestCsv:
    def test_every_score_of_every_trial_is_there_as_a_fraction(self, by_hand: Layout) -> None:
        scores = score_table(by_hand)
        chosen = scores[(scores.split == "test") & (scores.protocol == "per_image") & (scores.metric == "dice")]
        keys = zip(chosen.weighting.str.lower(), chosen.seed, strict=True)
        assert dict(zip(keys, chosen.value, strict=True)) == BY_HAND

    def test_an_axis_that_is_called_like_a_column_has_one_of_its_own(self, tmp_path: Path) -> None:
        specs = [
            dataclasses.replace(BASE, seed=seed, split=split) for seed in (0, 1) for split in ("random", "grouped")
        ]
        planned = [dataclasses.replace(one, configuration=one.spec.split) for one in plan_trials(tmp_path, specs)]
        write_trials(planned, make_facts())
        scores = score_table(lay_out(read_trials(planned), "grouped"))
        assert set(scores["spec_split"].str.lower()) == {"random", "grouped"}
        assert set(scores["split"]) == {"test", "validation"}

    def test_means_agree_with_the_tables(self, by_hand: Layout, per_image: Table) -> None:
        summary = summary_table(score_table(by_hand))
        chosen = summary.query("split == 'test' and protocol == 'per_image' and metric == 'dice'")
        found = chosen[chosen.weighting == "Variance"].iloc[0]
        assert found["mean"] * 100 == pytest.approx(per_image.lines[0].entries[0].mean)
        assert found["std"] * 100 == pytest.approx(per_image.lines[0].entries[0].std)
        assert found["repeats"] == 3


class TestText:
    def test_latex_is_the_papers_table_with_the_best_in_bold(self, per_image: Table) -> None:
        text = to_latex(per_image)
        assert r"CB-Dice & Variance & {$\mathbf{83.00 \pm 2.65}$}" in text
        assert r"None & Fixed (baseline) & {$\underline{73.00 \pm 3.61}$}" in text
        assert all(
            rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\label{tab:phantom_per_image}")
        )

    def test_a_long_label_is_broken_where_it_has_spaces(self, per_image: Table) -> None:
        first = dataclasses.replace(
            per_image.lines[0], labels=("Cross entropy + Smooth L1 + Focal + Dice", "alpha=0.25, gamma=2.0")
        )
        text = to_latex(dataclasses.replace(per_image, lines=(first,)))
        assert r"\begin{tabular}[t]{@{}l@{}}Cross entropy + Smooth L1 + Focal \\ + Dice\end{tabular} &" in text
        assert "& alpha=0.25, gamma=2.0 &" in text

    def test_latex_specials_are_escaped(self, per_image: Table) -> None:
        assert escape_latex("a_b & 50 % of {x} #1 ~ ^ \\ $") == (
            r"a\_b \& 50 \% of \{x\} \#1 \textasciitilde{} \textasciicircum{} \textbackslash{} \$"
        )
        assert r"Simulated \& real\_\allowbreak{}istic ultrasound" in to_latex(per_image)

    def test_markdown_has_a_row_a_configuration(self, per_image: Table) -> None:
        text = to_markdown(per_image)
        assert "| CB-Dice | Variance | **83.00 ± 2.65** |" in text
        assert "| None | Fixed | <u>73.00 ± 3.61</u> |" in text


class TestComparisons:
    def test_differences_are_paired_by_seed(self, by_hand: Layout) -> None:
        # 80 - 70, 84 - 72, 85 - 77 = 10, 12, 8: mean 10, standard deviation 2.
        found = next(c for c in compare(by_hand, {"phantom": FACTS}) if (c.protocol, c.metric) == ("per_image", "dice"))
        assert found.differences == pytest.approx((10, 12, 8))
        reach = 4.302652729911275 * 2 / math.sqrt(3)  # t, 2 degrees of freedom, 97.5 %
        assert (found.mean, found.low, found.high) == pytest.approx((10, 10 - reach, 10 + reach))
        assert (found.bootstrap_low, found.bootstrap_high) == pytest.approx((8, 12))
        assert found.p_wilcoxon == pytest.approx(0.25)
        assert found.p_t == pytest.approx(stats.ttest_1samp([10, 12, 8], 0).pvalue)
        assert found.clear

    def test_one_seed_is_not_compared(self, tmp_path: Path) -> None:
        planned = plan_trials(tmp_path, two_configurations(seeds=1))
        write_trials(planned, FACTS)
        assert compare(lay_out(read_trials(planned), "fixed · none"), {"phantom": FACTS}) == []
        assert caveat([]).startswith("Differences are not tested")

    def test_holm_by_hand(self) -> None:
        # Sorted .01 .03 .04: 3 x .01 = .03; 2 x .03 = .06; 1 x .04 = .04, raised to .06.
        assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
        assert holm([0.9, 0.8]) == pytest.approx([1, 1])
        assert holm([]) == []
        assert holm([0.02, math.nan])[0] == pytest.approx(0.02)

    def test_few_seeds_are_called_few(self, by_hand: Layout) -> None:
        def of(pairs: int) -> str:
            return caveat([dataclasses.replace(one, differences=(1.0,) * pairs) for one in found])

        found = compare(by_hand, {"phantom": FACTS})[:1]
        assert smallest_wilcoxon_p(3) == 0.25 == stats.wilcoxon([1.0, 2.0, 3.0]).pvalue
        assert "below 0.25" in of(3)
        assert "needs more pairs" in of(5)
        assert "needs more pairs" not in of(10)

    def test_no_difference_at_all(self, tmp_path: Path) -> None:
        planned = plan_trials(tmp_path, two_configurations())
        write_trials(planned, FACTS, lambda spec: 0.8)
        found = compare(lay_out(read_trials(planned), "fixed · none"), {"phantom": FACTS})[0]
        assert (found.mean, found.low, found.high, found.p_wilcoxon) == (0, 0, 0, 1)
        assert not found.clear

    def test_every_configuration_is_corrected_within_its_family(self, tmp_path: Path) -> None:
        planned = plan_trials(tmp_path, paper_specs())
        write_trials(planned, FACTS)
        found = [
            c
            for c in compare(lay_out(read_trials(planned), "fixed · none"), {"phantom": FACTS})
            if (c.protocol, c.metric) == ("reference", "cb_dice")
        ]
        assert len(found) == 12
        assert [c.p_holm_t for c in found] == pytest.approx(holm([c.p_t for c in found]))
        assert np.all(np.array([c.p_holm_t for c in found]) >= [c.p_t for c in found])
