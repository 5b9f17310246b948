"""The comparison of splits, on numbers worked out by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmarks.leakage import compare


def test_images_are_averaged_within_a_seed_and_seeds_after_that() -> None:
    images = pd.DataFrame(
        [("a", 0.9, True, 0), ("b", 0.5, False, 0), ("a", 0.7, True, 1), ("b", 0.1, False, 1)],
        columns=["image", "dice", "leaked", "seed"],
    ).assign(split="random", repeated=True)
    grouped = images.assign(split="grouped", leaked=False)
    rows = compare(pd.concat([images, grouped]))
    found = {(row["split"], row["test_images"]): (row["count"], row["dice"], row["std"]) for row in rows}
    assert found["random", "all"] == pytest.approx((2, 0.55, 0.3 / 2**0.5))
    assert found["random", "with a relative in train"] == pytest.approx((1, 0.8, 0.2 / 2**0.5))
    assert found["random", "without one"] == pytest.approx((1, 0.3, 0.4 / 2**0.5))
    assert found["random", "of a repeated picture"] == found["random", "all"]
    assert ("grouped", "with a relative in train") not in found
    assert ("grouped", "of a single picture") not in found
