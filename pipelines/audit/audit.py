"""The audit of a data set: looking at every file, then searching for duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipelines.artifacts.audit import Duplicates
from pipelines.audit.look import CaseFacts, Looked, look_at
from pipelines.datasets.cases import case_parts, find_cases
from pipelines.datasets.duplicates import Pair, leaders, near_duplicates
from pipelines.datasets.entry import DatasetEntry


@dataclass(frozen=True)
class Audit:
    """Everything that was found out about a data set.

    Attributes:
        raw: The folder with its files.
        similarity: Correlation from which two images count as the same picture.
        pairs: Near duplicates, by position in `looked.facts`.
    """

    entry: DatasetEntry
    raw: Path
    looked: Looked
    similarity: float
    pairs: Sequence[Pair]

    @property
    def facts(self) -> Sequence[CaseFacts]:
        """Of every case that can be used, sorted by name."""
        return self.looked.facts

    @cached_property
    def groups(self) -> list[list[int]]:
        """Positions of images that show the same picture, two or more; the largest groups first."""
        names, pixels = [fact.case.name for fact in self.facts], [fact.pixels for fact in self.facts]
        members: dict[int, list[int]] = {}
        for index, leader in enumerate(leaders(names, self.pairs, [pixels])):
            members.setdefault(leader, []).append(index)
        return sorted((group for group in members.values() if len(group) > 1), key=lambda group: (-len(group), group))

    @property
    def duplicates(self) -> Duplicates:
        """What the split needs to know."""
        names = [fact.case.name for fact in self.facts]
        return Duplicates(
            similarity=self.similarity,
            sha256={name: fact.sha256 for name, fact in zip(names, self.facts, strict=True)},
            pairs=[(names[pair.first], names[pair.second], round(pair.similarity, 6)) for pair in self.pairs],
        )


def audit_dataset(entry: DatasetEntry, root: Path, similarity: float) -> Audit:
    """Look at the cases of a data set below `root`/raw, whatever the order in which they are found.

    Raises:
        StageError: if there is no case. A case that cannot be used is a finding: `Audit.looked.problems`.
    """
    raw = root / "raw" / entry.name
    cases = sorted(case_parts(entry, raw, find_cases(entry, raw)), key=lambda case: case.name)
    looked = look_at(entry, raw, cases)
    return Audit(entry, raw, looked, similarity, near_duplicates(looked.thumbnails, similarity))
