"""The entry of the catalogue for a folder, as a person would write it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipelines.core.console import StageError
from pipelines.datasets.catalogue import known_datasets
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.folders import found_in
from pipelines.datasets.readers.laid_out import read_layout
from pipelines.datasets.readers.layout import DATA, Layout, bare, data_files, tops
from pipelines.describe.content import Content, look
from pipelines.describe.guess import Guess, guess

SINGLE = "all"
"""The label of images that have no folders of labels."""

DEFAULT = (
    Layout(image=("images/{name}",), mask="masks/{name}"),
    Layout(image=("images/{label}/{name}",), mask="masks/{label}/{name}"),
    Layout(image=("{label}/{name}",)),
)
"""Layouts that need not be written down."""


def propose(folder: Path, named: Path, root: Path) -> str:
    """The entry for the files in `folder`, which the catalogue in the data folder `root` finds at the path `named`.

    Raises:
        StageError: if there is nothing that is read, or its layout cannot be made out.
    """
    *_, top = tops(folder)
    files = data_files(top)
    if not files:
        raise StageError(
            f"{named}: no picture or volume in it. {found_in(top)} Expected {', '.join(DATA)}. Convert them."
        )
    found = guess([bare(path) for path in files])
    try:
        cases = read_layout(folder, found.labels or [SINGLE], found.layout)
        doubts: list[str] = []
    except StageError as error:
        cases, doubts = _usable(folder, found), [str(error)]
    content = look(folder, cases)
    used = {path for case in cases for path in (*case.files, *case.masks)}
    lines = [
        *found.doubts,
        *doubts,
        *content.doubts,
        *_unused(folder, top, used, len(files)),
        *_questions(cases, content),
    ]
    entry = _entry(found, content, named, root)
    return "".join(f"# {line}\n" for line in lines) + f"{_name(named, root)}:\n" + _written(entry)


def _entry(found: Guess, content: Content, named: Path, root: Path) -> dict[str, Any]:
    labels = list(found.labels) or [SINGLE]
    entry: dict[str, Any] = {
        "title": f"Images of {named.stem}",
        "task": "segmentation" if found.layout.mask else "classification",
        "classes": ["background", "lesion"] if found.layout.mask else labels,
        "labels": labels,
        "channels": content.channels,
    }
    if found.layout not in DEFAULT:
        image = list(found.layout.image) if len(found.layout.image) > 1 else found.layout.image[0]
        entry["layout"] = {"image": image} | ({"mask": found.layout.mask} if found.layout.mask else {})
    if content.volumes:
        entry["volume"] = {"cut": "slices"}
    place = os.path.relpath(named.resolve(), root.resolve())
    return {**entry, "sources": [{"kind": "local", "path": place}], "terms": "Not stated."}


def _written(entry: dict[str, Any]) -> str:
    return "".join(
        f"  {key}: {yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)}"
        for key, value in entry.items()
    ).replace("\n...\n", "\n")


def _name(named: Path, root: Path) -> str:
    """A name that the catalogue takes and does not have."""
    name = re.sub(r"\W+", "_", named.name.split(".")[0].lower(), flags=re.ASCII).strip("_") or "own"
    name = name if name[0].isalpha() else f"own_{name}"
    return f"{name}_own" if name in known_datasets(root) else name


def _questions(cases: Sequence[Case], content: Content) -> Iterator[str]:
    """What a person knows and files do not."""
    if cases and cases[0].masks:
        if content.values is None:
            yield "Masks hold many values. If they are of classes, say which value means what; see docs/data.md."
        elif len(content.values) > 2:
            values = ", ".join(map(str, content.values))
            yield f"Masks hold the values {values}: say which of them means which class; see docs/data.md."
        else:
            yield "`lesion`: what the masks mark. Give it its name."
    if all(case.patient is None for case in cases):
        yield "Several images of a person? `patient: ^(p[0-9]+)_` says who is shown, by the name of the file."
    yield "`terms`: what others may do with the images."


def _unused(folder: Path, top: Path, used: set[Path], count: int) -> Iterator[str]:
    """Files that the layout leaves aside."""
    left = [path for path in data_files(top) if top.relative_to(folder) / path not in used]
    if left:
        yield f"{len(left)} of {count} pictures or volumes are left aside, the first of them {left[0]}."


def _usable(folder: Path, found: Guess) -> list[Case]:
    """Cases of the images alone, where masks do not fit."""
    try:
        return read_layout(folder, found.labels or [SINGLE], Layout(image=found.layout.image))
    except StageError:
        return []
