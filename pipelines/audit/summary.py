"""An audit in numbers: what <dataset>.json holds and the tables on the page show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np

from pipelines.audit.agreement import Agreement, mask_agreement
from pipelines.audit.audit import Audit
from pipelines.audit.look import CaseFacts, MaskFile
from pipelines.datasets.entry import DatasetEntry
from pipelines.datasets.readers.case import join_paths
from pipelines.datasets.readers.registry import READERS

LADDER = (0.95, 0.96, 0.97, 0.98, 0.99, 0.999)
"""Similarities at which pairs are counted, as far as they were searched for."""

PERCENTILES = (0, 5, 25, 50, 75, 95, 100)


@dataclass(frozen=True)
class Step:
    """Near duplicates at one similarity: pairs, images in any, and pairs across labels and the publisher's splits."""

    similarity: float
    pairs: int
    images: int
    across_labels: int
    across_splits: int


@dataclass(frozen=True)
class Summary:
    """The numbers. Counts are of images unless said otherwise; areas are shares of the image.

    Attributes:
        counts: By label, then by the publisher's split (`all` where there is none).
        sizes, modes, channels, mask_modes, mask_values: How often each was found.
        padded: Files of volumes with values that are no number, and the share of those.
        repeated: Images with several channels that are all the same.
        unused: Names of files beside the images and masks that no case is made of, by suffix.
        empty, multi_part, at_border, many_files: Names of cases by what is noteworthy about their mask.
        shared_masks: Groups of cases that are no duplicates but have the same mask, pixel by pixel; empty masks aside.
        void: Names of cases without a pixel that counts.
        mostly: Masks that annotate more than half of their image, and how many there are.
        bright: What two-valued masks hold beside 0, of which the catalogue says nothing more, and how often.
        areas: Percentiles of the annotated share by label, see PERCENTILES; classes: mean share of each class.
        ignored: Mean share of the pixels that count nowhere.
        absent: Classes that never occur.
        same_file, same_pixels: Groups of cases with equal files and with equal decoded pixels.
        groups: Near duplicates, connected; across_labels, across_splits, across_patients: those that are.
        leaked_test: The publisher's test images with a relative in the publisher's train; None without such a split.
        patients, patients_across_splits: How many there are, and in how many of the publisher's splits more than one.
        problems: What is wrong with cases that cannot be used, by name.
    """

    dataset: str
    title: str
    task: str
    images: int
    counts: Mapping[str, Mapping[str, int]]
    sizes: Mapping[str, int]
    modes: Mapping[str, int]
    channels: Mapping[str, int]
    mask_modes: Mapping[str, int]
    mask_values: Mapping[str, int]
    padded: Mapping[str, float]
    repeated: int
    unused: Mapping[str, Sequence[str]]
    empty: Sequence[str]
    multi_part: Sequence[str]
    at_border: Sequence[str]
    many_files: Sequence[str]
    shared_masks: Sequence[Sequence[str]]
    void: Sequence[str]
    mostly: tuple[int, int]
    bright: Mapping[str, int]
    areas: Mapping[str, Sequence[float]]
    classes: Mapping[str, float]
    ignored: float
    absent: Sequence[str]
    similarity: float
    same_file: Sequence[Sequence[str]]
    same_pixels: Sequence[Sequence[str]]
    ladder: Sequence[Step]
    groups: Sequence[Sequence[str]]
    across_labels: Sequence[Sequence[str]]
    across_splits: Sequence[Sequence[str]]
    across_patients: Sequence[Sequence[str]]
    leaked_test: int | None
    patients: int
    patients_across_splits: int
    agreement: Agreement | None
    problems: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def summarise(audit: Audit) -> Summary:
    """Count what an audit found. Masks of duplicates are read again to be compared."""
    facts = audit.facts
    masked = [fact for fact in facts if fact.mask is not None]
    files = [file for fact in masked if fact.mask for file in fact.mask.files]
    groups = [[facts[index] for index in group] for group in audit.groups]
    splits = {fact.case.official_split for fact in facts} - {None}
    patients: dict[str, set[str | None]] = {}
    for fact in facts:
        if fact.case.patient is not None:
            patients.setdefault(fact.case.patient, set()).add(fact.case.official_split)
    return Summary(
        dataset=audit.entry.name,
        title=audit.entry.title,
        task=audit.entry.task,
        images=len(facts),
        counts=_counts(facts),
        sizes=_tally(" x ".join(map(str, fact.size)) for fact in facts),
        modes=_tally(fact.mode for fact in facts),
        channels=_tally(str(fact.channels) for fact in facts),
        mask_modes=_tally(file.mode for file in files),
        mask_values=_tally("; ".join(file.values) for file in files if file.values),
        padded={join_paths(fact.case.files): round(fact.padding, 6) for fact in facts if fact.padding},
        repeated=sum(fact.repeated for fact in facts),
        unused=audit.looked.unused,
        empty=[fact.case.name for fact in masked if fact.mask and fact.mask.area == 0],
        multi_part=[fact.case.name for fact in masked if fact.mask and fact.mask.parts > 1],
        at_border=[fact.case.name for fact in masked if fact.mask and fact.mask.at_border],
        many_files=[fact.case.name for fact in masked if len(fact.case.masks) > 1],
        shared_masks=shared_masks(audit),
        void=[fact.case.name for fact in masked if fact.mask and fact.mask.void == 1],
        mostly=(sum(fact.mask.area > 0.5 for fact in masked if fact.mask), len(masked)),
        bright=_bright(files, audit.entry),
        areas=_areas(masked),
        classes=_class_shares(masked, audit.entry.classes),
        ignored=round(float(np.mean([fact.mask.void for fact in masked if fact.mask] or [0])), 6),
        absent=_absent(facts, audit.entry),
        similarity=audit.similarity,
        same_file=_equal(facts, [f"{fact.sha256}{fact.case.part}" for fact in facts]),
        same_pixels=_equal(facts, [fact.pixels for fact in facts]),
        ladder=_ladder(audit),
        groups=[_names(group) for group in groups],
        across_labels=_across(groups, "label"),
        across_splits=_across(groups, "official_split"),
        across_patients=_across(groups, "patient"),
        leaked_test=_leaked(groups) if {"train", "test"} <= splits else None,
        patients=len(patients),
        patients_across_splits=sum(len(found - {None}) > 1 for found in patients.values()),
        agreement=mask_agreement(audit),
        problems=audit.looked.problems,
    )


