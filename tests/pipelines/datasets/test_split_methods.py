"""Dealing groups into splits: what holds for every data set."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.artifacts.arrays import split_rows
from pipelines.datasets.split_methods import METHODS, SPLITS, allocate, folds

FRACTIONS = dict(zip(SPLITS, (0.7, 0.15, 0.15), strict=True))


def images(groups: list[tuple[int, str]]) -> list[tuple[str, str]]:
    """(label, group) of every image, from (size, label) of every group."""
    return [(label, f"g{number}") for number, (size, label) in enumerate(groups) for _ in range(size)]


def deal(rows: list[tuple[str, str]], fractions: dict[str, float] = FRACTIONS, seed: int = 0) -> list[str]:
    return allocate([label for label, _ in rows], [group for _, group in rows], fractions, seed)


pure_groups = st.lists(st.tuples(st.integers(1, 6), st.sampled_from("abc")), min_size=1, max_size=60).map(images)
mixed_groups = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([f"g{n}" for n in range(25)])), min_size=1)
FOLDS = {str(fold): 0.2 for fold in range(5)}
any_shares = st.sampled_from([FRACTIONS, {"train": 0.2, "val": 0.1, "test": 0.7}, FOLDS])
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


@given(pure_groups, any_shares, seeds)
def test_each_part_has_its_share_of_each_label_within_the_largest_group(
    rows: list[tuple[str, str]], shares: dict[str, float], seed: int
) -> None:
    parts = deal(rows, shares, seed)
    for label in {label for label, _ in rows}:
        sizes = Counter(group for name, group in rows if name == label)
        if len(sizes) < len(shares):
            continue
        for part, share in shares.items():
            inside = [group for (name, group), home in zip(rows, parts, strict=True) if (name, home) == (label, part)]
            miss = abs(len(inside) - share * sizes.total())
            assert miss <= max(sizes.values()) + 1e-9 or len(set(inside)) == 1 or has_a_part_of_one(rows, parts, label)


def has_a_part_of_one(rows: list[tuple[str, str]], parts: list[str], label: str) -> bool:
    """Whether some part has a single group of the label: cuts were moved for its sake, or might have been."""
    homes = {(group, part) for (name, group), part in zip(rows, parts, strict=True) if name == label}
    return 1 in Counter(part for _, part in homes).values()


@given(st.integers(0, 300), st.integers(20, 300), any_shares, seeds)
def test_single_images_meet_their_shares_to_one_image(
    benign: int, malignant: int, shares: dict[str, float], seed: int
) -> None:
    rows = images([(1, "benign")] * benign + [(1, "malignant")] * malignant)
    counts = Counter(zip((label for label, _ in rows), deal(rows, shares, seed), strict=True))
    for label, total in (("benign", benign), ("malignant", malignant)):
        for part, share in shares.items():
            if min(shares.values()) * total >= 1:
                assert abs(counts[label, part] - share * total) <= 1 + 1e-9


@given(pure_groups, st.lists(st.tuples(st.integers(1, 6), st.sampled_from("abc")), max_size=12), any_shares, seeds)
def test_more_images_move_few_others(
    rows: list[tuple[str, str]], added: list[tuple[int, str]], shares: dict[str, float], seed: int
) -> None:
    """The bound of `allocate`: the sum over all cuts of max(s, 1 - s) m + g, for each label."""
    larger = [*rows, *((label, f"new {group}") for label, group in images(added))]
    before, after = deal(rows, shares, seed), deal(larger, shares, seed)
    cuts = list(itertools.accumulate(sorted(shares.values())))[:-1]
    for label in {label for label, _ in rows}:
        moved = sum(one != other for (name, _), one, other in zip(rows, before, after, strict=False) if name == label)
        sizes = Counter(group for name, group in larger if name == label)
        m, g = sizes.total() - sum(name == label for name, _ in rows), max(sizes.values())
        assert moved <= (sum(max(cut, 1 - cut) * m + g for cut in cuts) + 1e-9 if m else 0)


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


def test_twice_the_images_usually_move_about_the_root_of_their_number() -> None:
    """Of 1,000 images 10 % more may move 155 and twice as many 1,550; hashes are kinder."""
    rows = images([(1, "a")] * 1000)
    before = deal(rows)
    for count, most in ((1, 2), (100, 40), (1000, 110)):
        after = deal([*rows, *(("a", f"new {number}") for number in range(count))])
        assert sum(one != other for one, other in zip(before, after, strict=False)) <= most


def table(groups: list[tuple[str, str]], published: Sequence[str] = ()) -> pd.DataFrame:
    """A table of (label, group) with file names, checksums and the publisher's splits."""
    return pd.DataFrame(
        {
            "image": [f"{number}.png" for number in range(len(groups))],
            "label": [label for label, _ in groups],
            "group": [group for _, group in groups],
            "published": list(published) or [""] * len(groups),
            "sha256": [f"{number:064x}" for number in range(len(groups))],
        }
    )


