"""The papers' tables by their numbers: how ours is chosen and compared, what is missing, and what is written."""

from __future__ import annotations

import dataclasses
import math
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dmf.models import build_model
from dmf.training.spec import TrialSpec
from pipelines.core.console import StageError
from pipelines.papers.identities import Break
from pipelines.papers.printed import printed, select
from pipelines.report.build import build_report
from pipelines.report.printed.make import INDEX, make_sheets, write_sheets
from pipelines.report.printed.matching import Trials, choose
from pipelines.report.printed.measures import cost
from pipelines.report.printed.sheet import Measured, Unmade, score_cell
from pipelines.report.printed.writers import sheet_rows, sheet_to_latex, sheet_to_markdown
from pipelines.report.results import StudyFacts
from tests.support.printed_tables import fill, made, record
from tests.support.report_trials import make_facts, paper_specs, plan_trials, write_trials


class TestCells:
    def test_a_difference_in_standard_errors_of_both_spreads(self) -> None:
        (number,) = select(printed(), table="1", auxiliary="tversky", weighting="variance", metric="dice")
        assert (number.text, number.std) == ("93.30", 0.91)
        found = score_cell(Measured(94.0, 1.0, 3), number, 2, repeats=10)
        assert found.difference == pytest.approx(0.70)
        # sqrt(1 / 3 + 0.91^2 / 10) = sqrt(0.333333 + 0.082810) = 0.645091
        assert found.errors == pytest.approx(0.70 / 0.645091, rel=1e-5)
        # Where it is not told how many trainings there were, the printed value counts as exact.
        assert score_cell(Measured(94.0, 1.0, 3), number, 2).errors == pytest.approx(0.70 * math.sqrt(3))

    def test_none_of_one_seed_nor_of_other_data(self) -> None:
        number = printed()[0]
        single = score_cell(Measured(94.0, math.nan, 1), number, 2, repeats=10)
        assert math.isfinite(single.difference)
        assert math.isnan(single.errors)
        assert math.isnan(score_cell(Measured(94.0, 1.0, 3), number, 2, same_data=False).difference)

    def test_an_exact_hit_has_no_minus(self) -> None:
        (number,) = select(printed(), table="1", auxiliary="tversky", weighting="variance", metric="dice")
        cell = score_cell(Measured(93.2999, 1.0, 3), number, 2)
        sheet = made(
            "dmf-1", [record({"reference": {"dice": 0.9}}, dataset="busi", weighting="mad", auxiliary="focal")]
        )
        line = dataclasses.replace(sheet.lines[0], cells=(cell, *sheet.lines[0].cells[1:]))
        text = sheet_to_markdown(dataclasses.replace(sheet, lines=(line,)))
        assert cell.errors < 0
        assert "(+0.0)" in text
        assert "counts as exact unless the paper gives its deviation and how many trainings it is over" in text


class TestChoosing:
    def test_the_most_preferred_that_is_there_and_the_first_of_several(self) -> None:
        trials = [
            record({}, dataset="busi", model=model, gamma0=gamma)
            for model in ("unet", "unet3d")
            for gamma in (1.0, 2.0)
        ]
        found = choose(trials, {"model": ["transunet", "unet3d", "unet"]})
        assert [r.spec.model for r in found.records] == ["unet3d"]
        assert found.records[0].spec.gamma0 == 1.0
        assert found.remarks == (
            "model is unet3d where transunet is meant",
            "of 2 configurations that fit a row, the study's first stands",
        )
        assert choose(trials, {"model": "swin_unet"}).records == ()

    def test_losses_fit_in_any_order(self) -> None:
        trial = record({}, dataset="busi", losses=("dice", "mse"))
        assert choose([trial], {"losses": ["mse", "dice"]}).records == (trial,)


