"""Headers of NIfTI-1 and NIfTI-2, gzipped or not whatever their name, in one file or as `.hdr` beside `.img`.

What a header states twice must agree. The rule (https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h, "METHOD 1"
to "METHOD 3"): the sform where its code is above 0, else the qform where its code is, else only the voxel size is
known, and axes are taken as stored. SimpleITK, which may prefer the qform, takes the voxel size of a wrong sform from
`pixdim`; nibabel takes it from the sform and, without codes, runs the first axis to the left and centres the volume.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from jaxtyping import Float64
from nibabel.spatialimages import HeaderDataError

from pipelines.core.console import StageError
from pipelines.datasets.readers.blocks import Block, Header, beginning, damaged, is_compressed, unlike
from pipelines.datasets.readers.grids import AS_STORED, Grid, Triple, grid_of, is_plausible, turn_towards

ROUNDING = 0.01
"""By how much, relatively, two statements about the voxel size may differ."""

TO_LPS = np.diag([-1.0, -1.0, 1.0])
"""NIfTI's axes run to the right and to the front."""

MILLIMETRES = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}

SINGLE, PAIR = {b"n+1\0": 352, b"n+2\0": 544}, {b"ni1\0", b"ni2\0"}
"""Magic texts, and where voxels begin in a single file at the least."""

ANALYZE = "a header of Analyze 7.5, which does not say where the patient's left is"

TYPES = {2: "u1", 256: "i1", 4: "i2", 512: "u2", 8: "i4", 768: "u4", 1024: "i8", 1280: "u8", 16: "f4", 64: "f8"}
COLOURS = {128: 3, 2304: 4}
COMPLEX = (32, 1792, 2048)
"""Codes of data types: numbers, as many bytes for each voxel, red first, and pairs of numbers."""


def read_nifti(path: Path) -> Header:
    """Raises StageError naming the file and what its header says that cannot be, or is not read."""
    header, magic = _header(path)
    width, height, depth, several = _shape(path, header)
    kind, colours = _kind(path, int(header["datatype"]))
    if colours > 1 and several > 1:
        raise StageError(f"{path}: {several} colours for each voxel. Expected 3 axes. Split it.")
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise damaged(path, str(error)) from None
    offset = float(header["vox_offset"])
    if not 0 <= offset < 2**40:
        raise damaged(path, f"voxels begin at byte {offset:g}")
    skip = max(int(offset), SINGLE.get(magic, 0))
    data = path if magic in SINGLE else _data_of(path)
    dtype = np.dtype(kind).newbyteorder(header.endianness)
    block = Block(data, 0, skip, dtype, compressed=data.is_file() and is_compressed(data))
    return Header(
        _grid(path, header, (width, height, depth)),
        block,
        max(several, colours),
        first=colours > 1,
        slope=1.0 if slope is None else float(slope),
        intercept=0.0 if slope is None else float(intercept),
    )


def _kind(path: Path, code: int) -> tuple[str, int]:
    """Type of a number, and how many of them a voxel's value is."""
    if code in COMPLEX:
        raise StageError(f"{path}: its voxels are complex numbers. Expected real ones. Store the magnitude.")
    if code not in TYPES and code not in COLOURS:
        raise damaged(path, f"voxels of data type {code}, where 2 is for bytes, 4 for short, 16 for float")
    return TYPES.get(code, "u1"), COLOURS.get(code, 1)


def _header(path: Path) -> tuple[nib.Nifti1Header, bytes]:
    raw = beginning(path, 540)
    length = {int.from_bytes(raw[:4], "little"), int.from_bytes(raw[:4], "big")}
    kind, magic = (nib.Nifti1Header, raw[344:348]) if 348 in length else (nib.Nifti2Header, raw[4:8])
    needed = 348 if 348 in length else 540
    if magic not in {*SINGLE, *PAIR} or needed not in length or len(raw) < needed:
        raise damaged(path, ANALYZE) if 348 in length and magic == bytes(4) else unlike(path, "NIfTI")
    return kind(raw[:needed], check=False), magic


def _shape(path: Path, header: nib.Nifti1Header) -> tuple[int, int, int, int]:
    """Lengths of the three axes in space, 1 where there are two, and how many values a voxel has."""
    count, *lengths = (int(value) for value in header["dim"])
    if not 1 <= count <= 7 or min(lengths[:count]) < 1:
        raise damaged(path, f"axes of {', '.join(map(str, lengths[: max(0, count)]))} voxels")
    width, height, depth, *others = (*lengths[:count], *[1] * (7 - count))
    several = [length for length in others if length > 1]
    if len(several) > 1:
        raise StageError(f"{path}: expected 3 axes, and one of channels at most. Found {lengths[:count]}. Split it.")
    return width, height, depth, several[0] if several else 1


def _data_of(path: Path) -> Path:
    """The `.img` of a `.hdr`."""
    names = [path.with_suffix(suffix) for suffix in (".img", ".img.gz", ".IMG")]
    return next((name for name in names if name.is_file()), names[0])


def _grid(path: Path, header: nib.Nifti1Header, size: Triple) -> Grid:
    scale = _unit(header)
    count = int(header["dim"][0])
    stated = np.abs(np.array([1.0 if axis >= count else header["pixdim"][axis + 1] for axis in range(3)], np.float64))
    header["pixdim"][1:4] = stated
    stating: dict[str, Grid] = {}
    for kind in ("sform", "qform"):
        if (affine := _transform(path, header, kind)) is not None:
            _check_sizes(path, affine, stated, kind)
            stating[kind] = grid_of(path, size, TO_LPS @ affine[:3, :3] * scale, TO_LPS @ affine[:3, 3] * scale)
    if not stating:
        void = header.get_sform()
        if np.any(void[:3, :3]) and is_plausible(void):
            _check_sizes(path, void, stated, "sform, which its code declares void,")
        return grid_of(path, size, np.diag(stated) * scale, np.zeros(3))
    first, *others = stating.values()
    for other in others:
        if turn_towards(other, first.directions) != AS_STORED:
            raise StageError(
                f"{path}: by its sform it has {first}, by its qform {other}. Expected axes that run the same way. "
                "Correct the header."
            )
    return first


def _transform(path: Path, header: nib.Nifti1Header, kind: str) -> Float64[np.ndarray, "4 4"] | None:
    """The sform or qform if its code says that it counts."""
    if int(header[f"{kind}_code"]) <= 0:
        return None
    try:
        affine = np.asarray(header.get_sform() if kind == "sform" else header.get_qform(), np.float64)
    except (HeaderDataError, ValueError, np.linalg.LinAlgError) as error:
        raise damaged(path, f"{kind}: {error}") from None
    if not is_plausible(affine):
        raise damaged(path, f"a {kind} of {affine[:3].tolist()}")
    return affine


def _check_sizes(path: Path, affine: Float64[np.ndarray, "4 4"], stated: Float64[np.ndarray, 3], name: str) -> None:
    """Sizes of 0 in `pixdim` say nothing."""
    found = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.all((stated == 0) | (np.abs(found - stated) <= ROUNDING * found)):
        sizes = [" x ".join(f"{value:.6g}" for value in values) for values in (found, stated)]
        raise StageError(
            f"{path}: voxels of {sizes[0]} by the {name} but of {sizes[1]} by pixdim. Expected one size. "
            "Correct the header."
        )


def _unit(header: nib.Nifti1Header) -> float:
    try:
        return MILLIMETRES[header.get_xyzt_units()[0]]
    except KeyError:
        return 1.0
