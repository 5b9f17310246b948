"""The layouts of the papers' tables, one test each, with cells that are worked out by hand."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pandas as pd
import pytest

from dmf.models import build_model
from pipelines.report.printed.sheet import Measured, Unmade
from pipelines.report.printed.writers import sheet_to_markdown
from tests.support.printed_tables import ALONE, SMALL, cell, fill, made, per_image, record
from tests.support.report_trials import make_classified


class TestLayouts:
    def test_auxiliary_losses_and_weightings_by_metric_dmf(self) -> None:
        scores = [{"reference": {"dice": value, "f1": value}} for value in (0.93, 0.94, 0.95)]
        sheet = made(
            "dmf-1",
            [
                record(score, dataset="busi", seed=seed, weighting="variance", auxiliary="tversky")
                for seed, score in enumerate(scores)
            ],
        )
        assert sheet.stem == "table_1"
        assert [line.labels for line in sheet.lines] == [("Tversky loss", "Variance")]
        dice, f1 = (cell(sheet, ("Tversky loss", "Variance"), head) for head in ("Dice", "F1-score"))
        assert (dice.ours, dice.theirs) == ("94.00 ± 1.00", "93.30 ± 0.91")
        assert dice.errors == pytest.approx(1.0851, abs=1e-4)
        assert dice.checks == ()
        # 93.36 > (94.37 + 92.28) / 2 = 93.325
        assert f1.checks == ("f1_above_mean",)
        assert sheet.marks["f1_above_mean"] == "a"
        assert "Ours of 3 seeds, under the protocol reference." in sheet.notes
        assert any(note.startswith("Missing: rows Tversky loss · MAD, Tversky loss · Bayesian") for note in sheet.notes)

    def test_bayesian_rows_are_those_of_the_notebook(self) -> None:
        values = {"paper": 0.90, "reference": 0.80, "stable": 0.70}
        trials = [
            record(
                {"reference": {"dice": value}}, dataset="busi", weighting=weighting, auxiliary="focal", fidelity=name
            )
            for weighting in ("mad", "bayesian")
            for name, value in values.items()
        ]
        sheet = made("dmf-1", trials)
        assert cell(sheet, ("Focal loss", "MAD"), "Dice").ours == "90.00"
        assert cell(sheet, ("Focal loss", "Bayesian"), "Dice").ours == "80.00"

    def test_rows_by_losses_with_what_the_network_costs(self) -> None:
        trials = [
            record(per_image(iou, dice), dataset="isic2018", model="unet_classic", losses=(loss,), seed=seed, **SMALL)
            for loss, iou, dice in (("binary_cross_entropy", 0.80, 0.88), ("adapt_exp", 0.70, 0.82))
            for seed in (0, 1)
        ]
        sheet = made("adaptexp-7", trials)
        row = ("ISIC 2018", "Unet")
        assert [line.labels for line in sheet.lines] == [row]
        assert sheet.heads[0] == ("BCE", "mIoU")
        assert cell(sheet, row, "BCE", "mIoU").theirs == "79.3"
        assert cell(sheet, row, "BCE", "mIoU").difference == pytest.approx(0.7)
        assert cell(sheet, row, "AdaEXP", "mDice").ours == "82.00 ± 0.00"
        assert cell(sheet, row, "FocalLoss", "mIoU").ours == ""
        assert cell(sheet, row, "GFLOPs").theirs == "54.7378"
        parameters = sum(
            p.numel() for p in build_model("unet_classic", 1, 2, image_size=16, **SMALL["model_params"]).parameters()
        )
        assert cell(sheet, row, "Parameters (M)").measured == Measured(
            parameters / 1e6, pytest.approx(math.nan, nan_ok=True), 1
        )
        assert any("data of ISIC 2017, PH2" in note for note in sheet.notes)

    def test_losses_by_metrics_on_other_data_take_no_difference(self) -> None:
        trials = [
            record(per_image(0.6, 0.75), dataset="phantom", model="rfe_unet:resnet18", losses=("dice",), seed=seed,
                   weighting="fixed", auxiliary=None) for seed in (0, 1)
        ]  # fmt: skip
        sheet = made("adaptexp-8", trials)
        found = cell(sheet, ("phantom for ISIC 2018", "Dice"), "IoU")
        assert (found.ours, found.theirs) == ("60.00 ± 0.00", "83.47")
        assert math.isnan(found.difference)
        text = " ".join(sheet.notes)
        assert "stands for ISIC 2018: the printed numbers are of other data" in text
        assert "Model is rfe_unet:resnet18 where rfe_unet:resnet101 is meant." in text

    def test_components_one_after_the_other(self) -> None:
        common = {"dataset": "ph2", "model": "rfe_unet:resnet101", **ALONE}
        plain = record(
            per_image(0.89, 0.91), losses=("binary_cross_entropy",), model_params={"skips": "plain"}, **common
        )
        with_rfe = record(per_image(0.90, 0.92), losses=("binary_cross_entropy",), **common)
        sheet = made("adaptexp-9", [plain, with_rfe])
        assert cell(sheet, ("PH2", "Base Line (BCE)"), "IoU").ours == "89.00"
        assert cell(sheet, ("PH2", "Base Line (BCE) + RFE"), "IoU").ours == "90.00"
        # Without RFE it prints what table 8 prints with it.
        assert "without_is_with" in cell(sheet, ("PH2", "Base Line (BCE)"), "IoU").checks

    def test_two_protocols_in_a_row_and_quoted_rivals(self) -> None:
        scores = {**per_image(0.86, 0.91), "pooled": {"iou": 0.85, "dice": 0.92}}
        common = {"dataset": "isic2018", "losses": ("adapt_exp",), **ALONE}
        sheet = made(
            "adaptexp-4",
            [record(scores, model="rfe_unet:resnet101", **common), record(scores, model="transunet", **common)],
        )
        quoted = [line for line in sheet.lines if line.quoted]
        assert len(quoted) == 13
        assert all(cell.measured is None for line in quoted for cell in line.cells)
        assert [cell.ours for cell in sheet.lines[-1].cells] == ["86.00", "91.00", "85.00", "92.00"]
        # 2 * 85.13 / 1.8513 = 91.97, and 92.37 is printed.
        assert cell(sheet, ("Our method (2024)",), "mDice*").checks == ("pooled_dice",)
        assert "TransUnet (2021), quoted" in sheet_to_markdown(sheet)

    def test_binary_beside_multiclass_with_the_loss_value(self, tmp_path: Path) -> None:
        epochs = pd.DataFrame({"epoch": [0, 1], "train_total": [0.9, 0.125]})
        epochs.to_parquet(tmp_path / "epochs.parquet")
        scores = {"weighted": {"accuracy": 0.9, "precision": 0.91, "recall": 0.9}}
        trials = [
            record(scores, folder=tmp_path, dataset=dataset, model="small_cnn", losses=("dice",), weighting="fixed",
                   auxiliary=None) for dataset in ("brain_tumor_binary", "brain_tumor_mri")
        ]  # fmt: skip
        classified = {trial.spec.dataset: make_classified(trial.spec.dataset) for trial in trials}
        sheet = made("loss_fusion-7", trials, **classified)
        row = ("Dice Loss",)
        assert [heads[0] for heads in sheet.heads] == ["Loss value", *["Binary"] * 3, *["Multiclass"] * 3]
        assert (cell(sheet, row, "Loss value").ours, cell(sheet, row, "Loss value").theirs) == ("0.1250", "0.807")
        assert cell(sheet, row, "Binary", "Accuracy").theirs == "0.825"
        assert cell(sheet, row, "Multiclass", "Accuracy").difference == pytest.approx(0.9 - 0.66)
        # One task alone keeps the layout: the other shows what is printed.
        alone = made("loss_fusion-7", trials[1:], **classified)
        assert (cell(alone, row, "Binary", "Accuracy").ours, cell(alone, row, "Binary", "Accuracy").theirs) == (
            "",
            "0.825",
        )
        assert "Missing: data of Brain tumour (binary)" in " ".join(alone.notes)

    def test_levels_of_noise_as_columns(self) -> None:
        scores = {
            "per_image": {"iou": 0.9, "dice": 0.95},
            "per_image@noise=0.05": {"iou": 0.8, "dice": 0.88},
            "per_image@noise=0.1": {"iou": 0.7, "dice": 0.8},
        }
        trial = record(
            scores, dataset="ph2", model="rfe_unet:resnet50", losses=("adapt_exp",), weighting="fixed", auxiliary=None,
            test_noise=(0.05, 0.1),
        )  # fmt: skip
        sheet = made("adaptexp-10", [trial])
        row = ("PH2", "Ours (resnet50)")
        assert [heads[0] for heads in sheet.heads] == ["noise 0.05"] * 2 + ["noise 0.1"] * 2 + ["printed"] * 2
        assert cell(sheet, row, "noise 0.1", "mIoU").ours == "70.00"
        assert cell(sheet, row, "noise 0.1", "mIoU").theirs == ""
        assert cell(sheet, row, "printed", "mDice").theirs == "92.7"

    def test_single_folds_as_rows(self) -> None:
        values = (0.90, 0.92, 0.94, 0.91, 0.93)
        trials = [
            record(per_image(value, value), dataset="ph2", model="rfe_unet:resnet101", losses=("adapt_exp",), seed=seed,
                   weighting="fixed", auxiliary=None, split=f"fold:{fold}")
            for seed in (0, 1) for fold, value in enumerate(values)
        ]  # fmt: skip
        sheet = made("adaptexp-11", trials)
        assert [line.labels[0] for line in sheet.lines] == ["1", "2", "3", "4", "5", "Mean", "St. Dev."]
        assert cell(sheet, ("3",), "mIoU (%)").ours == "94.000 ± 0.000"
        # The deviation of 90, 92, 94, 91, 93 is sqrt(10 / 4), over folds and not over ten trainings.
        assert cell(sheet, ("Mean",), "mIoU (%)").ours == "92.000 ± 1.581"
        assert cell(sheet, ("St. Dev.",), "mIoU (%)").ours == "1.581"
        assert cell(sheet, ("St. Dev.",), "mDice (%)").checks == ("split_is_folds", "folds")

    def test_data_sets_as_columns_and_the_soft_protocol_first(self) -> None:
        scores = {**per_image(0.6, 0.7, sensitivity=0.8, specificity=0.99), "soft": {"iou": 0.65, "dice": 0.75}}
        common = {
            "dataset": "picai2022",
            "model": "unet",
            "losses": ("focal",),
            "weighting": "fixed",
            "auxiliary": None,
        }
        sheet = made("adaptive_focal-losses", [record(scores, **common)])
        assert cell(sheet, ("Focal",), "PI-CAI 2022", "IoU").ours == "0.650"
        assert cell(sheet, ("Focal",), "PI-CAI 2022", "Sensitivity").ours == "0.800"
        assert cell(sheet, ("Focal",), "BraTS 2018", "IoU").theirs == "0.869"
        assert ("BraTS 2018", "Sensitivity") not in sheet.heads  # neither ours nor printed
        hard = made("adaptive_focal-losses", [record(per_image(0.6, 0.7), **common)])
        assert cell(hard, ("Focal",), "PI-CAI 2022", "IoU").ours == "0.600"

    def test_the_best_of_each_order_is_chosen_by_validation(self) -> None:
        tried = {("dice",): (0.9, 0.7), ("mse",): (0.8, 0.99), ("dice", "mse"): (0.95, 0.85)}
        trials = [
            record({"weighted": {"accuracy": test, "precision": test, "recall": test}},
                   {"weighted": {"accuracy": valid}}, dataset="brain_tumor_mri", model="small_cnn", losses=losses,
                   weighting="fixed", auxiliary=None)
            for losses, (valid, test) in tried.items()
        ]  # fmt: skip
        facts = {"brain_tumor_mri": make_classified("brain_tumor_mri")}
        sheet = made("loss_fusion-19", trials, **facts)
        one, two = (("Brain tumour", "Multiclass", order) for order in "12")
        assert cell(sheet, one, "Combination").ours == "Dice Loss"
        assert cell(sheet, one, "Combination").theirs == "Categorical Cross Entropy"
        assert cell(sheet, one, "Accuracy").ours == "0.7000"
        assert cell(sheet, one, "Accuracy").theirs == "0.9855"
        assert cell(sheet, two, "Combination").ours == "Dice Loss + Mean Squared Error"
        assert len(sheet.lines) == 2
        overall = made("loss_fusion-20", trials, **facts)
        assert cell(overall, ("Brain tumour", "Multiclass"), "Accuracy").ours == "0.8500"

    def test_images_settings_and_surveys(self) -> None:
        trial = record(per_image(0.6, 0.7), dataset="isic2018", epochs=8, batch_size=4)
        split = made("adaptexp-2", [trial])
        images = cell(split, ("ISIC 2018",), "Training images")
        assert (images.ours, images.theirs, images.difference) == ("10", "1815", -1805.0)
        longer = trial.model_copy(update={"spec": dataclasses.replace(trial.spec, epochs=9)})
        settings = made("adaptexp-3", [trial, longer])
        epochs = cell(settings, ("Epochs",), "Value")
        assert (epochs.ours, epochs.theirs) == ("8; 9", "50")
        assert math.isnan(epochs.difference)
        classes = ("glioma", "meningioma", "notumor", "pituitary")
        facts = dataclasses.replace(make_classified("brain_tumor_mri"), classes=classes)
        counted = made("loss_fusion-2", [record({}, dataset="brain_tumor_mri")], brain_tumor_mri=facts)
        assert cell(counted, ("Glioma",), "Count").ours == str(int((facts.truths == 0).sum())) == "8"
        assert "Not printed, and in our copy: notumor." in counted.notes
        assert isinstance(fill("adaptexp-1", [trial]), Unmade)
