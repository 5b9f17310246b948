"""Arguments of the stages over data sets, and the threads they work with."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import pytest

from pipelines.core.parallel import threaded
from pipelines.datasets.command_line import Arguments, parse_arguments
from tune_spaces import ConfigError


def parsed(monkeypatch: pytest.MonkeyPatch, *arguments: str, sized: bool = False) -> Arguments:
    monkeypatch.setattr("sys.argv", ["stage", *arguments])
    return parse_arguments("split", "What it does.", sized=sized)


def test_data_sets_by_study_or_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    found = parsed(monkeypatch, "--study", "quickstart")
    assert (found.datasets, found.root) == (["phantom"], Path("data"))
    found = parsed(monkeypatch, "--dataset", "busi", "phantom", "busi", "--root", "x")
    assert (found.datasets, found.root) == (["busi", "phantom"], Path("x"))


def test_an_unknown_study_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="quickstart"):
        parsed(monkeypatch, "--study", "quikstart")


@pytest.mark.parametrize("arguments", [[], ["--study", "quickstart", "--dataset", "busi"], ["--dataset"]])
def test_exactly_one_way_to_choose(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(monkeypatch, *arguments)


def test_a_study_says_at_which_sizes_it_trains_and_a_person_does_for_data_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed(monkeypatch, "--study", "quickstart", sized=True).sizes == {"phantom": [64]}
    by_hand = parsed(monkeypatch, "--dataset", "busi", "busc", "--size", "64", "256", sized=True)
    assert by_hand.sizes == {"busi": [64, 256], "busc": [64, 256]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "busi"], "--size goes with --dataset, which needs it"),
        (["--study", "quickstart", "--size", "64"], "a study says itself at which sizes it trains"),
        (["--dataset", "busi", "--size", "7"], "a whole number of at least 8. Found '7'"),
        (["--dataset", "busi", "--size", "6.5e1"], "Found '6.5e1'"),
    ],
)
def test_a_size_is_asked_for_where_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit):
        parsed(monkeypatch, *arguments, sized=True)
    assert message in capsys.readouterr().err


def test_results_come_in_the_items_order() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.05 if item == 0 else 0)
        return item * item

    assert threaded(slow_first, range(20), "squaring", unit="numbers") == [item * item for item in range(20)]


def test_the_first_error_ends_the_work_and_opencv_gets_its_threads_back() -> None:
    begun = []

    def fail_at_first(item: int) -> None:
        begun.append(item)
        if item == 0:
            raise ValueError(f"item {item}")
        time.sleep(0.01)

    before = cv2.getNumThreads()
    with pytest.raises(ValueError, match="item 0"):
        threaded(fail_at_first, range(1000), "failing", unit="items")
    assert len(begun) < 1000
    assert cv2.getNumThreads() == before
