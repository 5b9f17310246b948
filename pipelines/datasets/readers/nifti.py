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
from pipelines.datasets.readers.grids import Grid, Triple, grid_of

ROUNDING = 0.01
"""By how much, relatively, two statements about the voxel size may differ."""

TO_LPS = np.diag([-1.0, -1.0, 1.0])
"""NIfTI's axes run to the right and to the front."""

MILLIMETRES = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}

SINGLE, PAIR = {b"n+1\0": 352, b"n+2\0": 544}, {b"ni1\0", b"ni2\0"}
"""Magic texts, and where voxels begin in a single file at the least."""

ANALYZE = "a header of Analyze 7.5, which does not say where the patient's left is"

COLOURS = {128: 3, 2304: 4}
"""Data types of which a number is several bytes, red first."""


def read_nifti(path: Path) -> Header:
    """Raises StageError naming the file and what its header says that cannot be, or is not read."""
    header, magic = _header(path)
    shape = _shape(path, header)
    size: Triple = (shape[0], shape[1], shape[2])
    colours = COLOURS.get(int(header["datatype"]), 1)
    if colours > 1 and shape[3] > 1:
        raise StageError(f"{path}: colours along {len(shape)} axes. Expected 3 axes. Split it.")
    components = max(shape[3], colours)
    try:
        dtype = np.dtype(np.uint8) if colours > 1 else header.get_data_dtype()
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise damaged(path, str(error)) from None
    if dtype.kind == "c":
        raise StageError(f"{path}: its voxels are complex numbers. Expected real ones. Store the magnitude.")
    offset = float(header["vox_offset"])
    if not 0 <= offset < 2**40:
        raise damaged(path, f"voxels begin at byte {offset:g}")
    skip = max(int(offset), SINGLE.get(magic, 0))
    data = path if magic in SINGLE else _data_of(path)
    block = Block(data, 0, skip, dtype, compressed=data.is_file() and is_compressed(data))
    return Header(
        _grid(path, header, size),
        block,
        components,
        first=colours > 1,
        slope=1.0 if slope is None else float(slope),
        intercept=0.0 if slope is None else float(intercept),
    )


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
    sform, qform = _transform(path, header, "sform"), _transform(path, header, "qform")
    affine = sform if sform is not None else qform
    if affine is None:
        written = header.get_sform()
        if np.any(written[:3, :3]):
            _check_sizes(path, written, stated, "sform, which its code declares void,")
        return grid_of(path, size, np.diag(stated) * scale, np.zeros(3))
    _check_sizes(path, affine, stated, "sform" if sform is not None else "qform")
    if sform is not None and qform is not None and nib.aff2axcodes(sform) != nib.aff2axcodes(qform):
        codes = ["".join(nib.aff2axcodes(one)) for one in (sform, qform)]
        raise StageError(
            f"{path}: the sform runs the axes to {codes[0]}, the qform to {codes[1]}. Expected one direction. "
            "Correct the header."
        )
    return grid_of(path, size, TO_LPS @ affine[:3, :3] * scale, TO_LPS @ affine[:3, 3] * scale)


def _transform(path: Path, header: nib.Nifti1Header, kind: str) -> Float64[np.ndarray, "4 4"] | None:
    """The sform or qform if its code says that it counts."""
    if int(header[f"{kind}_code"]) <= 0:
        return None
    try:
        affine = np.asarray(header.get_sform() if kind == "sform" else header.get_qform(), np.float64)
    except (HeaderDataError, ValueError, np.linalg.LinAlgError) as error:
        raise damaged(path, f"{kind}: {error}") from None
    if not np.isfinite(affine).all() or not np.all(np.linalg.norm(affine[:3, :3], axis=0)):
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
