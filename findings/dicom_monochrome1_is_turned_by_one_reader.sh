#!/usr/bin/env bash
# pydicom 3.0.2 and SimpleITK 2.5.7 return opposite values of a MONOCHROME1 image, such as most mammograms are.
#
# Guessed: both return what is stored, as the photometric interpretation is about display. Seen: SimpleITK subtracts each
# value from the largest of the stored bits, and does it before the rescale slope and intercept, so that "Hounsfield"
# values of such a file are turned, too; nothing tells the caller, and the metadata still say MONOCHROME1, so that code
# which inverts by the tag inverts twice. Who meets this: CBIS-DDSM and other mammography read once with each.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check pydicom==3.0.2 simpleitk==2.5.7 numpy==2.4.6
cd "$room"
"$room/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation as MAMMOGRAM
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

image = Dataset()
image.file_meta = FileMetaDataset()
image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = MAMMOGRAM
image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
image.Modality, image.PhotometricInterpretation, image.SamplesPerPixel = "MG", "MONOCHROME1", 1
image.Rows, image.Columns, image.BitsAllocated, image.BitsStored, image.HighBit = 1, 2, 16, 12, 11
image.PixelRepresentation, image.RescaleSlope, image.RescaleIntercept = 0, "1", "-1000"
image.PixelData = np.array([1, 2], "<u2").tobytes()
image.save_as("mono1.dcm", enforce_file_format=True)

read = pydicom.dcmread("mono1.dcm")
ours = read.pixel_array.ravel().tolist(), apply_modality_lut(read.pixel_array, read).ravel().tolist()
other = sitk.ReadImage("mono1.dcm")
theirs = sitk.GetArrayFromImage(other).ravel().tolist()
print("stored and rescaled by pydicom:", *ours, "; by SimpleITK:", theirs, other.GetMetaData("0028|0004"))
assert ours == ([1, 2], [-999.0, -998.0])
assert theirs == [4095 - 1 - 1000, 4095 - 2 - 1000], "SimpleITK returns stored values now"
assert other.GetMetaData("0028|0004").strip() == "MONOCHROME1"
PYTHON
