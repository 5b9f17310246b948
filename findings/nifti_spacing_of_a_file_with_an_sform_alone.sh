#!/usr/bin/env bash
# nibabel 5.4.2 and SimpleITK 2.5.7 disagree about the size of a voxel where `pixdim` and the sform do.
#
# Guessed: both take all from the sform, if it has a code and the qform none: NIfTI's method 3 does not use `pixdim`.
# Seen: nibabel's affine does; SimpleITK takes origin and directions from the sform and the spacing from `pixdim`, prints
# a warning that names no consequence, and resamples, measures volumes and surface distances in another size. With a
# scanner's qform beside a template's sform (codes 1 and 4) the two libraries also place the image differently. Who meets
# this: images which a tool resampled, or registered to a template, by writing a new sform. (Our reader refuses a file
# whose sizes contradict each other: pipelines/datasets/readers/nifti.py.)
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check nibabel==5.4.2 simpleitk==2.5.7
cd "$room"
"$room/venv/bin/python" - 2>warnings.txt <<'PYTHON'
import nibabel as nib
import numpy as np
import SimpleITK as sitk


def affine(spacing, origin):
    matrix = np.diag([spacing, spacing, spacing, 1.0])
    matrix[:3, 3] = origin
    return matrix


def read(name, qform_code, sform_code):
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), None)
    image.header.set_zooms((1, 1, 1))
    image.set_qform(affine(1, (1, 2, 3)), qform_code)
    image.set_sform(affine(2, (10, 20, 30)), sform_code)
    nib.save(image, name)
    ours, theirs = nib.load(name).affine, sitk.ReadImage(name)
    flipped = np.multiply(theirs.GetOrigin(), (-1, -1, 1))  # ITK counts to the left and the back
    return nib.affines.voxel_sizes(ours).tolist(), ours[:3, 3].tolist(), list(theirs.GetSpacing()), flipped.tolist()


alone, template = read("alone.nii", 0, 1), read("template.nii", 1, 4)
print("sform alone, spacing and origin by nibabel and by SimpleITK:", *alone)
print("qform of a scanner, sform of a template:", *template)
assert alone == ([2.0] * 3, [10.0, 20.0, 30.0], [1.0] * 3, [10.0, 20.0, 30.0]), "they agree now"
assert template == ([2.0] * 3, [10.0, 20.0, 30.0], [1.0] * 3, [1.0, 2.0, 3.0])
PYTHON
grep -q "unexpected scales in sform" warnings.txt
