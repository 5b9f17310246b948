#!/usr/bin/env bash
# baycomp 1.0.3: `two_on_multiple` of a method whose every score is NaN and any other says "equivalent", with certainty.
#
# Guessed: an error, or NaN, which is what `two_on_single` of the same scores gives. Seen: a difference that is NaN is
# neither above nor below the rope, so the signed-rank test and the sign test count it as inside. One NaN among real
# scores moves probability towards "equivalent" in the same way. Who meets this: a method that diverged on a data set.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check baycomp==1.0.3
"$room/venv/bin/python" -W ignore - <<'PYTHON'
import baycomp
import numpy as np

good, diverged = np.linspace(0.5, 0.9, 12), np.full(12, np.nan)


def chances(test, one, other):
    return [round(float(p), 3) for p in test(one, other, rope=0.01, random_state=0)]


ranks = chances(baycomp.two_on_multiple, good, diverged)
signs = [round(float(p), 2) for p in baycomp.SignTest.probs(good, diverged, rope=0.01, random_state=0)]
single = [float(p) for p in baycomp.two_on_single(good, diverged, rope=0.01)]
print(f"first better, equivalent, second better: {ranks}; by signs {signs}; on one data set {single}")
assert ranks == [0.0, 1.0, 0.0], "missing scores are noticed now"
assert signs[1] > 0.95 and np.isnan(single).all()
PYTHON
