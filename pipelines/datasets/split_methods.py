"""Ways of dealing cases into train, val and test. A method is a function filed in `METHODS`; it sees the table of
cases (columns `image, label, group, published, sha256`), the share of each split and the seed, and answers with a
split per row, or "" for a row that it leaves out.

Whatever the method, a row has one split, so no test image is ever trained on or used to select a model. `grouped`,
`official` and `folds` keep more than that promise: no group (a patient, a picture and its near duplicates) is in two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int

SPLITS = ("train", "val", "test")

Method = Callable[[pd.DataFrame, Mapping[str, float], int], list[str]]


def grouped(table: pd.DataFrame, fractions: Mapping[str, float], seed: int) -> list[str]:
    """Stratified by label, and no group in two splits."""
    return allocate(list(table["label"]), list(table["group"]), fractions, seed)


def stratified(table: pd.DataFrame, fractions: Mapping[str, float], seed: int) -> list[str]:
    """Stratified by label, images one by one, whatever their patient or twin."""
    return allocate(list(table["label"]), _images(table), fractions, seed)


def plain_random(table: pd.DataFrame, fractions: Mapping[str, float], seed: int) -> list[str]:
    """The paper's plain split: images one by one, whatever their label, patient or twin."""
    return allocate([""] * len(table), _images(table), fractions, seed)


def official(table: pd.DataFrame, fractions: Mapping[str, float], seed: int) -> list[str]:
    """The publisher's test set, whole, so that scores compare with published ones; nothing at all if there is none.

    What shares a group with a test image is left out of val and train, and what shares one with a val image is left
    out of train: such twins would be scored on what they were trained on. Where the publisher names no val, it is
    taken from train, stratified and by group, in the proportion that `fractions` has between the two.
    """
    published = table["published"].to_numpy(dtype=object)
    if "test" not in published:
        return [""] * len(table)
    group = table["group"].to_numpy(dtype=object)
    split = np.where(published == "test", "test", "").astype(object)
    for name in ("val", "train"):
        split[(published == name) & ~np.isin(group, group[split != ""])] = name
    if "val" not in published:
        train = table[split == "train"]
        shares = {name: fractions[name] / (fractions["val"] + fractions["train"]) for name in ("val", "train")}
        split[split == "train"] = allocate(list(train["label"]), list(train["group"]), shares, seed)
    return list(split)


METHODS: dict[str, Method] = {
    "grouped": grouped,
    "stratified": stratified,
    "random": plain_random,
    "official": official,
}


def folds(table: pd.DataFrame, count: int, seed: int) -> list[str]:
    """The fold of each row, "0" to `count` - 1, of equal shares, stratified and by group."""
    shares = {str(fold): 1 / count for fold in range(count)}
    return allocate(list(table["label"]), list(table["group"]), shares, seed)


def allocate(labels: Sequence[str], groups: Sequence[str], shares: Mapping[str, float], seed: int) -> list[str]:
    """Deal whole groups into parts (splits or folds) so that each holds its share of each label.

    The groups of a label (of several labels: its most frequent, the first by name of equals) stand in a row, ordered
    by a hash of seed and name. The row is cut where the shares end, smallest share first: at S images before the cut
    goes a group whose middle image lies before S. Then cuts are moved as little as gives every part a group of the
    label; with fewer groups than parts, the last parts go first.

    For a label of N images in groups of at most g, each of one label:

    - Shares: up to each cut there are S ± g/2 images, so a part has its share of N to within g, the first part to
      within g/2, unless it holds a single group. Single images: to within one image.
    - Order: the result does not depend on the order of the rows, nor on a random generator's version.
    - Growth: m more images in groups of their own move at most Σ (max(s, 1 - s) m + g) over all cuts, s being the
      share of N before the cut: 1.55 m + 2 g for 70/15/15, 2.8 m + 4 g for five folds. As hashes put them everywhere,
      it is usually near √m. A group that they join keeps its place unless its name changes (`group_names`).
    """
    order, group_of = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    kinds, label_of = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    counts = np.zeros((len(order), len(kinds)), dtype=int)
    np.add.at(counts, (group_of, label_of), 1)
    sizes, strata = counts.sum(axis=1), counts.argmax(axis=1)
    shuffled = np.argsort([_shuffled(seed, group) for group in order.tolist()])
    names = sorted(shares, key=lambda name: shares[name])
    ends = np.cumsum([shares[name] for name in names])[:-1]
    part = np.empty(len(order), dtype=int)
    for stratum in range(len(kinds)):
        row = shuffled[strata[shuffled] == stratum]
        part[row] = np.searchsorted(_cuts(sizes[row], ends), np.arange(len(row)), side="right")
    return [names[place] for place in part[group_of].tolist()]


def _cuts(sizes: Int[np.ndarray, " groups"], ends: np.ndarray) -> list[int]:
    """How many groups of a row lie before each cut; `ends` are the shares of all images that should."""
    middles = np.cumsum(sizes) - sizes / 2
    cuts, before = [], 0
    for later, wanted in zip(range(len(ends), 0, -1), np.searchsorted(middles, ends * sizes.sum()), strict=True):
        before = min(max(int(wanted), before + 1), max(len(sizes) - later, 0))
        cuts.append(before)
    return cuts


def in_hash_order(table: pd.DataFrame, seed: int) -> list[int]:
    """The rows of a table, shuffled by a hash of seed and image: the first ones of them are a sample."""
    names = _images(table)
    return sorted(range(len(table)), key=lambda row: _shuffled(seed, names[row]))


def _images(table: pd.DataFrame) -> list[str]:
    return list(table["sha256"] + table["image"])


def _shuffled(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
