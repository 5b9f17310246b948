"""What is wrong in print, found from the CSV files alone: each break that was found by hand, with its amount."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from pipelines.papers.identities import Break, broken_cells, find_breaks
from pipelines.papers.identities.classified import (
    THOUSANDTH,
    base_rates,
    classified_rows,
    count_pairs,
    fine,
    is_multiple,
    size_of_test_set,
)
from pipelines.papers.identities.overlap import dice_of, least_dice
from pipelines.papers.printed import FOLDER, printed, rows, select, sources


def breaks(check: str, **of_first_cell: object) -> list[Break]:
    return [one for one in find_breaks() if one.check == check and select(one.cells[:1], **of_first_cell)]


def amount(check: str, **of_first_cell: object) -> float:
    (one,) = breaks(check, **of_first_cell)
    return one.amount


def prose(says: str) -> list[Break]:
    return [one for one in find_breaks() if one.check == "prose" and says in one.reason]


class TestPrintedNumbers:
    def test_every_line_of_every_file_is_read_and_has_its_source(self) -> None:
        lines = sum(len(path.read_text().splitlines()) - 1 for path in FOLDER.glob("*.csv"))
        scores = [number for number in printed() if number.metric not in ("gflops", "loss_value")]
        assert len(scores) == lines == 422 + 32 + 234 + 760
        assert {path.name for path in FOLDER.glob("*.csv")} == set(sources())

    def test_a_number_keeps_its_decimals_deviation_and_unit(self) -> None:
        (number,) = select(printed(), table="6", architecture="rfe_unet_resnet101", metric="miou")
        assert (number.text, number.value, number.std, number.unit) == ("93.13", 93.13, 0.025, "percent")
        assert number.rounding == pytest.approx(0.005)

    def test_losses_have_our_names(self) -> None:
        (number,) = select(printed(), table="8", losses=("smooth_l1", "cross_entropy"), task="binary", metric="recall")
        assert number.value == 0.9947

    def test_gflops_and_loss_values_stand_once_a_row(self) -> None:
        assert len(select(printed(), metric="gflops")) == 7 * 4 * 3
        assert [number.value for number in select(printed(), table="9", metric="loss_value")] == [
            0.0044,
            0.0041,
            0.0044,
        ]


class TestDmf:
    def test_dice_above_the_most_that_iou_permits(self) -> None:
        # 2 * 89.10 / 1.891 = 94.236; 2 * 85.34 / 1.8534 = 92.090.
        assert amount("dice_above_bound", table="2", weighting="variance", auxiliary="") == pytest.approx(
            0.654, abs=1e-3
        )
        assert amount("dice_above_bound", table="3", weighting="fixed") == pytest.approx(0.070, abs=1e-3)
        assert len(breaks("dice_above_bound")) == 2

    def test_dice_of_tversky_with_variance_is_2_09_below_its_iou(self) -> None:
        row = rows(select(printed(), paper="dmf", table="3", auxiliary="tversky", weighting="variance"))
        ((dice, iou),) = [(cells["dice"].value, cells["iou"].value) for cells in row.values()]
        assert dice_of(iou) - dice == pytest.approx(2.09, abs=0.005)
        # Over two classes the least is one perfect and one of IoU 2 * 91.28 - 100 = 82.56: (100 + 90.45) / 2 = 95.22.
        assert least_dice(iou) == pytest.approx(95.223, abs=1e-3)
        (one,) = breaks("dice_below_bound", table="3", auxiliary="tversky", weighting="variance")
        assert one.amount == pytest.approx(least_dice(iou, 5) - dice)
        assert "2.09 below" in one.reason

    def test_f1_above_the_mean_of_precision_and_recall(self) -> None:
        assert amount("f1_above_mean", table="3", auxiliary="cb_dice", weighting="variance") == pytest.approx(0.30)
        assert amount("f1_above_mean", table="3", auxiliary="cb_dice", weighting="bayesian") == pytest.approx(0.10)
        assert amount("f1_above_mean", table="1", auxiliary="tversky", weighting="variance") == pytest.approx(0.035)
        assert len(breaks("f1_above_mean")) == 3

    def test_f1_below_dice_in_five_cells(self) -> None:
        amounts = sorted(one.amount for one in breaks("f1_below_dice"))
        assert amounts == pytest.approx([0.03, 0.04, 0.40, 0.87, 0.88])
        assert amount("f1_below_dice", table="2", weighting="variance") == pytest.approx(0.88)

    def test_bayesian_is_mad_but_differs_by_up_to_3_22(self) -> None:
        assert max(one.amount for one in breaks("bayesian_is_mad")) == pytest.approx(3.22)
        assert len(breaks("bayesian_is_mad")) == 12

    @pytest.mark.parametrize(
        ("says", "off"),
        [
            ("the highest precision (96.12)", 96.95 - 96.12),
            ("in precision (97.31)", 97.31 - 93.30),
            ("highest dice score of 91.20", 93.99 - 91.20),
            ("noticeably worse", 91.84 - 90.53),
            ("range from 93.95", 93.95 - 93.40),
            ("balanced performance", 8.47),
        ],
    )
    def test_sentences_that_the_tables_contradict(self, says: str, off: float) -> None:
        assert [one.amount for one in prose(says)] == [pytest.approx(off)]

    def test_which_number_of_the_row_was_taken_for_another(self) -> None:
        said = {"in precision (97.31)": "recall", "highest dice score of 91.20": "cb_dice"}
        said |= {"mean Dice score of 93.13": "miou", "accuracy of 0.6212": "recall"}
        for says, metric in said.items():
            (one,) = prose(says)
            assert one.reason.endswith(f"; what is said is its {metric}.")


class TestAdaptiveFocal:
    def test_gains_of_the_abstract(self) -> None:
        iou, dice = prose("Outperforming regular Focal Loss")
        assert "+0.006" in iou.reason
        assert "+0.043" in dice.reason
        (hybrid,) = prose("Dice-Focal")  # +1.2 Dice agrees
        assert "+0.011" in hybrid.reason

    def test_the_claimed_gain_is_the_distance_to_tversky(self) -> None:
        ours, tversky = (
            select(printed(), dataset="picai2022", losses=(loss,), metric="iou")[0].value
            for loss in ("adaptive_focal", "tversky")
        )
        assert ours - tversky == pytest.approx(0.055)

    def test_dice_loss_is_above_it_on_brats(self) -> None:
        rivals = {one.cells[1].losses: one.cells[1].text for one in prose("Significantly surpasses")}
        assert rivals == {("dice",): "0.933", ("dice", "focal"): "0.884"}
        assert {one.cells[1].text for one in prose("Significantly surpasses")} == {"0.891", "0.933", "0.884"}


class TestAdaptExp:
    def test_pooled_dice_fails_in_all_six_own_rows_by_11_to_80(self) -> None:
        own = breaks("pooled_dice", architecture={"expunet", "rfe_unet_resnet101"})
        assert len(own) == 6
        assert min(one.amount for one in own) == pytest.approx(0.11, abs=0.005)
        assert max(one.amount for one in own) == pytest.approx(0.80, abs=0.005)

    def test_and_in_three_quoted_rows(self) -> None:
        quoted = {(one.table, one.cells[0].architecture) for one in breaks("pooled_dice")}
        assert quoted - {(t, a) for t in "456" for a in ("expunet", "rfe_unet_resnet101")} == {
            ("4", "ucm_net"),
            ("5", "sanet"),
            ("6", "ucm_net"),
        }

    @pytest.mark.parametrize(
        ("dataset", "loss", "texts"),
        [
            ("ph2", "binary_cross_entropy", {"92.5", "89.32", "95.2", "91.24"}),
            ("ph2", "focal", {"89.95", "84.93"}),
            ("isic2017", "binary_cross_entropy", {"83.7", "83.21"}),
        ],
    )
    def test_the_same_configuration_differs_between_tables(self, dataset: str, loss: str, texts: set[str]) -> None:
        found = breaks("same_configuration", paper="adaptexp", dataset=dataset, losses=(loss,))
        assert texts <= {cell.text for one in found for cell in one.cells}

    def test_table_9_without_rfe_is_table_8_with_it_on_all_three_sets(self) -> None:
        assert Counter(one.cells[0].dataset for one in breaks("without_is_with")) == dict.fromkeys(
            ("isic2018", "isic2017", "ph2"), 2
        )

    def test_improved_every_model_but_attention_unet(self) -> None:
        (one,) = prose("improved the performance metrics of every model")
        assert one.amount == pytest.approx(77.95 - 77.54)

    def test_resnet_101_throughout_but_focal_and_dice(self) -> None:
        found = {(one.cells[0].dataset, one.cells[0].losses) for one in prose("ResNet-101 backbone consistently")}
        assert found == {("isic2017", ("focal",)), ("isic2018", ("dice",))}

    def test_table_11_is_misquoted(self) -> None:
        assert [round(one.amount, 3) for one in prose("mean Dice score of 93.13")] == [2.891]

    def test_table_6_is_the_mean_over_five_folds(self) -> None:
        assert len(breaks("split_is_folds", table="6")) == 2

    def test_the_folds_have_a_deviation_of_294(self) -> None:
        (one,) = breaks("folds")
        assert (one.cells[0].text, round(one.amount, 4)) == ("0.293", 0.0009)

    def test_parts_of_isic_2017_add_up_to_2150(self) -> None:
        assert ["2150" in one.reason for one in prose("1400 for training")] == [True]
        assert not prose("1815 for training") + prose("140 for training")


class TestLossFusion:
    def test_weighted_recall_differs_from_accuracy_in_34_of_250_cells(self) -> None:
        found = breaks("recall_is_accuracy")
        assert Counter(one.cells[0].dataset for one in found) == {"deepglobe": 20, "crack": 11, "brain_tumor": 3}
        assert len(select(printed(), paper="loss_fusion", metric="recall")) == 250
        assert min(one.amount for one in found) > THOUSANDTH

    def test_40_of_41_brain_accuracies_are_multiples_of_1_over_1311(self) -> None:
        brain = fine(select(printed(), dataset="brain_tumor", metric="accuracy"))
        assert len(brain) == 41
        assert size_of_test_set(brain) == (1311, 40)
        assert [cell.text for cell in brain if not is_multiple(cell, 1311)] == ["0.9822"]

    def test_two_accuracies_are_misprints_by_their_own_recalls(self) -> None:
        found = {one.cells[0].text: one.reason for one in breaks("grim")}
        assert "1091/1311" in found["0.9822"]
        assert "1177/1311" in found["0.991"]
        assert set(found) == {"0.9822", "0.991", "0.99"}

    def test_40_cells_are_constant_predictors(self) -> None:
        found = Counter(one.cells[0].dataset for one in breaks("constant_predictor"))
        assert found == {"crack": 23, "deepglobe": 15, "tomato_leaf": 2}

    @pytest.mark.parametrize(
        ("scores", "constant"),
        [
            (("1.0000", "1.0000", "1.0000"), False),
            ((".9990", ".9990", ".9990"), False),
            ((".9995", ".9990", ".9995"), False),
            ((".9000", ".8100", ".9000"), True),
            ((".9000", ".9000", ".9000"), False),
        ],
    )
    def test_a_near_perfect_classifier_is_no_constant_predictor(
        self, scores: tuple[str, str, str], constant: bool
    ) -> None:
        (some, *_) = select(printed(), paper="loss_fusion", metric="accuracy")
        names = ("accuracy", "precision", "recall")
        row = {
            name: dataclasses.replace(some, metric=name, text=text) for name, text in zip(names, scores, strict=True)
        }
        assert bool(base_rates([row])) is constant

    def test_several_base_rates_a_data_set(self) -> None:
        rates = base_rates(classified_rows(printed()))
        assert rates["crack", "binary"] == [0.9356, 0.9871]
        assert rates["deepglobe", "binary"] == [0.9248, 0.9773]
        assert {(one.cells[0].dataset, one.cells[0].task) for one in breaks("base_rates")} == {
            (dataset, task) for dataset in ("crack", "deepglobe") for task in ("binary", "multiclass")
        }

    def test_the_winner_on_deepglobe_predicts_one_of_seven_classes(self) -> None:
        (one,) = breaks("constant_predictor_macro", losses=("cross_entropy", "mse"))
        assert "1/7" in one.reason

    def test_the_winner_on_cracks_has_swapped_columns(self) -> None:
        (one,) = breaks("swapped_columns")
        assert one.cells[0].losses == ("focal", "binary_cross_entropy")

    def test_two_cross_entropies_are_one_loss_on_two_outputs(self) -> None:
        assert amount("two_cross_entropies", dataset="brain_tumor") == pytest.approx(0.987 - 0.898)

    def test_pairs_beat_both_members_in_59_of_154_and_lose_to_both_in_55(self) -> None:
        found = count_pairs(printed())
        assert (found.pairs, found.beat_both, found.lose_to_both) == (154, 59, 55)

    @pytest.mark.parametrize(
        ("says", "off"), [("(0.8281)", 0.9667 - 0.8281), ("accuracy of 0.6212", 0.6212 - 0.601), ("0.9994", 0.0002)]
    )
    def test_sentences_that_the_tables_contradict(self, says: str, off: float) -> None:
        assert [one.amount for one in prose(says)] == [pytest.approx(off)]

    def test_focal_of_table_5_is_not_that_of_table_16(self) -> None:
        assert amount("same_configuration", table="5", losses=("focal",)) == pytest.approx(0.979 - 0.60)


class TestMarks:
    def test_a_cell_knows_its_breaks(self) -> None:
        marked = broken_cells()
        (cell,) = select(printed(), paper="dmf", table="3", metric="f1", weighting="fixed")
        assert [one.check for one in marked[cell]] == ["f1_below_dice"]

    def test_sentences_mark_no_cell(self) -> None:
        assert not [one for found in broken_cells().values() for one in found if one.check == "prose"]
