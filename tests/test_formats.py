"""docs/formats.md says of every kind of picture what Pillow, OpenCV, SimpleITK and we make of it: it is so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import PIL
import pytest
import SimpleITK as sitk
from PIL import Image

from pipelines.core.console import StageError
from pipelines.datasets.readers.images import load_image, picture_size
from tests.support.formats import Shown, pictures
from tests.support.places import ROOT

PAGE = ROOT / "docs" / "formats.md"
PICTURES = pictures()
FAULT = 10
"""Grey levels, on average: what lossy formats change is below it, and a turned or foreign picture far above."""


def by_pillow(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture if picture.mode != "P" else picture.convert("RGB"))


def by_opencv(path: Path) -> np.ndarray | None:
    found = cv2.imread(str(path))
    return None if found is None else found[..., ::-1]


def by_itk(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


READERS: dict[str, Callable[[Path], np.ndarray | None]] = {
    f"Pillow {PIL.__version__}": by_pillow,
    f"OpenCV {cv2.__version__}": by_opencv,
    f"SimpleITK {sitk.Version_VersionString()}": by_itk,
    "here": load_image,
}


def verdict(read: Callable[[Path], np.ndarray | None], path: Path, shown: Shown) -> str:
    """What a reader makes of a file."""
    try:
        found = read(path)
    except (StageError, RuntimeError, OSError):
        found = None
    if found is None:
        return "refused"
    kind = f", {found.dtype}" if found.dtype not in (np.uint8, bool) else ""
    for said, pixels in shown.items():
        if near(found, pixels):
            return said + kind
    return "other pixels" + kind


def near(found: np.ndarray, pixels: np.ndarray) -> bool:
    """Whether an array shows these pixels, in one channel or several, with alpha or without, of any depth."""
    values = found.astype(float) * (255 if found.dtype == bool else 1)
    values = values / 257 if found.dtype == np.uint16 else values
    if values.ndim == 3 and values.shape[-1] in (2, 4):
        values = values[..., :-1]
    values = values[..., 0] if values.ndim == 3 and values.shape[-1] == 1 else values
    both = [array if array.shape[-1] == 3 else np.stack([array] * 3, -1) for array in (values, pixels.astype(float))]
    return both[0].shape == both[1].shape and float(np.abs(both[0] - both[1]).mean()) < FAULT


def table(folder: Path) -> str:
    """The page's table, from the readers themselves."""
    lines = [f"| a picture | {' | '.join(READERS)} |", "|---" * (len(READERS) + 1) + "|"]
    for number, (name, (content, shown)) in enumerate(PICTURES.items()):
        path = folder / f"{number}.{suffix(name)}"
        path.write_bytes(content)
        lines.append(f"| {name} | {' | '.join(verdict(read, path, shown) for read in READERS.values())} |")
    return "\n".join(lines)


def suffix(name: str) -> str:
    words = name.replace(",", "").split()
    return {"jpeg": "jpg", "tiff": "tif"}.get(words[0].lower(), words[0].lower()) if "2000" not in words else "jp2"


def test_the_table_of_pictures_is_what_the_readers_do(tmp_path: Path) -> None:
    assert table(tmp_path) in PAGE.read_text(), "`python -m tests.test_formats` prints the table as it is now."


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_read_is_right_and_its_size_is_known_beforehand(name: str, tmp_path: Path) -> None:
    content, shown = PICTURES[name]
    path = tmp_path / f"a.{suffix(name)}"
    path.write_bytes(content)
    said = verdict(load_image, path, shown)
    assert said in ("right", "refused", "over black", "upper byte")
    if said == "refused":
        with pytest.raises(StageError, match=r"a\.\w+: .*(Convert|Save|convert)"):
            load_image(path)
    else:
        assert picture_size(path) == load_image(path).shape[:2]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        sys.stdout.write(table(Path(place)) + "\n")
