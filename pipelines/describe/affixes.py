"""What the names of masks have before and after those of their images, and the other way round."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.datasets.readers.pairs import affixes as known_affixes

NUMBERED = re.compile(r"(.*?)([_\- ]?\d+)?")
MODALITY = re.compile(r".+_(\d{4})")
MOST_NAMES = 8
"""A folder for each patient may have as many files that are called alike in all of them."""

Parts = tuple[str, ...]
Stems = Sequence[tuple[list[str], list[str]]]
"""Names of images and of masks, folder by folder."""


@dataclass(frozen=True)
class Affixes:
    """Text around the part of a name that an image and its mask share, and how many images have a mask by them."""

    of_image: tuple[str, str] = ("", "")
    of_mask: tuple[str, str] = ("", "")
    pairs: int = 0

    def image(self, name: str) -> str:
        return name.join(self.of_image)

    def mask(self, name: str) -> str:
        return name.join(self.of_mask)

    @property
    def length(self) -> int:
        return sum(map(len, (*self.of_image, *self.of_mask)))


def affixes(stems: Stems) -> Affixes:
    """Those by which most images have a mask; the shortest of equal ones."""
    images = sorted({name for some, _ in stems for name in some})
    masks = sorted({name for _, some in stems for name in some})
    around_masks = [*_around(masks), known_affixes(images, masks), *_numbered(images, masks)]
    tried = [
        Affixes(of_image, of_mask, _count(stems, of_image, of_mask))
        for of_image, of_mask in itertools.product(_around(images), dict.fromkeys(around_masks))
    ]
    return max(tried, key=lambda one: (one.pairs, -one.length))


def fixed_names(
    images: Sequence[Parts], masks: Sequence[Parts], fields: Mapping[int, str]
) -> tuple[list[str], str] | None:
    """Patterns of names where all folders have the same: `image` and `mask`, or `{patient}_t1` and `{patient}_seg`.

    Args:
        images, masks: Parts of their paths.
        fields: For folders whose names vary, by level, the field that stands for them.
    """
    for level, field in [(-1, ""), *fields.items()]:
        image_names, mask_names = (_same_names(files, level, field) for files in (images, masks))
        if image_names and len(mask_names) == 1 and not all(name.isdigit() for name in image_names):
            return sorted(image_names), mask_names.pop()
    return None


def _same_names(files: Sequence[Parts], level: int, field: str) -> set[str]:
    """Names that every folder has, with that of the folder at `level` replaced by its field; empty if some differ."""
    names: dict[Parts, set[str]] = {}
    for file in files:
        name = file[-1]
        if level >= 0 and name.startswith(file[level]):
            name = f"{{{field}}}{name.removeprefix(file[level])}"
        names.setdefault(file[:-1], set()).add(name)
    sets = {frozenset(some) for some in names.values()}
    one = set(sets.pop()) if len(sets) == 1 and len(names) > 1 else set()
    return one if len(one) <= MOST_NAMES else set()


def modality_numbers(names: Sequence[str]) -> list[str]:
    """`0000`, `0001` ... where all names end so, as nnU-Net's images do."""
    found = [MODALITY.fullmatch(name) for name in names]
    return sorted({match[1] for match in found if match}) if all(found) else []


def _around(names: Sequence[str]) -> list[tuple[str, str]]:
    """Nothing, or what all names begin and end with, up to a separator or number."""
    before, after = _beginning(names), _beginning([name[::-1] for name in names])[::-1]
    befores = {"", re.sub(r"[^_\- .]*$", "", before), re.sub(r"\d+$", "", before)}
    afters = {"", re.sub(r"^[^_\- .]*", "", after), re.sub(r"^\d+", "", after)}
    return [(one, other) for one in sorted(befores) for other in sorted(afters) if len(names) > 1 or not one + other]


def _beginning(names: Sequence[str]) -> str:
    """What all names begin with: what the first and the last of them, in order, have in common."""
    first, last = min(names), max(names)
    differing = (place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return first[: next(differing, len(first))]


def _numbered(images: Sequence[str], masks: Sequence[str]) -> list[tuple[str, str]]:
    """The known word after an image's name and any number after that: `a_mask`, `a_mask_1`."""
    bare = [match[1] for name in masks if (match := NUMBERED.fullmatch(name))]
    before, after = known_affixes(images, bare)
    return [(before, f"{after}*")] if after and bare != list(masks) else []


def _count(stems: Stems, of_image: tuple[str, str], of_mask: tuple[str, str]) -> int:
    """Images that have a mask by these affixes."""
    return sum(
        len(
            {shared for name in images if (shared := _within(name, of_image)) is not None}
            & {shared for name in masks if (shared := _within(name, of_mask)) is not None}
        )
        for images, masks in stems
    )


def _within(name: str, around: tuple[str, str]) -> str | None:
    before, after = around
    if after.endswith("*"):
        match = re.fullmatch(rf"{re.escape(before)}(.+?){re.escape(after[:-1])}.*", name)
        return match[1] if match else None
    inside = name[len(before) : len(name) - len(after)]
    return inside if inside and name == f"{before}{inside}{after}" else None
