"""The benchmark of the search: what it plants is found, and nothing else."""

from __future__ import annotations

from benchmarks.duplicates import cost


def test_planted_copies_are_found() -> None:
    found = cost(300)
    assert (found["planted"], found["recall"], found["false_pairs"]) == (3, 1.0, 0)
    assert found["multiplications"] == 7 * 300**2 * 144
