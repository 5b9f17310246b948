"""Splits that a study deals for itself: `random:3`, `random:0:0.7-0.1-0.2`, `official:0:1400-150-600`.

A name says all there is to say: `<method>:<seed>`, by a method of `split_methods` and a seed of its own, in the
fractions of params.yaml; or `<method>:<seed>:<train>-<val>-<test>` with other ones, shares of 1 or numbers of images.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.datasets.split_methods import METHODS, SPLITS, in_hash_order

NAME = re.compile(r"([a-z_]+):(\d+)(?::(\d[\d.]*)-(\d[\d.]*)-(\d[\d.]*))?")


@dataclass(frozen=True)
class Deal:
    """One way of dealing cases.

    Attributes:
        method: In `METHODS`.
        seed: Another seed, another deal.
        shares: Of train, val and test, each below 1; None for those of params.yaml.
        counts: Images of each instead. What is more is left out. Of `official`, whose sides the publisher has decided
            and whose twins are left out, there can be fewer.
    """

    method: str
    seed: int
    shares: Mapping[str, float] | None = None
    counts: Mapping[str, int] | None = None

    @classmethod
    def named(cls, name: str) -> Deal | None:
        """What a split's name says; None for the names of columns and of folds, and for anything else."""
        found = NAME.fullmatch(name)
        if not found or found[1] not in METHODS:
            return None
        method, seed, parts = found[1], int(found[2]), found.groups()[2:]
        if parts[0] is None:
            return cls(method, seed)
        if all(part.isdecimal() for part in parts):
            return cls(method, seed, counts=dict(zip(SPLITS, map(int, parts), strict=True)))
        try:
            shares = dict(zip(SPLITS, map(float, parts), strict=True))
        except ValueError:
            return None
        return cls(method, seed, shares=shares) if abs(sum(shares.values()) - 1) < 1e-6 else None

    def sides(self, cases: pd.DataFrame, fractions: Sequence[float]) -> list[str]:
        """The side of each row, or "" for one that is left out.

        Args:
            cases: With the columns `image, label, group, published, sha256`.
            fractions: Of train, val and test where the deal names none.

        Raises:
            ValueError: if more images are asked for than there are.
        """
        method = METHODS[self.method]
        if self.counts is None:
            return method(cases, self.shares or dict(zip(SPLITS, fractions, strict=True)), self.seed)
        wanted, found = sum(self.counts.values()), len(cases)
        if wanted > found:
            raise ValueError(f"{wanted} images are asked for, there are {found}")
        if self.method == "official":
            proportions = {name: count / wanted for name, count in self.counts.items()}
            return self._thinned(cases, method(cases, proportions, self.seed), self.counts)
        shares = {name: count / found for name, count in self.counts.items()}
        return method(cases, shares | ({"": 1 - wanted / found} if wanted < found else {}), self.seed)

    def _thinned(self, cases: pd.DataFrame, sides: Sequence[str], counts: Mapping[str, int]) -> list[str]:
        """At most as many of each side, whichever the hashes put first."""
        order, dealt = in_hash_order(cases, self.seed), np.array(sides, dtype=object)
        for name, count in counts.items():
            dealt[[row for row in order if sides[row] == name][count:]] = ""
        return list(dealt)
