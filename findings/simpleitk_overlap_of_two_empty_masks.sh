#!/usr/bin/env bash
# SimpleITK 2.5.7: of two empty masks `LabelOverlapMeasuresImageFilter` says a Dice of inf and a Jaccard of 1.8e308.
#
# Guessed: 0, 1 or NaN, the same kind for all. Seen: Dice is infinite and Jaccard, volume similarity and all error rates
# are the largest double, which is finite: `isfinite` lets it pass, a mean over patients is then about 1e308, and a filter
# that drops what is infinite drops the patient from Dice alone. Who meets this: patients without a lesion.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check simpleitk==2.5.7 numpy==2.4.6
"$room/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import SimpleITK as sitk

empty = sitk.Image([8, 8, 8], sitk.sitkUInt8)
overlap = sitk.LabelOverlapMeasuresImageFilter()
overlap.Execute(empty, empty)
found = {
    name: getattr(overlap, f"Get{name}")()
    for name in ("DiceCoefficient", "JaccardCoefficient", "VolumeSimilarity", "FalseNegativeError", "FalsePositiveError")
}
print(found)
assert found.pop("DiceCoefficient") == np.inf, "another Dice of empty masks now"
assert set(found.values()) == {sys.float_info.max} and np.isfinite(list(found.values())).all()
PYTHON
