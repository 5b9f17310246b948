"""Each finding is told once, at the first step at which it could be said."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from dmf.training.diagnostics import Diagnostics, Finding

NAMES = ("cross_entropy", "dice")


def history(steps: int = 100, **columns: object) -> dict[str, np.ndarray]:
    """A healthy run of two losses, with some columns replaced."""
    random = np.random.default_rng(0)
    healthy: dict[str, object] = {
        "gamma": 0.0,
        "auxiliary": 0.0,
        "loss/cross_entropy": random.random(steps) + 0.5,
        "loss/dice": random.random(steps) + 0.5,
        "weight/cross_entropy": 0.4,
        "weight/dice": 0.6,
        "total": 1.0,
    }
    given = {name.replace("__", "/"): value for name, value in columns.items()}
    return {name: np.broadcast_to(value, steps).astype(np.float32) for name, value in (healthy | given).items()}


def observe(*epochs: dict[str, np.ndarray], patience: int = 50) -> list[tuple[str, str, int]]:
    diagnostics = Diagnostics(NAMES, patience=patience)
    return [(found.kind, found.subject, found.step) for epoch in epochs for found in diagnostics.observe(epoch)]


def test_a_healthy_run_has_no_findings() -> None:
    assert observe(history(), history()) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_is_named_with_the_step(value: float) -> None:
    losses = np.ones(10)
    losses[7:] = value
    found = observe(history(10), history(10, loss__dice=losses, total=losses))
    assert found == [("non_finite_loss", "dice", 17), ("non_finite_loss", "total", 17)]


def test_collapse_of_the_weights() -> None:
    weights = np.where(np.arange(100) < 30, 0.5, 0.995)
    assert observe(history(weight__dice=weights, weight__cross_entropy=1 - weights), patience=20) == [
        ("weight_collapse", "dice", 49)
    ]


def test_collapse_is_of_shares_whatever_sign_and_scale() -> None:
    assert observe(history(weight__dice=-3e9, weight__cross_entropy=1.0), patience=5) == [
        ("weight_collapse", "dice", 4)
    ]


def test_drift_to_uniform_is_a_return_and_not_a_start() -> None:
    assert observe(history(weight__dice=0.5, weight__cross_entropy=0.5)) == []
    weights = np.where(np.arange(100) < 10, 0.7, 0.502)
    assert observe(history(weight__dice=weights, weight__cross_entropy=1 - weights)) == [("drift_to_uniform", "", 59)]


def test_dominance_of_the_auxiliary_loss() -> None:
    assert observe(history(gamma=5.0, auxiliary=0.5), patience=10) == [("auxiliary_dominance", "", 9)]
    assert observe(history(gamma=0.1, auxiliary=0.5), patience=10) == []


def test_a_loss_that_does_not_change() -> None:
    assert observe(history(loss__dice=0.7), patience=10) == [("constant_loss", "dice", 10)]


def test_conditions_run_on_across_epochs_and_are_told_once() -> None:
    epoch = history(30, gamma=5.0, auxiliary=1.0)
    assert observe(epoch, epoch, epoch, epoch) == [("auxiliary_dominance", "", 49)]


def test_a_single_loss_neither_collapses_nor_drifts() -> None:
    single = {name: value for name, value in history(weight__dice=1.0).items() if "cross" not in name}
    assert Diagnostics(["dice"], patience=5).observe(single) == []


def test_findings_are_logged_and_tagged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        (found,) = Diagnostics(NAMES, patience=3).observe(history(gamma=5.0, auxiliary=2.0))
    assert caplog.messages == [f"Step 2: {found.message}"]
    assert found.tag == ("diagnostics.auxiliary_dominance", "2")
    assert Finding("weight_collapse", 4, "", "dice").tag == ("diagnostics.weight_collapse.dice", "4")


def test_an_epoch_without_steps_is_no_news() -> None:
    assert observe(history(0), history()) == []


def test_patience_must_be_positive() -> None:
    with pytest.raises(ValueError, match=r"`patience` must be at least 1 step\. Found 0"):
        Diagnostics(NAMES, patience=0)
