"""Contact sheets: which images a person should look at, and what they look like with their masks."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pipelines.audit.audit import Audit
from pipelines.audit.summary import shared_masks
from pipelines.core.images import as_channels
from pipelines.core.parallel import threaded
from pipelines.datasets.cases import case_image, case_mask
from pipelines.datasets.readers.meaning import VOID
from pipelines.pages.slices import flat

SIDE = 224
"""Longest side of a picture on a sheet, in pixels."""

SAMPLE, EXTREMES, MOST_GROUPS = 12, 8, 60
OUTLINES = ((255, 217, 47), (86, 180, 233), (0, 158, 115), (213, 94, 0), (204, 121, 167), (240, 228, 66))
"""Colours of the outlines of class 1, 2, ..., told apart by colour-blind readers too."""

UNKNOWN = (160, 160, 160)
"""Colour of the outline of what counts nowhere."""


@dataclass(frozen=True)
class Tile:
    """One picture: its case, what to say below it, and a data address."""

    name: str
    note: str
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Row:
    """Pictures that belong together; `title` is "" where the heading says enough."""

    title: str
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Sheet:
    """One section of the page."""

    anchor: str
    heading: str
    text: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class _Choice:
    """A sheet before its pictures are drawn: rows of a title and cases, by position."""

    anchor: str
    heading: str
    text: str
    rows: Sequence[tuple[str, Sequence[int]]]


def contact_sheets(audit: Audit) -> list[Sheet]:
    """What to look at, drawn. Sheets without a picture are left out."""
    chosen = [choice for choice in _choices(audit) if any(cases for _, cases in choice.rows)]
    wanted = sorted({index for choice in chosen for _, cases in choice.rows for index in cases})
    drawn = threaded(lambda index: draw_tile(audit, index), wanted, f"{audit.entry.name}: drawing", unit="images")
    tiles = dict(zip(wanted, drawn, strict=True))
    return [
        Sheet(
            choice.anchor,
            choice.heading,
            choice.text,
            [Row(title, [tiles[index] for index in cases]) for title, cases in choice.rows if cases],
        )
        for choice in chosen
    ]


def _choices(audit: Audit) -> Iterator[_Choice]:
    facts = audit.facts
    place = {fact.case.name: index for index, fact in enumerate(facts)}
    labels = sorted({fact.case.label for fact in facts})
    crossing = [group for group in audit.groups if len({facts[index].case.label for index in group}) > 1]
    splits = [
        group
        for group in audit.groups
        if group not in crossing and len({facts[index].case.official_split for index in group} - {None}) > 1
    ]
    rest = [group for group in audit.groups if group not in crossing and group not in splits]
    for anchor, heading, groups in (
        ("across-labels", "The same picture under different labels", crossing),
        ("across-splits", "The same picture in several of the publisher's splits", splits),
        ("duplicates", "Other pictures that occur more than once", rest),
    ):
        shown = groups[:MOST_GROUPS]
        count = f"{len(groups)} groups" if len(groups) != 1 else "1 group"
        text = f"{count}, all of them." if len(shown) == len(groups) else f"The {len(shown)} largest of {count}."
        yield _Choice(anchor, heading, text, [("", group) for group in shown])
    yield _Choice(
        "shared-masks",
        "One mask for different images",
        "Pixel by pixel the same mask, so that all but one are wrong.",
        [("", [place[name] for name in names]) for names in shared_masks(audit)],
    )
    yield _Choice(
        "sample",
        "A random sample",
        f"Up to {SAMPLE} images of each label, drawn by a hash of their names, with the outlines of their masks.",
        [(label, _sample([i for i, fact in enumerate(facts) if fact.case.label == label], audit)) for label in labels],
    )
    sized = [(fact.mask.area, index) for index, fact in enumerate(facts) if fact.mask and fact.mask.area > 0]
    ranked = [index for _, index in sorted(sized)]
    yield _Choice(
        "areas",
        "Smallest and largest annotations",
        "By their share of the image.",
        [("smallest", ranked[:EXTREMES]), ("largest", ranked[::-1][:EXTREMES])],
    )
    empty = [index for index, fact in enumerate(facts) if fact.mask and fact.mask.area == 0]
    parts = [index for index, fact in enumerate(facts) if fact.mask and fact.mask.parts > 1]
    parts.sort(key=lambda index: -(facts[index].mask.parts if facts[index].mask else 0))  # type: ignore[union-attr]
    yield _Choice("empty", "Empty masks", _some(empty), [("", empty[:SAMPLE])])
    yield _Choice("parts", "Masks of several parts", _some(parts), [("", parts[: 2 * SAMPLE])])


def _some(cases: Sequence[int]) -> str:
    return f"{len(cases)} in all; these have the most parts or come first by name."


def _sample(cases: Iterable[int], audit: Audit) -> list[int]:
    return sorted(cases, key=lambda index: hashlib.sha256(audit.facts[index].case.name.encode()).digest())[:SAMPLE]


def draw_tile(audit: Audit, index: int) -> Tile:
    """An image at most SIDE pixels wide and high with the outlines of its classes."""
    fact = audit.facts[index]
    image = case_image(audit.entry, audit.raw, fact.case)
    spatial = len(fact.size)
    picture = as_channels(flat(image, spatial), 3)
    scale = SIDE / max(picture.shape[:2])
    width, height = (max(1, round(scale * side)) for side in (picture.shape[1], picture.shape[0]))
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    if fact.mask is not None:
        mask = case_mask(audit.entry, audit.raw, fact.case)
        mask = mask[len(mask) // 2] if spatial == 3 else mask
        picture = _outlined(picture, cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT))
    notes = [fact.case.label, fact.case.official_split or "", "×".join(map(str, fact.size))]
    if fact.mask is not None:
        notes.append(f"{100 * fact.mask.area:.3g} %" + (f", {fact.mask.parts} parts" if fact.mask.parts > 1 else ""))
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=80, subsampling=0)
    source = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return Tile(fact.case.name, " · ".join(note for note in notes if note), source, width, height)


def _outlined(picture: UInt8[np.ndarray, "H W 3"], mask: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    for index in np.unique(mask[mask > 0]).tolist():
        contours, _ = cv2.findContours((mask == index).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        colour = UNKNOWN if index == VOID else OUTLINES[(index - 1) % len(OUTLINES)]
        cv2.drawContours(picture, contours, -1, colour, 1, cv2.LINE_AA)
    return picture