def _counts(facts: Sequence[CaseFacts]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for fact in facts:
        row = counts.setdefault(fact.case.label, {})
        split = fact.case.official_split or "all"
        row[split] = row.get(split, 0) + 1
    return dict(sorted(counts.items()))


def _tally(values: Iterable[str]) -> dict[str, int]:
    """How often each value occurs, the most frequent first."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _names(facts: Iterable[CaseFacts]) -> list[str]:
    return [fact.case.name for fact in facts]


def _across(groups: Sequence[Sequence[CaseFacts]], what: str) -> list[list[str]]:
    """Groups with more than one label, split or patient."""
    return [_names(group) for group in groups if len({getattr(fact.case, what) for fact in group} - {None}) > 1]


def _equal(facts: Sequence[CaseFacts], keys: Sequence[str]) -> list[list[str]]:
    """Names of cases whose keys are equal, two or more."""
    order = sorted(range(len(facts)), key=lambda index: (keys[index], index))
    found = [_names(facts[index] for index in run) for _, run in groupby(order, key=lambda index: keys[index])]
    return sorted(names for names in found if len(names) > 1)


def shared_masks(audit: Audit) -> list[list[str]]:
    """Cases that are no duplicates but have the same mask, with something on it, pixel by pixel."""
    group = {audit.facts[index].case.name: number for number, group in enumerate(audit.groups) for index in group}
    lesions = [fact for fact in audit.facts if fact.mask and fact.mask.area > 0]
    equal = _equal(lesions, [fact.mask.pixels if fact.mask else "" for fact in lesions])
    return [names for names in equal if len({group.get(name, name) for name in names}) > 1]


def _areas(masked: Sequence[CaseFacts]) -> dict[str, list[float]]:
    by_label: dict[str, list[float]] = {}
    for fact in masked:
        if fact.mask:
            by_label.setdefault(fact.case.label, []).append(fact.mask.area)
    return {label: np.percentile(areas, PERCENTILES).round(6).tolist() for label, areas in sorted(by_label.items())}


def _class_shares(masked: Sequence[CaseFacts], classes: Sequence[str]) -> dict[str, float]:
    if not masked:
        return {}
    shares = np.mean([fact.mask.classes[: len(classes)] for fact in masked if fact.mask], axis=0)
    return dict(zip(classes, shares.round(6).tolist(), strict=True))


def _bright(files: Sequence[MaskFile], entry: DatasetEntry) -> dict[str, int]:
    """Brightest values of two-valued masks, where neither the catalogue nor a reader says what values mean."""
    if entry.values or READERS[entry.reader].decode:
        return {}
    return _tally(file.values[1] for file in files if len(file.values) == 2 and file.values[0] == "0")


def _absent(facts: Sequence[CaseFacts], entry: DatasetEntry) -> list[str]:
    """Declared classes of which no image is, or no pixel."""
    if entry.task == "classification":
        return [name for name in entry.classes if name not in {fact.case.label for fact in facts}]
    shares = [fact.mask.classes for fact in facts if fact.mask]
    return [name for index, name in enumerate(entry.classes) if not any(share[index] for share in shares)]


def _ladder(audit: Audit) -> list[Step]:
    steps = []
    for similarity in sorted({audit.similarity, *(step for step in LADDER if step > audit.similarity)}):
        pairs = [pair for pair in audit.pairs if pair.similarity >= similarity]
        sides = [(audit.facts[pair.first].case, audit.facts[pair.second].case) for pair in pairs]
        steps.append(
            Step(
                similarity=similarity,
                pairs=len(pairs),
                images=len({index for pair in pairs for index in (pair.first, pair.second)}),
                across_labels=sum(one.label != other.label for one, other in sides),
                across_splits=sum(one.official_split != other.official_split for one, other in sides),
            )
        )
    return steps


def _leaked(groups: Iterable[Sequence[CaseFacts]]) -> int:
    leaked = 0
    for group in groups:
        splits = Counter(fact.case.official_split for fact in group)
        leaked += splits["test"] if splits["train"] else 0
    return leaked
