"""Small volumes written byte by byte, so that headers say what a test wants them to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np


def nifti(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None, *, version: int = 1, **fields: Any) -> Path:
    """(D, H, W) voxels, or (C, D, H, W), as NIfTI; `fields` are set as they are, whatever they contradict.

    Without `affine` both codes are 0; with one it is the sform, in NIfTI's own axes (right, front, head).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = voxels.T
    kind = nib.Nifti1Header if version == 1 else nib.Nifti2Header
    header = kind()
    header.set_data_dtype(stored.dtype)
    header.set_data_shape(stored.shape)
    if affine is not None:
        header.set_sform(affine, 1)
        header["pixdim"][1:4] = np.linalg.norm(affine[:3, :3], axis=0)
    header["magic"] = b"n+1" if version == 1 else b"n+2\0\r\n\x1a\n"
    header["vox_offset"] = 352 if version == 1 else 544
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + bytes(4) + stored.tobytes(order="F"))
    return path


def metaimage(path: Path, voxels: np.ndarray, **lines: str) -> Path:
    """(D, H, W) voxels as MetaImage; `lines` of the header are added or replaced. Beside an `.mhd` lies its `.raw`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {"u1": "UCHAR", "i1": "CHAR", "i2": "SHORT", "u2": "USHORT", "f4": "FLOAT", "f8": "DOUBLE"}
    detached = path.suffix == ".mhd"
    header = {
        "ObjectType": "Image",
        "NDims": "3",
        "DimSize": " ".join(map(str, voxels.shape[::-1])),
        "ElementType": f"MET_{kinds[voxels.dtype.str[1:]]}",
        **lines,
    }
    data = header.pop("ElementDataFile", f"{path.stem}.raw" if detached else "LOCAL")
    text = "".join(f"{name} = {value}\n" for name, value in {**header, "ElementDataFile": data}.items())
    path.write_bytes(text.encode() + (b"" if detached else voxels.tobytes()))
    if detached:
        path.with_suffix(".raw").write_bytes(voxels.tobytes())
    return path


def nrrd(path: Path, voxels: np.ndarray, **lines: str) -> Path:
    """(D, H, W) voxels as NRRD; in the names of `lines`, `_` is a space. Beside an `.nhdr` lies its `.raw`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    detached = path.suffix == ".nhdr"
    header = {
        "type": {"u1": "uint8", "i2": "short", "f4": "float"}[voxels.dtype.str[1:]],
        "dimension": str(voxels.ndim),
        "sizes": " ".join(map(str, voxels.shape[::-1])),
        "encoding": "raw",
        "endian": "little",
        **({"data file": f"{path.stem}.raw"} if detached else {}),
        **{name.replace("_", " "): value for name, value in lines.items()},
    }
    text = "NRRD0005\n" + "".join(f"{name}: {value}\n" for name, value in header.items()) + "\n"
    path.write_bytes(text.encode() + (b"" if detached else voxels.tobytes()))
    if detached:
        path.with_suffix(".raw").write_bytes(voxels.tobytes())
    return path
