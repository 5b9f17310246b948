"""Dealing a data set into splits, and what is worth saying about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipelines.artifacts.audit import read_duplicates, record_path
from pipelines.artifacts.split_table import COLUMNS
from pipelines.core.console import StageError
from pipelines.datasets.cases import read_cases
from pipelines.datasets.duplicates import Pair, group_names
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.params import SplitParams
from pipelines.datasets.readers.case import Case, join_paths
from pipelines.datasets.split_methods import METHODS, SPLITS, folds


@dataclass(frozen=True)
class SplitTable:
    """A data set dealt into splits, in every way there is.

    Attributes:
        table: One row an image, sorted by path; see `COLUMNS`. `split` is the chosen method's column; empty is a row
            that a method leaves out.
        pairs: Near duplicates, by row.
        published: The split that the publisher gives each row, "" where there is none.
    """

    table: pd.DataFrame
    pairs: Sequence[Pair]
    published: pd.Series


def split_dataset(entry: DatasetEntry, root: Path, params: SplitParams) -> SplitTable:
    """Group and deal the cases of a data set below `root`/raw, whatever the order in which they are read.

    Raises:
        StageError: if there is no case, the audit is not of these cases, or a label or a split would have none.
    """
    raw = root / "raw" / entry.name
    cases = sorted(read_cases(entry, raw), key=lambda case: case.name)
    _check_labels(entry, raw, cases)
    names = [case.name for case in cases]
    audited = read_duplicates(record_path(root, entry.name), names, params.similarity)
    hashes, pairs = [audited.sha256[name] for name in names], audited.among(names)
    table = pd.DataFrame(
        {
            "image": names,
            "masks": [join_paths(case.masks) for case in cases],
            "label": [case.label for case in cases],
            "group": group_names(hashes, pairs, [case.patient for case in cases]),
            "published": [case.official_split or "" for case in cases],
            "sha256": hashes,
        }
    )
    fractions = dict(zip(SPLITS, params.fractions, strict=True))
    for name, method in METHODS.items():
        table[name] = method(table, fractions, params.seed)
    table["fold"] = folds(table, params.folds, params.seed)
    table["split"] = table[params.method]
    _check_splits(entry, table, params.method)
    return SplitTable(table[list(COLUMNS)], pairs, table["published"])


def summary(name: str, split: SplitTable) -> str:
    """Counts per split and label, and what the groups prevent."""
    table, plain = split.table, split.table["random"]
    size = table.groupby("group")["group"].transform("size")
    labels = table.groupby("group")["label"].nunique()
    counts = pd.crosstab(table["label"], table["split"]).reindex(columns=list(SPLITS), fill_value=0)
    counts.loc["all"] = counts.sum()
    lines = [
        f"{name}: {len(table)} images in {table['group'].nunique()} groups; {(size > 1).sum()} images share "
        f"{table.loc[size > 1, 'group'].nunique()} of them, {(labels > 1).sum()} with several labels",
        *counts.rename_axis(index=None, columns=None).to_string().splitlines(),
        f"near-duplicate pairs in two splits: {_apart(split.pairs, table['split'])} of {len(split.pairs)}; "
        f"a random split with this seed has {_apart(split.pairs, plain)}",
        f"test images with a relative in train: {_leaked(table['group'], table['split'])}; "
        f"a random split with this seed has {_leaked(table['group'], plain)}",
    ]
    if "test" in set(split.published):
        left_out = (split.published != "") & (table["official"] == "")
        lines.append(
            f"the publisher's test images with a relative in train: {_leaked(table['group'], split.published)}; "
            f"`official` leaves out {left_out.sum()} train and val images that are relatives of test or val images"
        )
    return "\n  ".join(lines)


def _check_labels(entry: DatasetEntry, raw: Path, cases: Sequence[Case]) -> None:
    found = {case.label for case in cases}
    if missing := [label for label in entry.labels if label not in found]:
        has = f"{len(cases)} images labelled {', '.join(sorted(found))}" if cases else "no images"
        raise StageError(
            f"{raw}: expected images of each label ({', '.join(entry.labels)}). Found {has}; {', '.join(missing)} "
            "missing. Correct `labels` in the catalogue, or bring the images, then `dvc repro --force fetch`."
        )


def _check_splits(entry: DatasetEntry, table: pd.DataFrame, method: str) -> None:
    if method == "official" and "test" not in set(table["published"]):
        raise StageError(
            f"{entry.name}: its publisher names no test set, so it has no official split. "
            "Choose another `split.method` in params.yaml."
        )
    if empty := [split for split in SPLITS if split not in set(table["split"])]:
        raise StageError(
            f"{entry.name}: {table['group'].nunique()} groups are too few for {', '.join(SPLITS)}; nothing is left "
            f"for {', '.join(empty)}. Add images, or raise `split.similarity` in params.yaml if groups are too large."
        )


def _apart(pairs: Sequence[Pair], splits: pd.Series) -> int:
    side = splits.to_numpy()
    return sum(side[pair.first] != side[pair.second] for pair in pairs)


def _leaked(groups: pd.Series, splits: pd.Series) -> str:
    test = groups[splits == "test"]
    leaked = test.isin(groups[splits == "train"])
    return f"{leaked.sum()} of {len(test)} ({leaked.mean():.0%})"
