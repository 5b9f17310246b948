"""Dealing groups into splits: what holds for every data set."""

from __future__ import annotations

import hashlib
import random
from collections import Counter

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.split.methods import METHODS, SPLITS, allocate

FRACTIONS = dict(zip(SPLITS, (0.7, 0.15, 0.15), strict=True))


def images(groups: list[tuple[int, str]]) -> list[tuple[str, str]]:
    """(label, group) of every image, from (size, label) of every group."""
    return [(label, f"g{number}") for number, (size, label) in enumerate(groups) for _ in range(size)]


def deal(rows: list[tuple[str, str]], fractions: dict[str, float] = FRACTIONS, seed: int = 0) -> list[str]:
    return allocate([label for label, _ in rows], [group for _, group in rows], fractions, seed)


pure_groups = st.lists(st.tuples(st.integers(1, 6), st.sampled_from("abc")), min_size=1, max_size=60).map(images)
mixed_groups = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([f"g{n}" for n in range(25)])), min_size=1)
any_fractions = st.tuples(*[st.integers(1, 10)] * 3).map(
    lambda parts: dict(zip(SPLITS, (part / sum(parts) for part in parts), strict=True))
)
seeds = st.integers(0, 5)


@given(mixed_groups, any_fractions, seeds)
def test_no_group_is_in_two_splits(rows: list[tuple[str, str]], fractions: dict[str, float], seed: int) -> None:
    splits = deal(rows, fractions, seed)
    homes = {(group, split) for (_, group), split in zip(rows, splits, strict=True)}
    assert len(homes) == len({group for _, group in rows})
    assert set(splits) <= set(SPLITS)


@given(mixed_groups, seeds, st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(
    rows: list[tuple[str, str]], seed: int, shuffler: random.Random
) -> None:
    dealt = dict(zip(rows, deal(rows, seed=seed), strict=True))
    shuffler.shuffle(rows)
    assert dict(zip(rows, deal(rows, seed=seed), strict=True)) == dealt


@given(pure_groups, seeds)
def test_a_label_with_a_group_for_each_split_is_in_each(rows: list[tuple[str, str]], seed: int) -> None:
    splits = deal(rows, seed=seed)
    for label in {label for label, _ in rows}:
        groups = {group for name, group in rows if name == label}
        present = {split for (name, _), split in zip(rows, splits, strict=True) if name == label}
        if len(groups) >= len(SPLITS):
            assert present == set(SPLITS)
        assert "train" in present


@given(pure_groups, seeds)
def test_fractions_are_met_within_half_of_the_largest_group(rows: list[tuple[str, str]], seed: int) -> None:
    splits = deal(rows, seed=seed)
    for label in {label for label, _ in rows}:
        sizes = Counter(group for name, group in rows if name == label)
        if len(sizes) <= len(SPLITS):
            continue
        for split in ("val", "test"):
            inside = [group for (name, group), home in zip(rows, splits, strict=True) if (name, home) == (label, split)]
            miss = abs(len(inside) - FRACTIONS[split] * sizes.total())
            assert miss <= max(sizes.values()) / 2 or len(set(inside)) == 1


@given(st.integers(10, 300), st.integers(10, 300), seeds)
def test_single_images_meet_the_fractions_to_half_an_image(benign: int, malignant: int, seed: int) -> None:
    rows = images([(1, "benign")] * benign + [(1, "malignant")] * malignant)
    counts = Counter(zip((label for label, _ in rows), deal(rows, seed=seed), strict=True))
    for label, total in (("benign", benign), ("malignant", malignant)):
        for split in ("val", "test"):
            assert abs(counts[label, split] - FRACTIONS[split] * total) <= 0.5


def test_by_hand() -> None:
    """Of 20 single images 15 % are 3; of two labels, each split gets its share of both."""
    rows = images([(1, "a")] * 20 + [(1, "b")] * 40)
    counts = Counter(zip((label for label, _ in rows), deal(rows), strict=True))
    assert counts == {
        ("a", "train"): 14, ("a", "val"): 3, ("a", "test"): 3,
        ("b", "train"): 28, ("b", "val"): 6, ("b", "test"): 6,
    }  # fmt: skip


def test_another_seed_is_another_split() -> None:
    rows = images([(1, "a")] * 50)
    assert len({tuple(deal(rows, seed=seed)) for seed in range(5)}) == 5


def test_the_shuffle_is_a_hash_that_no_library_can_change() -> None:
    """15 % of 14 images are 2.1: the first two by SHA-256 of seed and group are val, the next two test."""
    first = sorted(range(14), key=lambda number: hashlib.sha256(f"7:g{number}".encode()).hexdigest())
    expected = dict.fromkeys(range(14), "train") | dict.fromkeys(first[:2], "val") | dict.fromkeys(first[2:4], "test")
    assert deal(images([(1, "a")] * 14), seed=7) == list(expected.values())


def test_adding_one_image_moves_few_others() -> None:
    rows = images([(1, "a")] * 200)
    before, after = deal(rows), deal([*rows, ("a", "new")])
    assert sum(one != other for one, other in zip(before, after[:-1], strict=True)) <= 4


def table(count: int) -> pd.DataFrame:
    numbers = range(count)
    return pd.DataFrame(
        {
            "image": [f"{number}.png" for number in numbers],
            "label": ["a" if number % 3 else "b" for number in numbers],
            "group": [f"g{number // 2}" for number in numbers],
            "sha256": [f"{number // 4:064x}" for number in numbers],
        }
    )


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_deterministic_and_uses_every_split(method: str) -> None:
    cases = table(100)
    splits = METHODS[method](cases, FRACTIONS, 0)
    assert splits == METHODS[method](cases, FRACTIONS, 0)
    assert Counter(splits)["train"] == pytest.approx(70, abs=2)
    assert set(splits) == set(SPLITS)


def test_random_deals_images_one_by_one() -> None:
    """The paper's split: 70/15/15 of the images, whatever their group, even where files are equal."""
    cases = table(100)
    cases["split"] = METHODS["random"](cases, FRACTIONS, 0)
    assert cases["split"].value_counts().to_dict() == {"train": 70, "val": 15, "test": 15}
    assert (cases.groupby("group")["split"].nunique() > 1).any()
