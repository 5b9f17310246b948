#!/usr/bin/env bash
# baycomp 1.0.3: `two_on_multiple(x, x)` says that x beats x with a probability of about .72.
#
# Guessed: .5 each, as `two_on_single(x, x)` says, or all for "equal". Seen: without a rope the Bayesian signed-rank test
# counts sums of differences above zero for one side and gives all the rest, ties too, to the other; how far from .5
# depends on the number of data sets (.71 at 5, .72 at 12, .60 at 100). With any rope above zero equals are equals.
# Who meets this: a comparison of two rows which are the same training under two names, or rounded to two digits.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check baycomp==1.0.3
"$room/venv/bin/python" - <<'PYTHON'
import baycomp
import numpy as np

scores = np.linspace(0.5, 0.9, 12)
first, equal, second = (float(p) for p in baycomp.two_on_multiple(scores, scores, random_state=0))
with_rope = [float(p) for p in baycomp.two_on_multiple(scores, scores, rope=1e-6, random_state=0)]
single = [float(p) for p in baycomp.two_on_single(scores, scores)]
print(f"one against itself: {first:.2f} {equal:.2f} {second:.2f}; with a rope {with_rope}; on one data set {single}")
assert 0.70 < first < 0.74 and equal == 0 and abs(first + second - 1) < 1e-9, "ties are shared now"
assert with_rope == [0.0, 1.0, 0.0] and single == [0.5, 0.5]
PYTHON
