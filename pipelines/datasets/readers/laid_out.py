"""Cases of a data set of one's own whose layout the catalogue gives as patterns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipelines.core.console import StageError
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.folders import found_in, without_image, without_mask
from pipelines.datasets.readers.layout import Layout, bare, compiled, data_files, filled, names_of, tops

SIDES = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "ts"), "test"),
}
"""Names of folders, in any case, by the side of the publisher's split that `{side}` makes of them."""

Key = tuple[tuple[str, str], ...]
"""Fields and what stands for them, which tell an image from all others."""


def read_layout(root: Path, labels: Sequence[str], layout: Layout) -> list[Case]:
    """Every file below `root` that fits `layout.image`, with the masks that `layout.mask` gives it.

    A lone folder on top, as archives often have, is entered if the patterns do not name it. Images of other labels than
    `labels` are left aside; without `{label}` all images have the only one.

    Raises:
        StageError: if no file fits, an image has no mask or a mask no image, or two files claim one place.
    """
    if len(labels) > 1 and "label" not in layout.fields:
        raise StageError(
            f"{root}: {len(labels)} `labels`, but no {{label}} in `layout: {layout.image[0]}`. Correct one."
        )
    fits = compiled(layout.image[0])
    base = next((base for base in tops(root) if any(fits(bare(path)) for path in data_files(base))), root)
    files = data_files(base)
    masks = _by_key(base, files, layout.mask) if layout.mask else {}
    taken = {path for paths in masks.values() for path in paths}
    images, *further = (
        _by_key(base, [path for path in files if path not in taken], pattern) for pattern in layout.image
    )
    if not images:
        raise StageError(f"{base}: no file fits `layout: {layout.image[0]}`. {found_in(base)} Correct the pattern.")
    left = {key: paths for key, paths in masks.items() if key not in {_of_mask(key, layout) for key in images}}
    wanted = [key for key in images if dict(key).get("label", labels[0]) in labels]
    for key in wanted:
        if layout.mask and _of_mask(key, layout) not in masks:
            mask = Path(filled(layout.mask, dict(key)))
            others = [path.name for paths in left.values() for path in paths if path.parent == mask.parent]
            raise without_mask(base, images[key][0], mask, others)
        for pattern, found in zip(layout.image[1:], further, strict=True):
            if key not in found:
                raise StageError(
                    f"{base / images[key][0]}: an image without its modality {filled(pattern, dict(key))}. "
                    "Add or rename that, or move the image elsewhere."
                )
    if lone := [paths[0] for key, paths in left.items() if dict(key).get("label", labels[0]) in labels]:
        raise without_image(base / lone[0], Path(layout.image[0]))
    below = base.relative_to(root)
    return [
        Case(
            below / images[key][0],
            tuple(below / path for path in masks[_of_mask(key, layout)]) if layout.mask else (),
            dict(key).get("label", labels[0]),
            patient=dict(key).get("patient"),
            official_split=_side(base / images[key][0], dict(key)),
            modalities=tuple(below / found[key][0] for found in further),
        )
        for key in wanted
    ]


def _by_key(base: Path, files: Iterable[Path], pattern: str) -> dict[Key, list[Path]]:
    fields, found = compiled(pattern), dict[Key, list[Path]]()
    for path in files:
        if (match := fields(bare(path))) is not None:
            same = found.setdefault(tuple(sorted(match.items())), [])
            if same and "*" not in pattern:
                raise StageError(
                    f"{base / path}: fits {pattern!r} of `layout`, as {same[0].name} does. Move the one that is not "
                    "meant."
                )
            same.append(path)
    return found


def _of_mask(key: Key, layout: Layout) -> Key:
    names = names_of(layout.mask or "")
    return tuple((name, value) for name, value in key if name in names)


def _side(image: Path, fields: Mapping[str, str]) -> str | None:
    if "side" not in fields:
        return None
    if (side := SIDES.get(fields["side"].lower())) is None:
        known = ", ".join(SIDES)
        raise StageError(f"{image}: expected {known} for {{side}} of `layout`. Found {fields['side']!r}. Correct one.")
    return side
