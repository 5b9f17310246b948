"""What can be counted again of the models is what the code gives."""

from __future__ import annotations

import pytest

from benchmarks.harness.script import RESULTS, read
from benchmarks.models import READINGS, SUBJECTS, count, counts, printed
from dmf.models import MODELS

pytest.importorskip("timm")
pytest.importorskip("segmentation_models_pytorch")

results = read(RESULTS / "models.json")


def test_parameters_and_operations_are_those_of_the_code() -> None:
    measured = [{key: row[key] for key in row if key != "milliseconds"} for row in results["models"]]
    assert measured == counts()


def test_the_papers_figures_are_those_that_it_prints() -> None:
    assert results["printed"] == printed()


def test_every_registered_model_has_a_row() -> None:
    assert {subject.name.partition(":")[0] for subject in SUBJECTS} == set(MODELS)


def test_the_small_cnn_is_counted_right() -> None:
    """By hand: four 3x3 convolutions at 256, 128, 64 and 32 pixels, and two dense layers."""
    subject = next(subject for subject in SUBJECTS if subject.name == "small_cnn")
    layers = [(3, 32, 256), (32, 64, 128), (64, 128, 64), (128, 256, 32)]
    by_hand = sum(9 * i * o * side * side for i, o, side in layers) + 256 * 128 + 128 * 2
    assert count(subject).total == pytest.approx(by_hand / 1e9, rel=1e-9)


def test_readings_come_within_one_and_a_half_percent_of_the_paper() -> None:
    for row in results["models"]:
        if row["model"] in READINGS:
            assert row["reading_gmac"] == pytest.approx(results["printed"][row["model"]], rel=0.015), row["model"]


def test_a_counter_that_charges_whole_kernels_adds_three_quarters() -> None:
    subject = next(subject for subject in SUBJECTS if subject.name == "unet_classic")
    filters, sides = (64, 128, 256, 512), (256, 128, 64, 32)
    true = sum(2 * f * f * side * side for f, side in zip(filters, sides, strict=True)) / 1e9
    assert count(subject).transposed == pytest.approx(3 * true, rel=1e-9)
