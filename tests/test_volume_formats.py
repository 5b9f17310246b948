"""docs/formats.md says of every kind of volume what SimpleITK, nibabel and we make of it: it is so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from pipelines.core.console import StageError
from pipelines.datasets.readers.blocks import read_voxels
from pipelines.datasets.readers.volume_files import read_header
from tests.support.places import ROOT
from tests.support.volume_formats import KINDS, Kind

PAGE = ROOT / "docs" / "formats.md"
Found = tuple[np.ndarray, np.ndarray]
"""Values as (D, H, W, C), and the steps along the stored axes to the left, back and head, in millimetres."""


def by_itk(path: Path) -> Found:
    image = sitk.ReadImage(str(path))
    axes, values = image.GetDimension(), sitk.GetArrayFromImage(image)
    if axes > 3:  # the further ones are of length 1, or channels
        values = np.moveaxis(values.reshape(-1, *values.shape[axes - 3 :]), 0, -1)
    steps = np.eye(3)
    kept = min(axes, 3)
    steps[:kept, :kept] = (np.array(image.GetDirection()).reshape(axes, axes) * image.GetSpacing())[:kept, :kept]
    return values, steps


def by_nibabel(path: Path) -> Found:
    image = nib.load(path)
    values = np.asanyarray(image.dataobj)
    if values.dtype.names:
        values = np.stack([values[name] for name in values.dtype.names])
        return np.moveaxis(values.transpose(0, 3, 2, 1), 0, -1), np.diag([-1, -1, 1]) @ image.affine[:3, :3]
    spatial = values.reshape(*(*values.shape, 1)[:3], -1)
    return spatial.transpose(2, 1, 0, 3), np.diag([-1, -1, 1]) @ image.affine[:3, :3]


def by_us(path: Path) -> Found:
    header = read_header(path)
    return read_voxels(header), header.grid.steps


READERS: dict[str, Callable[[Path], Found]] = {
    f"SimpleITK {sitk.Version_VersionString()}": by_itk,
    f"nibabel {nib.__version__}": by_nibabel,
    "here": by_us,
}


def verdict(read: Callable[[Path], Found], path: Path, kind: Kind) -> str:
    """What a reader makes of a file: right, or what it takes for something else."""
    try:
        values, steps = read(path)
    except (StageError, RuntimeError, OSError, ValueError, nib.filebasedimages.ImageFileError):
        return "refused"
    said = []
    expected = kind.values if kind.values.ndim == 4 else kind.values[..., None]
    if values.size != expected.size:
        said.append("other size")
    elif np.iscomplexobj(values):
        said.append("complex values")
    elif not np.allclose(values.reshape(expected.shape), expected, equal_nan=True):
        said.append("other values")
    if (size := np.linalg.norm(steps, axis=0).max()) > 1.01 * kind.millimetres or size < 0.99 * kind.millimetres:
        said.append(f"voxels of {size:.4g} mm")
    if (axes := axes_text(steps)) != kind.axes:
        said.append(f"axes {axes}")
    return ", ".join(said) or "right"


def axes_text(steps: np.ndarray) -> str:
    letters = ("LR", "PA", "SI")
    nearest = np.abs(steps).argmax(axis=0)
    return "".join(letters[axis][int(steps[axis, stored] < 0)] for stored, axis in enumerate(nearest))


def table(folder: Path) -> str:
    """The page's table, from the readers themselves."""
    lines = [f"| a volume | {' | '.join(READERS)} |", "|---" * (len(READERS) + 1) + "|"]
    for number, (name, kind) in enumerate(KINDS.items()):
        path = folder / f"{number}{kind.suffix}"
        kind.write(path)
        lines.append(f"| {name} | {' | '.join(verdict(read, path, kind) for read in READERS.values())} |")
    return "\n".join(lines)


def test_the_table_of_volumes_is_what_the_readers_do(tmp_path: Path) -> None:
    assert table(tmp_path) in PAGE.read_text(), "`python -m tests.test_volume_formats` prints the table as it is now."


@pytest.mark.parametrize("name", KINDS)
def test_what_is_read_is_right(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"v{KINDS[name].suffix}"
    KINDS[name].write(path)
    assert verdict(by_us, path, KINDS[name]) in ("right", "refused")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        sys.stdout.write(table(Path(place)) + "\n")
