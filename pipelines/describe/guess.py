"""From the paths of a folder's files to the layout that they have."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from pipelines.core.console import StageError
from pipelines.datasets.readers.folders import listed
from pipelines.datasets.readers.laid_out import SIDES
from pipelines.datasets.readers.layout import Layout
from pipelines.describe.affixes import Affixes, affixes, fixed_names, modality_numbers

MASK = r"(?:masks?|segmentations?|segs?|labels?|gts?|ground[ _-]?truths?|annotations?|manual\d*|lesions?|contours?)"
MASK_FOLDER = re.compile(rf"(?:.*[^a-z])?{MASK}(?:tr|ts)?(?:[^a-z].*)?", re.IGNORECASE)
MASK_NAME = re.compile(rf"(?:{MASK}[_\- ].+)|(?:(?:.*[_\- .])?{MASK}(?:[_\- ]?\d+)?)", re.IGNORECASE)
IMAGE_FOLDER = re.compile(
    r"(?:.*[^a-z])?(?:images?|imgs?|inputs?|pictures?|photos?|originals?)(?:tr|ts)?", re.IGNORECASE
)

NO_LABEL = re.compile(
    r"(?:^|[^a-z])(?:images?|imgs?|masks?|labels?|segmentations?|ground[ _-]?truths?)(?:tr|ts)?(?:[^a-z]|$)",
    re.IGNORECASE,
)
"""Folders of such names are no labels, even where masks could not be paired with images."""

MOST_LABELS = 20
"""Folders are labels of images if there are no more, and every one holds `FILES_OF_A_LABEL` or more on average."""
FILES_OF_A_LABEL = 2

FURTHER = ("series", "folder", "part")
"""Fields of further folders."""

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Guess:
    """A layout, and what it leaves open.

    Attributes:
        layout: Fits the files.
        labels: Folders that `{label}` stands for; empty if there are none.
        paired: How many images it finds.
        doubts: Sentences about what was not understood.
    """

    layout: Layout
    labels: Sequence[str]
    paired: int
    doubts: Sequence[str]


def guess(paths: Sequence[str]) -> Guess:
    """The layout of most files, given as bare paths (see `bare`).

    Raises:
        StageError: if none is known that they have.
    """
    depths = Counter(path.count("/") for path in paths)
    files = [tuple(path.split("/")) for path in paths]
    found = [one for depth in depths for one in _segmented([file for file in files if len(file) == depth + 1])]
    found += [one for depth in depths for one in _classified([file for file in files if len(file) == depth + 1])]
    if not found:
        raise StageError(
            f"{len(paths)} pictures or volumes, but neither masks nor folders of labels were made out. Expected masks "
            "in a folder beside that of the images (`images/a.png`, `masks/a.png`), or beside the images (`a.png`, "
            "`a_mask.png`), or a folder for each label. Name them so, or give `layout` in the catalogue: docs/data.md."
        )
    return max(found, key=lambda one: (bool(one.layout.mask), one.paired))


def _segmented(files: Sequence[Parts]) -> Iterator[Guess]:
    """Every way to take some of these files, all of one depth, for the masks of others."""
    for level in range(len(files[0]) - 1 if files else 0):
        names = sorted({file[level] for file in files})
        for mask in (name for name in names if MASK_FOLDER.fullmatch(name)):
            for image in (name for name in names if name != mask and len(names) <= MOST_LABELS):
                images, masks = ([file for file in files if file[level] == name] for name in (image, mask))
                others = [name for name in names if name not in (image, mask)]
                if found := _paired(images, masks, [f"Left aside: the folders {listed(others)}."] if others else []):
                    preferred = IMAGE_FOLDER.fullmatch(image) is not None
                    yield Guess(found.layout, found.labels, found.paired + preferred, found.doubts)
    masks = [file for file in files if MASK_NAME.fullmatch(file[-1])]
    images = [file for file in files if not MASK_NAME.fullmatch(file[-1])]
    if masks and images and (found := _paired(images, masks, [])):
        yield found


def _paired(images: Sequence[Parts], masks: Sequence[Parts], doubts: Sequence[str]) -> Guess | None:
    """The patterns by which at least half of the images have a mask each."""
    fields = _fields(images)
    folders = [_folder_pattern(some, fields) for some in (images, masks)]
    if None in folders:
        return None
    names = {level: name for level, name in fields.items() if name}
    if fixed := fixed_names(images, masks, names):
        image_names, mask_name = fixed
        count = len({file[:-1] for file in images})
    else:
        stems: dict[Parts, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        same = [level for level in names if len({file[level] for file in masks}) > 1]
        for some, kind in ((images, 0), (masks, 1)):
            for file in some:
                stems[tuple(file[level] for level in same)][kind].append(file[-1])
        image_names, mask_name, count = _named(list(stems.values()))
    if 2 * count < len(images) / len(image_names):
        return None
    layout = _layout([f"{folders[0]}{name}" for name in image_names], f"{folders[1]}{mask_name}")
    if layout is None:
        return None
    alone = len(images) // len(image_names) - count
    more = [f"{alone} images have no mask by this layout; the audit names the first."] if alone else []
    return Guess(layout, _labels(images, fields), count, [*doubts, *more])


def _named(stems: Sequence[tuple[list[str], list[str]]]) -> tuple[list[str], str, int]:
    """Patterns for the names of images, and of masks, and how many images have a mask by them."""
    numbers = modality_numbers([name for images, _ in stems for name in images])
    found: Affixes = affixes(stems)
    if len(numbers) > 1:
        first = [([name[:-5] for name in images if name.endswith(numbers[0])], masks) for images, masks in stems]
        several = affixes(first)
        if several.pairs * len(numbers) > found.pairs:
            return [f"{several.image('{name}')}_{number}" for number in numbers], several.mask("{name}"), several.pairs
    return [found.image("{name}")], found.mask("{name}"), found.pairs


def _classified(files: Sequence[Parts]) -> Iterator[Guess]:
    """A folder of each label, perhaps within the sides of a split, perhaps with folders of patients."""
    fields = _fields(files)
    varied = [level for level, name in fields.items() if name not in ("", "side")]
    if not varied:
        return
    fields = {**fields, varied[0]: "label", **dict.fromkeys(varied[1:2], "patient")}
    labels = _labels(files, fields)
    few = len(labels) <= MOST_LABELS and len(files) >= FILES_OF_A_LABEL * len(labels)
    layout = _layout([f"{_folder_pattern(files, fields)}{{name}}"])
    if few and layout and not any(NO_LABEL.search(label) for label in labels):
        yield Guess(layout, labels, len(files), [])


def _fields(files: Sequence[Parts]) -> dict[int, str]:
    """For each folder above the files, which field stands for its name; none if all are called alike."""
    fields: dict[int, str] = {}
    for level in range(len(files[0]) - 1 if files else 0):
        names = Counter(file[level] for file in files)
        role = _role(names) if len(names) > 1 else ""
        free = (name for name in (role, *FURTHER) if name not in fields.values())
        fields[level] = next(free, "") if role else ""
    return fields


def _role(names: Mapping[str, int]) -> str:
    """What folders of these names are, by how many files each has."""
    if all(name.lower() in SIDES for name in names):
        return "side"
    shapes = {re.sub(r"\d+", "#", name) for name in names}
    numbered = sum(any(letter.isdigit() for letter in name) for name in names)
    if 2 * numbered >= len(names) and len(shapes) <= max(1, len(names) // 3):
        return "patient"
    many = sum(names.values()) >= FILES_OF_A_LABEL * len(names)
    return "label" if many and len(names) <= MOST_LABELS else "patient"


def _folder_pattern(files: Sequence[Parts], fields: Mapping[int, str]) -> str | None:
    """The pattern of the files' folders; None if they vary where the images' do not."""
    parts = []
    for level in range(len(files[0]) - 1):
        names = {file[level] for file in files}
        if len(names) > 1 and not fields.get(level):
            return None
        parts.append(f"{{{fields[level]}}}/" if len(names) > 1 else f"{names.pop()}/")
    return "".join(parts)


def _layout(images: Sequence[str], mask: str | None = None) -> Layout | None:
    """The layout of these patterns; None if names hold braces, which patterns cannot say."""
    try:
        return Layout(image=tuple(images), mask=mask)
    except ValidationError:
        return None


def _labels(files: Iterable[Parts], fields: Mapping[int, str]) -> list[str]:
    return sorted({file[level] for file in files for level, name in fields.items() if name == "label"})
