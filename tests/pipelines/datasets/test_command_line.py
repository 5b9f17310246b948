"""Arguments of the stages over data sets, and the threads they work with."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import pytest

from pipelines.core.console import StageError
from pipelines.core.parallel import threaded
from pipelines.datasets.command_line import parse_arguments
from tune_spaces import ConfigError


def parsed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[list[str], Path]:
    monkeypatch.setattr("sys.argv", ["stage", *arguments])
    found = parse_arguments("split", "What it does.")
    return [entry.name for entry in found.datasets], found.root


def test_data_sets_by_study_or_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed(monkeypatch, "--study", "quickstart") == (["phantom"], Path("data"))
    assert parsed(monkeypatch, "--dataset", "busi", "phantom", "--root", "x") == (["busi", "phantom"], Path("x"))


def test_unknown_names_list_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StageError, match="Did you mean `busi`"):
        parsed(monkeypatch, "--dataset", "busy")
    with pytest.raises(ConfigError, match="quickstart"):
        parsed(monkeypatch, "--study", "quikstart")


@pytest.mark.parametrize("arguments", [[], ["--study", "quickstart", "--dataset", "busi"], ["--dataset"]])
def test_exactly_one_way_to_choose(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(monkeypatch, *arguments)


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
