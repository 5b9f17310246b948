"""What a table has to say about its data set, and the pictures the qualitative panel shows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dmf.metrics import SOFT, protocols_of
from pipelines.artifacts.arrays import PreparedData
from pipelines.report.layout import FOLD, way_of
from pipelines.report.names import PROTOCOL_TEXTS, ProtocolText


@dataclass(frozen=True)
class DataFacts:
    """A prepared data set as the report tells of it.

    Attributes:
        task: "segmentation" or "classification".
        classes: names of the classes of a pixel or of an image, in the order of their index.
        foreground: name of the class or classes that are no background, such as "lesion".
        reduced: how the copy differs from the published one; empty if it does not.
        split: such as "grouped split", "grouped, random splits", "10 random splits" or "5-fold
            cross-validation".
        images: number of images of each side, by "train", "val" and "test"; empty for trials on several splits.
        size: side of the prepared images in pixels.
        originals, filtered: uint8 (N, C, *spatial) before and after the bilateral filter.
        truths: uint8 (N, *spatial), or (N,) in classification; `VOID` where nobody says what it is.
        cases: name of each image, in the arrays' order.
        has_void: whether pixels may be of no class, and count nowhere.
    """

    name: str
    title: str
    task: str
    classes: tuple[str, ...]
    foreground: str
    terms: str
    citation: str
    reduced: str
    split: str
    images: Mapping[str, int]
    size: int
    checksum: str
    originals: np.ndarray
    filtered: np.ndarray
    truths: np.ndarray
    cases: tuple[str, ...]
    has_void: bool = False

    @property
    def protocols(self) -> Mapping[str, ProtocolText]:
        """The protocols whose tables are printed."""
        return {name: PROTOCOL_TEXTS[name].about(self.foreground) for name in self._printed}

    @property
    def _printed(self) -> tuple[str, ...]:
        return (*protocols_of(self.task), *([SOFT] if self.task == "segmentation" else []))

    @property
    def split_sentence(self) -> str:
        """Such as: grouped split (168 training, 36 validation, 36 test images); 5-fold cross-validation."""
        names = {"train": "training", "val": "validation", "test": "test"}
        counts = ", ".join(f"{self.images[side]} {name}" for side, name in names.items() if side in self.images)
        return f"{self.split} ({counts} images)" if counts else self.split

    @property
    def source_sentence(self) -> str:
        """Citation, terms, and how the copy differs from what was published."""
        reduced = f" A mirror's copy was used; reduced: {self.reduced.rstrip('.')}." if self.reduced else ""
        void = " Pixels of no known class count nowhere, neither in losses nor in scores." if self.has_void else ""
        return f"Data: {self.citation.rstrip('.')}. Terms: {self.terms.rstrip('.')}.{reduced}{void}"


def describe_data(prepared: PreparedData, splits: Collection[str] = ("default",)) -> DataFacts:
    """What the report needs of a prepared data set, on which trials used `splits` (`TrialSpec.split`)."""
    meta, cases = prepared.meta, prepared.cases
    names = sorted({meta.split.method if split == "default" else split for split in splits})
    rows = prepared.rows(next(iter(splits))) if len(names) == 1 else {}
    return DataFacts(
        name=meta.dataset,
        title=meta.title,
        task=meta.task,
        classes=meta.classes,
        foreground=" and ".join(meta.classes[1:]),
        terms=meta.terms,
        citation=meta.citation,
        reduced=meta.reduced or "",
        split=_splits_text(names),
        images={side: len(index) for side, index in rows.items()},
        size=meta.size,
        checksum=meta.checksum,
        originals=prepared.images,
        filtered=prepared.filtered,
        truths=prepared.targets,
        cases=tuple(cases["image"]),
        has_void=meta.ignore_index is not None,
    )


def _splits_text(names: Sequence[str]) -> str:
    """Such as: grouped split; grouped, random splits; 5-fold cross-validation; 10 random splits."""
    if len(names) == 1:
        return f"{names[0]} split"
    ways = sorted({way_of(name) for name in names})
    if len(ways) > 1:
        return f"{', '.join(ways)} splits"
    return f"{len(names)}-fold cross-validation" if f"{ways[0]}:" == FOLD else f"{len(names)} {ways[0]} splits"
