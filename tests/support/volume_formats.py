"""One small volume of every format and stated geometry that people's files have, and what it holds by its header."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np

from tests.support.volumes import metaimage, nifti, nrrd

RAMP = np.arange(1, 25, dtype=np.int16).reshape(2, 3, 4)
RAS, TWO = np.eye(4), np.diag([2.0, 2, 2, 1])
ONE_MM = [1, 1, 1, 1, 0, 0, 0, 0]


@dataclass(frozen=True)
class Kind:
    """How to write a volume, and what it means.

    Attributes:
        write: To a path that ends with `suffix`.
        values: (D, H, W) or (D, H, W, C), in the order in which they are stored.
        axes: To where they run: right or left, front (A) or back, head (S) or foot.
    """

    suffix: str
    write: Callable[[Path], object]
    values: np.ndarray = field(default_factory=lambda: RAMP)
    axes: str = "RAS"
    millimetres: float = 1


def _packed(path: Path) -> None:
    path.write_bytes(gzip.compress(nifti(path, RAMP, RAS).read_bytes()))


def _short(path: Path) -> None:
    path.write_bytes(nifti(path, RAMP, RAS).read_bytes()[:-8])


def _sheared(amount: float) -> Callable[[Path], object]:
    affine = np.eye(4)
    affine[0, 1] = amount
    return lambda path: nifti(path, RAMP, affine)


def _colours(path: Path) -> None:
    packed = np.ascontiguousarray(COLOURS).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    nib.Nifti1Image(packed.T, RAS).to_filename(path)


COLOURS = np.stack([RAMP, RAMP + 1, RAMP + 2], axis=-1).astype(np.uint8)
MODALITIES = np.stack([RAMP, RAMP + 100])
PADDED = np.where(RAMP < 13, np.nan, RAMP).astype(np.float32)
IN_LPS = {"space": "LPS", "space_directions": "(1,0,0) (0,1,0) (0,0,1)"}

KINDS = {
    "NIfTI": Kind(".nii", lambda path: nifti(path, RAMP, RAS)),
    "NIfTI, big-endian": Kind(
        ".nii", lambda path: nib.Nifti1Image(RAMP.T, RAS, nib.Nifti1Header(endianness=">")).to_filename(path)
    ),
    "NIfTI, gzipped, named `.nii`": Kind(".nii", _packed),
    "NIfTI-2": Kind(".nii", lambda path: nifti(path, RAMP, RAS, version=2)),
    "NIfTI, `.hdr` and `.img`": Kind(".hdr", lambda path: nib.Nifti1Pair(RAMP.T, RAS).to_filename(path)),
    "NIfTI, two axes": Kind(".nii", lambda path: nifti(path, RAMP[0], RAS), RAMP[:1]),
    "NIfTI, four axes": Kind(".nii", lambda path: nifti(path, MODALITIES, RAS), np.moveaxis(MODALITIES, 0, -1)),
    "NIfTI, vectors": Kind(
        ".nii", lambda path: nifti(path, MODALITIES[:, None], RAS, intent_code=1007), np.moveaxis(MODALITIES, 0, -1)
    ),
    "NIfTI, colour": Kind(".nii", _colours, COLOURS),
    "NIfTI, complex": Kind(".nii", lambda path: nifti(path, RAMP.astype(np.complex64), RAS)),
    "NIfTI, NaN and an intercept": Kind(
        ".nii", lambda path: nifti(path, PADDED, RAS, scl_slope=1, scl_inter=-1024), PADDED - 1024
    ),
    "NIfTI, slope 0 and an intercept": Kind(".nii", lambda path: nifti(path, RAMP, RAS, scl_slope=0, scl_inter=5)),
    "NIfTI, slope 0.5": Kind(".nii", lambda path: nifti(path, RAMP, RAS, scl_slope=0.5), RAMP * np.float32(0.5)),
    "NIfTI, sform of 2 mm, pixdim of 1 mm": Kind(
        ".nii", lambda path: nifti(path, RAMP, TWO, pixdim=ONE_MM), millimetres=2
    ),
    "NIfTI, the same, sform of code 0": Kind(".nii", lambda path: nifti(path, RAMP, TWO, pixdim=ONE_MM, sform_code=0)),
    "NIfTI, no codes": Kind(
        ".nii", lambda path: nifti(path, RAMP, pixdim=[1, 2, 2, 2, 0, 0, 0, 0]), axes="LPS", millimetres=2
    ),
    "NIfTI, sform and qform turned by half": Kind(
        ".nii", lambda path: nifti(path, RAMP, RAS, qform_code=1, quatern_d=1)
    ),
    "NIfTI, shear of 0.005": Kind(".nii", _sheared(0.005)),
    "NIfTI, shear of 0.1": Kind(".nii", _sheared(0.1)),
    "NIfTI, in metres": Kind(".nii", lambda path: nifti(path, RAMP, RAS, xyzt_units=1), millimetres=1000),
    "NIfTI, cut short": Kind(".nii", _short),
    "Analyze 7.5": Kind(".hdr", lambda path: nib.AnalyzeImage(RAMP.T, RAS).to_filename(path.with_suffix(".img"))),
    "MetaImage": Kind(".mha", lambda path: metaimage(path, RAMP), axes="LPS"),
    "MetaImage, `.mhd` and `.raw`": Kind(".mhd", lambda path: metaimage(path, RAMP), axes="LPS"),
    "MetaImage, spacing below 0": Kind(".mha", lambda path: metaimage(path, RAMP, ElementSpacing="-1 1 1"), axes="RPS"),
    "MetaImage, two channels": Kind(
        ".mha",
        lambda path: metaimage(path, RAMP, DimSize="2 3 2", ElementNumberOfChannels="2"),
        RAMP.reshape(2, 3, 2, 2),
        "LPS",
    ),
    "MetaImage, slope of 2": Kind(
        ".mha", lambda path: metaimage(path, RAMP, ElementToIntensityFunctionSlope="2"), RAMP * 2, "LPS"
    ),
    "NRRD": Kind(".nrrd", lambda path: nrrd(path, RAMP, **IN_LPS), axes="LPS"),
    "NRRD, right-anterior-superior": Kind(".nrrd", lambda path: nrrd(path, RAMP, **{**IN_LPS, "space": "RAS"})),
    "NRRD, `.nhdr` and `.raw`": Kind(".nhdr", lambda path: nrrd(path, RAMP, **IN_LPS), axes="LPS"),
    "NRRD, bzip2": Kind(".nrrd", lambda path: nrrd(path, RAMP, encoding="bzip2")),
}
