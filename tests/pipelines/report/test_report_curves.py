"""Curves by epoch: which lines share a panel, which have a name, and on what scale losses are compared."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.report.curves import NAMED, divide, draw_convergence, still_to_fall
from pipelines.report.layout import Layout, lay_out
from pipelines.trials.finished import read_trials
from tests.support.report_trials import BASE, make_facts, plan_trials, write_trials

FACTS = make_facts()


def layout_of(folder: Path, *changes: dict[str, Any]) -> Layout:
    """A study of these configurations, one seed each; the first is its baseline."""
    specs = [dataclasses.replace(BASE, weighting="fixed", auxiliary=None, **fields) for fields in changes]
    planned = [
        dataclasses.replace(trial, configuration=str(number)) for number, trial in enumerate(plan_trials(folder, specs))
    ]
    write_trials(planned, FACTS, lambda spec: 0.5 + len(spec.losses) / 20)
    return lay_out(read_trials(planned), "0")


def test_panels_are_networks_and_lines_are_losses(tmp_path: Path) -> None:
    models, losses = ("unet", "attention_unet"), (("focal",), ("dice",), ("dice", "iou"))
    layout = layout_of(tmp_path, *({"model": m, "losses": loss} for m in models for loss in losses))
    lines = divide(layout, "phantom")
    assert lines.axes == ("model",)
    assert {key: len(rows) for key, rows in lines.panels.items()} == {("U-Net",): 2, ("Attention U-Net",): 3}
    assert list(lines.colours) == ["Dice", "Dice + IoU", "Focal"]
    assert len(set(lines.colours.values())) == 3


def test_an_axis_that_seldom_varies_does_not_take_the_lines_apart(tmp_path: Path) -> None:
    losses = [{"losses": (loss,)} for loss in ("focal", "dice", "iou", "tversky")]
    layout = layout_of(tmp_path, *losses, {"losses": ("iou",), "fidelity": "reference"})
    lines = divide(layout, "phantom")
    assert lines.axes == ()
    assert "IoU · Reference" in lines.colours


def test_of_many_lines_the_best_have_a_name_and_the_others_are_grey(tmp_path: Path) -> None:
    names = ("cross_entropy", "iou", "dice", "tversky", "focal", "mse")
    pairs = [(a, b) for index, a in enumerate(names) for b in names[index + 1 :]]
    layout = layout_of(tmp_path, *({"losses": losses} for losses in [("dice",), ("iou",), *pairs]))
    lines = divide(layout, "phantom")
    assert len(lines.names) == 17
    assert len(set(lines.colours.values())) == len(lines.colours) == NAMED
    assert all("+" in name for name in lines.colours), "two losses score higher than one in these trials"
    picture = draw_convergence(layout, "phantom", tmp_path)
    assert picture is not None
    assert "the others are grey" in picture.caption


def test_convergence_is_drawn_where_losses_are_compared(tmp_path: Path) -> None:
    layout = layout_of(tmp_path, {"model": "unet"}, {"model": "attention_unet"})
    assert draw_convergence(layout, "phantom", tmp_path) is None


@pytest.mark.parametrize(("loss", "share"), [([3, 2, 1, 1.5], [1, 0.5, 0, 0.25]), ([-1, -3], [1, 0]), ([1, 2], [1, 1])])
def test_losses_of_any_scale_fall_from_one_to_zero(loss: list[float], share: list[float]) -> None:
    np.testing.assert_allclose(still_to_fall(pd.DataFrame({"train_total": loss})), share)


def test_parameters_that_all_rows_have_in_common_are_said_once(tmp_path: Path) -> None:
    equal, unequal = {"scale": "sum1"}, {"scale": "sum1", "weights": [2, 1, 1]}
    layout = layout_of(tmp_path, {"weighting_params": equal}, {"weighting_params": unequal})
    assert layout.axes == ("weighting_params",)
    assert [row.labels for row in layout.rows["phantom"]] == [("weights=[2, 1, 1]",), ("defaults",)]
    assert layout.common == {"weighting_params": {"scale": "sum1"}}
