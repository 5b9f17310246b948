"""Arguments of the stages over data sets, and the threads they work with."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from pathlib import Path

import cv2
import pytest

from pipelines.core.command import add_data_sets
from pipelines.core.console import StageError
from pipelines.core.parallel import threaded
from pipelines.datasets.command_line import Arguments, chosen
from tune_spaces import ConfigError


def parsed(*arguments: str, sized: bool = False) -> Arguments:
    parser = ArgumentParser()
    add_data_sets(parser, sized=sized)
    return chosen(parser.parse_args(arguments))


def test_data_sets_by_study_or_by_name() -> None:
    found = parsed("--study", "quickstart")
    assert (found.datasets, found.root) == (["phantom"], Path("data"))
    found = parsed("--dataset", "busi", "phantom", "busi", "--root", "x")
    assert (found.datasets, found.root) == (["busi", "phantom"], Path("x"))


def test_an_unknown_study_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="quickstart"):
        parsed("--study", "quikstart")


@pytest.mark.parametrize("arguments", [[], ["--study", "quickstart", "--dataset", "busi"], ["--dataset"]])
def test_exactly_one_way_to_choose(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(*arguments)


def test_a_study_says_at_which_sizes_it_trains_and_a_person_does_for_data_sets() -> None:
    assert parsed("--study", "quickstart", sized=True).sizes == {"phantom": [64]}
    by_hand = parsed("--dataset", "busi", "busc", "--size", "64", "256", sized=True)
    assert by_hand.sizes == {"busi": [64, 256], "busc": [64, 256]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "busi"], "--size goes with --dataset, which needs it"),
        (["--study", "quickstart", "--size", "64"], "a study says itself at which sizes it trains"),
        (["--dataset", "busi", "--size", "64", "7"], r"a whole number of at least 8\. Found 7"),
    ],
)
def test_a_size_is_asked_for_where_it_is_needed(arguments: list[str], message: str) -> None:
    with pytest.raises(StageError, match=message):
        parsed(*arguments, sized=True)


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
