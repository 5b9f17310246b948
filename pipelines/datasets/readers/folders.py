"""Finding files: what publishers' layouts have in common, and errors that say what was found instead."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from pipelines.core.console import StageError
from pipelines.core.files import is_left_behind

PICTURES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff"),
    *(".gif", ".webp", ".avif", ".pgm", ".ppm", ".pbm", ".pnm"),
)
VOLUMES = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".hdr")
"""How the names of files end that are taken for pictures and for volumes."""

DICOM = " DICOM is not read: convert each series to NIfTI, for instance with dcm2niix."

NAMED = 8
"""As many folders or suffixes are named of what was found."""


def stem_of(path: Path) -> str:
    """A file's name without what says that it is a volume or, of any other file, without the last suffix.

    Composed as Unicode's NFC: macOS writes the ü of a name in two characters, others in one.
    """
    return composed(path.name[: len(path.name) - len(suffix_of(path))])


def suffix_of(path: Path) -> str:
    """What `stem_of` leaves: `.nii.gz`, or the last suffix."""
    return next((path.name[-len(end) :] for end in VOLUMES if path.name.lower().endswith(end)), path.suffix)


def composed(name: str) -> str:
    """A name such that equal ones are equal, however a system spells its accents."""
    return unicodedata.normalize("NFC", name)


def files_in(
    root: Path, folder: Path, suffixes: Iterable[str] = PICTURES, *, meaning: str = "files of the data set"
) -> list[Path]:
    """The files of `root / folder`, relative to `root`, sorted; suffixes in any case.

    What systems leave behind (`.DS_Store`, `._image.png`, `Thumbs.db`) is not seen.

    Raises:
        StageError: if there is no such folder, saying what was expected there.
    """
    place = existing(root, folder, meaning)
    endings = tuple(suffixes)
    return sorted(
        place / path.name
        for path in (root / place).iterdir()
        if path.name.lower().endswith(endings) and not is_left_behind(path.name) and path.is_file()
    )


def folders_in(root: Path, folder: Path = Path(), *, meaning: str = "folders") -> list[Path]:
    """The folders of `root / folder`, relative to `root`, sorted, without those that systems leave behind."""
    place = existing(root, folder, meaning)
    return sorted(
        place / path.name
        for path in (root / place).iterdir()
        if path.is_dir() and not path.name.startswith("__") and not is_left_behind(path.name)
    )


def existing(root: Path, folder: Path, meaning: str) -> Path:
    """`folder` as it is spelt below `root`, whatever the composition of its accents.

    Raises:
        StageError: if there is none, saying what was expected, and what is there instead.
    """
    place = Path()
    for part in folder.parts:
        if (root / place / part).is_dir():
            place /= part
            continue
        same = [path for path in _children(root / place) if path.is_dir() and composed(path.name) == composed(part)]
        if not same:
            raise StageError(
                f"{root / folder}: no such folder; {meaning} were expected. {found_in(root / place)} Bring or rename "
                "the folder, or give `layout` in the catalogue: `python -m pipelines.describe FOLDER` proposes one."
            )
        place /= same[0].name
    return place


def found_in(folder: Path) -> str:
    """A sentence about what a folder holds: its folders and how many files of which suffixes."""
    children = _children(folder)
    folders = sorted(path.name for path in children if path.is_dir())
    suffixes = Counter(suffix_of(path).lower() or "no suffix" for path in children if path.is_file())
    counted = [f"{count} {suffix}" for suffix, count in suffixes.most_common()]
    parts = [f"folders {listed(folders)}"] * bool(folders) + [f"files {listed(counted)}"] * bool(counted)
    series = DICOM if next(folder.rglob("*.[dD][cC][mM]"), None) else ""
    return f"Found in {folder}: {'; '.join(parts) or 'nothing'}.{series}"


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def the_folder(root: Path, pattern: str) -> Path:
    """The one folder below `root` that fits `pattern`, relative to it: some services append a version to its name.

    Raises:
        StageError: if none fits, or several do.
    """
    found = sorted(path.relative_to(root) for path in root.glob(pattern) if path.is_dir())
    if len(found) != 1:
        names = ", ".join(path.as_posix() for path in found) or "none"
        raise StageError(f"{root / pattern}: expected one such folder. Found {names}. {found_in(root)}")
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
            raise StageError(f"{root / mask}: a second mask beside {other.name}. Move the one that is not meant.")
    pairs = []
    for image in files_in(root, images, suffixes[0]):
        stem = mask_of(stem_of(image))
        if stem not in named:
            raise without_mask(root, image, masks / stem, [path.name for path in named.values()])
        pairs.append((image, named.pop(stem)))
    if named:
        raise without_image(root / min(named.values()), images)
    return pairs


def without_mask(root: Path, image: Path, mask: Path, others: Sequence[str]) -> StageError:
    """What to say of an image whose mask, expected at `mask` and any suffix, is not there; `others` have no image."""
    near = [name for name in others if mask.name in name] or get_close_matches(mask.name, others, 1)
    found = f"The nearest name is {near[0]}." if near else found_in((root / mask).parent)
    return StageError(
        f"{root / image}: an image without its mask {mask}. {found} Add or rename the mask, or move the image."
    )


def without_image(mask: Path, images: Path) -> StageError:
    """What to say of a mask whose image is not in the folder `images`."""
    return StageError(
        f"{mask}: a mask without its image in {images or 'its folder'}. Add or rename the image, or move the mask "
        "elsewhere."
    )


def _children(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not is_left_behind(path.name)) if folder.is_dir() else []
