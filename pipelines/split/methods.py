"""Ways of dealing cases into train, val and test. A method is a function filed in `METHODS`; it sees the table of
cases (columns `image, label, group, sha256`), the share of each split and the seed, and answers with a split per row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

SPLITS = ("train", "val", "test")

Method = Callable[[pd.DataFrame, Mapping[str, float], int], list[str]]


def grouped(table: pd.DataFrame, fractions: Mapping[str, float], seed: int) -> list[str]:
    """Stratified by label, and no group in two splits."""
    return allocate(list(table["label"]), list(table["group"]), fractions, seed)


def plain_random(table: pd.DataFrame, fractions: Mapping[str, float], seed: int) -> list[str]:
    """The paper's plain split: images one by one, whatever their label, patient or twin."""
    images = table["sha256"] + table["image"]
    return allocate([""] * len(table), list(images), fractions, seed)


METHODS: dict[str, Method] = {"grouped": grouped, "random": plain_random}


def allocate(labels: Sequence[str], groups: Sequence[str], fractions: Mapping[str, float], seed: int) -> list[str]:
    """Deal whole groups so that each split holds its fraction of each label, as closely as the groups allow.

    Groups are shuffled by a hash of seed and name, so the result depends on neither the order of the rows nor a
    random generator's version, and adding a case moves few others. The splits are filled one by one, the largest last
    with what is left: a group is taken if it brings the counts closer to their goals. Then a label that the split
    still lacks brings its smallest group, as long as every later split can have one too.

    With groups of one label each, a split that does not come last ends within half of the largest group (at least
    half an image) of `fraction x images` for every label that has more groups than there are splits, unless it holds
    a single group of it.
    """
    counts = pd.crosstab(pd.Series(groups, name="group"), pd.Series(labels, name="label"))
    counts = counts.loc[sorted(counts.index, key=lambda group: _shuffled(seed, group))]
    *filled, rest = sorted(fractions, key=lambda split: fractions[split])
    split_of = dict.fromkeys(counts.index, rest)
    sizes = counts.to_numpy()
    free = np.ones(len(sizes), dtype=bool)
    for later, split in zip(range(len(filled), 0, -1), filled, strict=True):
        taken = _fill(sizes, free, fractions[split] * sizes.sum(axis=0), later)
        free[taken] = False
        split_of.update(dict.fromkeys(counts.index[taken], split))
    return [split_of[group] for group in groups]


def _fill(sizes: np.ndarray, free: np.ndarray, goal: np.ndarray, later: int) -> list[int]:
    """Rows of `sizes` (groups x labels) for one split, leaving `later` groups of every label to the later splits."""
    have = np.zeros_like(goal)
    left = (sizes[free] > 0).sum(axis=0)
    taken: list[int] = []

    def take_if(row: int, wanted: bool) -> None:
        nonlocal have, left
        if wanted and (left[sizes[row] > 0] > later).all():
            have, left = have + sizes[row], left - (sizes[row] > 0)
            taken.append(row)

    for row in np.flatnonzero(free).tolist():
        take_if(row, np.abs(have + sizes[row] - goal).sum() < np.abs(have - goal).sum())
    for label in np.flatnonzero(have == 0):
        holders = np.flatnonzero(free & (sizes[:, label] > 0)).tolist()
        for row in sorted(holders, key=lambda row: sizes[row].sum()):
            take_if(row, have[label] == 0 and row not in taken)
    return taken


def _shuffled(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
