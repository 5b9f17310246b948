"""Finding files: what publishers' layouts have in common, and errors that name what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pipelines.core.console import StageError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
VOLUMES = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".hdr")
"""How the names of files end that are taken for pictures and for volumes."""


def stem_of(path: Path) -> str:
    """A file's name without what says that it is a volume or, of any other file, without the last suffix."""
    ending = next((ending for ending in VOLUMES if path.name.lower().endswith(ending)), path.suffix)
    return path.name[: len(path.name) - len(ending)]


def files_in(
    root: Path, folder: Path, suffixes: Iterable[str] = PICTURES, *, meaning: str = "files of the data set"
) -> list[Path]:
    """The files of `root / folder`, relative to `root`, sorted; suffixes in any case.

    What systems leave behind (`.DS_Store`, `._image.png`, `Thumbs.db`) is not seen.

    Raises:
        StageError: if there is no such folder, saying what was expected there.
    """
    if not (root / folder).is_dir():
        raise StageError(f"{root / folder}: no such folder; {meaning} were expected. Fetch it again.")
    endings = tuple(suffixes)
    return sorted(
        folder / path.name
        for path in (root / folder).iterdir()
        if path.name.lower().endswith(endings) and not path.name.startswith(".") and path.is_file()
    )


def folders_in(root: Path, folder: Path = Path(), *, meaning: str = "folders") -> list[Path]:
    """The folders of `root / folder`, relative to `root`, sorted, without hidden ones and `__MACOSX`."""
    if not (root / folder).is_dir():
        raise StageError(f"{root / folder}: no such folder; {meaning} were expected. Fetch it again.")
    return sorted(
        folder / path.name
        for path in (root / folder).iterdir()
        if path.is_dir() and not path.name.startswith((".", "__"))
    )


def the_folder(root: Path, pattern: str) -> Path:
    """The one folder below `root` that fits `pattern`, relative to it: some services append a version to its name.

    Raises:
        StageError: if none fits, or several do.
    """
    found = sorted(path.relative_to(root) for path in root.glob(pattern) if path.is_dir())
    if len(found) != 1:
        names = ", ".join(path.as_posix() for path in found) or "none"
        raise StageError(f"{root / pattern}: expected one such folder. Found {names}. Fetch the data set again.")
    return found[0]


def paired(
    root: Path,
    images: Path,
    masks: Path,
    *,
    mask_of: Callable[[str], str] = lambda stem: stem,
    suffixes: tuple[Iterable[str], Iterable[str]] = (PICTURES, PICTURES),
) -> list[tuple[Path, Path]]:
    """Each image of one folder with its mask in another; `mask_of` gives the mask's stem from the image's.

    Raises:
        StageError: naming an image without mask, a mask without image, or two masks of one image.
    """
    named: dict[str, Path] = {}
    for mask in files_in(root, masks, suffixes[1]):
        if (other := named.setdefault(stem_of(mask), mask)) != mask:
            raise StageError(f"{root / mask}: a second mask beside {other.name}. Remove one of them.")
    pairs = []
    for image in files_in(root, images, suffixes[0]):
        stem = mask_of(stem_of(image))
        if stem not in named:
            raise StageError(
                f"{root / image}: an image without its mask {masks / stem}. Add the mask or remove the image."
            )
        pairs.append((image, named.pop(stem)))
    if named:
        raise StageError(f"{root / min(named.values())}: a mask without its image in {images}. Fetch it again.")
    return pairs
