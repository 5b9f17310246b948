"""Splits that a study deals for itself, by their names."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.artifacts.arrays import split_rows
from pipelines.datasets.deals import Deal
from pipelines.datasets.split_methods import METHODS, SPLITS

PARAMS = (0.7, 0.15, 0.15)


def cases_of(count: int, published: list[str] | None = None, per_group: int = 1) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image": [f"{number}.png" for number in range(count)],
            "label": "lesion",
            "group": [f"g{number // per_group}" for number in range(count)],
            "published": published or [""] * count,
            "sha256": [f"{number:064x}" for number in range(count)],
        }
    )


def sizes(cases: pd.DataFrame, split: str) -> dict[str, int]:
    return {side: len(rows) for side, rows in split_rows(cases, split, PARAMS).items()}


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"official"}))
def test_a_seed_alone_deals_as_the_split_stage_would_with_that_seed(method: str) -> None:
    cases = cases_of(60, per_group=2)
    assert Deal(method, 4).sides(cases, PARAMS) == METHODS[method](cases, dict(zip(SPLITS, PARAMS, strict=True)), 4)
    assert Deal(method, 4).sides(cases, PARAMS) != Deal(method, 5).sides(cases, PARAMS)


def test_isic_2018_is_dealt_as_the_adapt_exp_paper_prints_it() -> None:
    assert sizes(cases_of(2594), "random:0:1815-259-520") == {"train": 1815, "val": 259, "test": 520}


def test_shares_are_those_of_the_name_and_not_of_params() -> None:
    assert sizes(cases_of(200), "random:0:0.7-0.1-0.2") == {"train": 140, "val": 20, "test": 40}
    assert sizes(cases_of(200), "random:0") == {"train": 140, "val": 30, "test": 30}


def test_isic_2017_keeps_as_many_of_the_publishers_sides_as_the_paper_prints() -> None:
    published = ["train"] * 2000 + ["val"] * 150 + ["test"] * 600
    cases = cases_of(2750, published)
    assert sizes(cases, "official:0:1400-150-600") == {"train": 1400, "val": 150, "test": 600}
    for side, rows in split_rows(cases, "official:0:1400-150-600", PARAMS).items():
        assert set(cases["published"].iloc[rows]) == {side}
    one, other = (set(split_rows(cases, f"official:{seed}:1400-150-600", PARAMS)["train"]) for seed in (0, 1))
    assert len(one & other) == pytest.approx(0.7 * 0.7 * 2000, abs=60), "samples of their own"


@given(st.integers(30, 90), st.integers(0, 9), st.lists(st.integers(1, 10), min_size=3, max_size=3))
def test_what_is_more_than_was_asked_for_is_left_out(count: int, seed: int, wanted: list[int]) -> None:
    cases = cases_of(count)
    rows = split_rows(cases, f"random:{seed}:{wanted[0]}-{wanted[1]}-{wanted[2]}", PARAMS)
    assert [len(rows[side]) for side in SPLITS] == wanted
    assert len(set(np.concatenate(list(rows.values())))) == sum(wanted)


def test_groups_stay_together_in_a_deal_by_groups() -> None:
    cases = cases_of(100, per_group=4)
    sides = Deal.named("grouped:3:40-20-20")
    assert sides is not None
    dealt = cases.assign(side=sides.sides(cases, PARAMS))
    assert (dealt.groupby("group")["side"].nunique() == 1).all()
    assert Counter(dealt["side"]) == {"train": 40, "val": 20, "test": 20, "": 20}


def test_more_images_than_there_are_cannot_be_dealt() -> None:
    with pytest.raises(
        ValueError, match="'random:0:90-10-10' cannot be dealt: 110 images are asked for, there are 100"
    ):
        split_rows(cases_of(100), "random:0:90-10-10", PARAMS)


@pytest.mark.parametrize("name", ["random", "fold:0", "rnd:0", "random:0:0.7-0.1", "random:0:0.7-0.1-0.1", "random:x"])
def test_other_names_are_no_deals(name: str) -> None:
    assert Deal.named(name) is None