tables = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 30), st.sampled_from(["train", "train", "val", "test", ""])),
    min_size=12,
    max_size=80,
).map(lambda rows: table([(label, f"g{group}") for label, group, _ in rows], [split for *_, split in rows]))


def dealt(cases: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A column for each way, as the split stage makes them; `fold` with all five folds."""
    columns = {name: method(cases, FRACTIONS, seed) for name, method in METHODS.items()}
    return cases.assign(**columns, fold=folds(cases, 5, seed), split=columns["grouped"])


@settings(max_examples=40)
@given(tables, seeds)
def test_no_test_image_is_trained_on_or_selects_a_model_whatever_the_split(cases: pd.DataFrame, seed: int) -> None:
    columns = dealt(cases, seed)
    for split in ("default", *METHODS, *(f"fold:{fold}" for fold in range(5))):
        try:
            rows = split_rows(columns, split, (0.7, 0.15, 0.15))
        except ValueError:  # the publisher names no test set, or there are fewer groups than parts
            assert split == "official" or columns["group"].nunique() < 15
            continue
        together = np.concatenate(list(rows.values()))
        assert len(together) == len(set(together))
        if split not in ("random", "stratified"):
            homes = [set(columns["group"].iloc[index]) for index in rows.values()]
            assert sum(map(len, homes)) == len(set.union(*homes))
        if split != "official":
            assert len(together) == len(cases)


def test_the_folds_test_every_image_once() -> None:
    columns = dealt(table([("a" if number % 3 else "b", f"g{number // 2}") for number in range(100)]), 0)
    tested = [split_rows(columns, f"fold:{fold}", (0.7, 0.15, 0.15))["test"] for fold in range(5)]
    selected = [split_rows(columns, f"fold:{fold}", (0.7, 0.15, 0.15))["val"] for fold in range(5)]
    assert sorted(np.concatenate(tested)) == list(range(100))
    assert all((tested[(fold + 1) % 5] == selected[fold]).all() for fold in range(5))
    assert {len(index) for index in tested} <= {19, 20, 21}


def test_the_official_split_by_hand() -> None:
    """The test set stays whole; twins of test images leave train and val, twins of val images leave train."""
    groups = ["u", "v", "w", "x", "u", "v", "x", "y", "z", "q"]
    published = ["test", "test", "val", "val", "train", "val", "train", "train", "train", ""]
    assert METHODS["official"](table([("a", group) for group in groups], published), FRACTIONS, 0) == [
        "test", "test", "val", "val", "", "", "", "train", "train", "",
    ]  # fmt: skip


def test_an_official_split_without_val_takes_it_from_train_by_group_and_label() -> None:
    """Of 170 training images 0.15 / 0.85 are 30, half of each label, in pairs; the test set is the publisher's."""
    groups = [("a" if number < 100 else "b", f"g{number // 2}") for number in range(200)]
    published = ["test" if number % 100 < 30 else "train" for number in range(200)]
    cases = dealt(table(groups, published), 0)
    assert [*(cases["official"] == "test")] == [split == "test" for split in published]
    counts = cases.groupby(["label", "official"]).size().to_dict()
    assert {key: count for key, count in counts.items() if key[1] == "val"} == {("a", "val"): 12, ("b", "val"): 12}
    assert (cases[cases["official"] != ""].groupby("group")["official"].nunique() == 1).all()


def test_without_an_official_test_set_there_is_no_official_split() -> None:
    assert METHODS["official"](table([("a", "u")] * 3, ["train", "val", ""]), FRACTIONS, 0) == [""] * 3


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_deterministic_and_uses_every_split(method: str) -> None:
    groups = [("a" if number % 3 else "b", f"g{number // 2}") for number in range(100)]
    cases = table(groups, ["test" if number >= 86 else "train" for number in range(100)])
    splits = METHODS[method](cases, FRACTIONS, 0)
    assert splits == METHODS[method](cases, FRACTIONS, 0)
    assert Counter(splits)["train"] == pytest.approx(70, abs=2)
    assert set(splits) == set(SPLITS)


def test_random_deals_images_one_by_one() -> None:
    """The paper's split: 70/15/15 of the images, whatever their group, even where files are equal."""
    cases = table([("a" if number % 3 else "b", f"g{number // 2}") for number in range(100)])
    cases["sha256"] = [f"{number // 4:064x}" for number in range(100)]
    cases["split"] = METHODS["random"](cases, FRACTIONS, 0)
    assert cases["split"].value_counts().to_dict() == {"train": 70, "val": 15, "test": 15}
    assert (cases.groupby("group")["split"].nunique() > 1).any()


def test_stratified_deals_images_one_by_one_label_by_label() -> None:
    cases = table([("a" if number < 60 else "b", f"g{number // 2}") for number in range(100)])
    cases["split"] = METHODS["stratified"](cases, FRACTIONS, 0)
    assert pd.crosstab(cases["label"], cases["split"])[["train", "val", "test"]].to_numpy().tolist() == [
        [42, 9, 9],
        [28, 6, 6],
    ]
    assert (cases.groupby("group")["split"].nunique() > 1).any()