class TestCost:
    def test_multiply_adds_are_those_of_the_convolutions(self) -> None:
        spec = TrialSpec(dataset="busi", seed=0, model="unet", model_params={"base_filters": 4}, image_size=32)
        model = build_model("unet", 1, 2, image_size=32, base_filters=4).eval()
        counted: list[int] = []

        def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            kernel = math.prod(module.kernel_size)  # type: ignore[arg-type]
            if isinstance(module, nn.ConvTranspose2d):
                counted.append(inputs[0].numel() * module.out_channels * kernel)
            elif isinstance(module, nn.Conv2d):
                counted.append(output.numel() * module.in_channels * kernel)

        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.register_forward_hook(count)
        with torch.no_grad():
            model(torch.zeros(1, 1, 32, 32))
        parameters, gflops = cost(spec, make_facts("busi"))
        assert parameters == sum(p.numel() for p in model.parameters()) / 1e6
        assert gflops == pytest.approx(sum(counted) / 1e9)

    def test_pretrained_weights_are_not_fetched_to_count(self) -> None:
        spec = TrialSpec(
            dataset="busi", seed=0, model="rfe_unet:resnet18", model_params={"pretrained": True}, image_size=64
        )
        assert cost(spec, make_facts("busi"))[0] > 1


class TestWhatIsMissing:
    def test_a_table_of_which_nothing_can_be_filled_is_a_line(self, tmp_path: Path) -> None:
        trials = Trials([record({}, dataset="busi")], {"busi": make_facts("busi")})
        sheets = make_sheets(["dmf-2", "loss_fusion-10"], trials)
        write_sheets(sheets, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [INDEX]
        lines = (tmp_path / INDEX).read_text().splitlines()
        assert lines[2] == "- dmf-2: not made, no trials on BUSC."

    def test_rows_that_the_study_lacks(self) -> None:
        sheet = fill("adaptexp-8", [record({}, dataset="ph2", model="unet")])
        assert isinstance(sheet, Unmade)
        assert sheet.reason.startswith(
            "no trials on ISIC 2018, ISIC 2017; no trial of the study is one of its rows: BCE"
        )

    def test_two_tables_of_one_number_are_refused(self) -> None:
        trials = Trials([record({}, dataset="busi")], {"busi": make_facts("busi")})
        with pytest.raises(StageError, match="two tables have the number 7"):
            make_sheets(["adaptexp-7", "loss_fusion-7"], trials)


class TestFiles:
    def test_every_reason_stands_in_the_csv(self) -> None:
        (number,) = select(printed(), table="1", auxiliary="tversky", weighting="variance", metric="dice")
        found = score_cell(
            Measured(94.0, 1.0, 3),
            number,
            2,
            10,
            breaks=[Break("x", (number,), 1.0, "One."), Break("x", (number,), 1.0, "Two.")],
        )
        sheet = made(
            "dmf-1", [record({"reference": {"dice": 0.9}}, dataset="busi", weighting="mad", auxiliary="focal")]
        )
        line = dataclasses.replace(sheet.lines[0], cells=(found, *sheet.lines[0].cells[1:]))
        sheet = dataclasses.replace(sheet, lines=(line,))
        row = sheet_rows(sheet).iloc[0]
        assert (row["row"], row["column"], row["ours"], row["printed"]) == ("Focal loss, MAD", "Dice", 94.0, "93.30")
        assert (row["breaks"], row["reasons"]) == ("x", "One. Two.")
        assert sheet.mark_notes[0] == ("a", "One. (1 more like it in the CSV file.)")
        assert r"\textsuperscript{a}" in sheet_to_latex(sheet)
        assert "94.00 ± 1.00<br>*93.30 ± 0.91<sup>a</sup> (+1.1)*" in sheet_to_markdown(sheet)

    @pytest.mark.slow
    def test_a_report_has_them_on_its_page_and_typesets_them(self, tmp_path: Path) -> None:
        facts = make_facts()
        specs = [spec for spec in paper_specs(seeds=2) if spec.weighting in ("mad", "fixed")]
        planned = plan_trials(tmp_path / "trials", specs)
        write_trials(planned, facts)
        study = StudyFacts("s", "A study", [], tables=["dmf-1", "loss_fusion-16"])
        page = build_report(study, planned, "fixed · none", {"phantom": facts}, tmp_path)
        text = page.read_text()
        assert 'href="tables/table_1.md"' in text
        assert "loss_fusion-16: not made, no trial" in text
        tables = page.parent / "tables"
        assert {path.suffix for path in tables.glob("table_1.*")} == {".tex", ".md", ".csv"}
        assert (tables / "table_1.md").read_text().count("<br>") == 5 * 6
        if shutil.which("pdflatex"):
            command = ["pdflatex", "-interaction=nonstopmode", "all_tables.tex"]
            ran = subprocess.run(command, cwd=tables, capture_output=True, text=True)
            assert ran.returncode == 0, ran.stdout
            assert "Overfull" not in ran.stdout
