#!/usr/bin/env bash
# scikit-posthocs 0.17.1: `posthoc_conover_friedman` of four methods that rank alike on five data sets has p = NaN throughout.
#
# Guessed: 0 or nearly so, as no order is clearer than one that all blocks agree on. Seen: the variance that is left is 0
# but for rounding, which makes it now 0 (p = 0), now slightly negative (p = NaN): of 2 to 15 blocks 2, 4, 5, 8, 10 and 13
# give NaN. Three or five methods give 0 each time, and Nemenyi's test is well in every case. Who meets this: five seeds
# of one clear order; a table that takes NaN for "not significant" calls the clearest result there is none.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check scikit-posthocs==0.17.1 numpy==2.4.6 scipy==1.17.1
"$room/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from scikit_posthocs import posthoc_conover_friedman, posthoc_nemenyi_friedman


def alike(methods, blocks):
    return 10.0 * np.arange(blocks)[:, None] + np.arange(methods)


first_and_last = {n: float(posthoc_conover_friedman(alike(4, n)).iloc[0, 3]) for n in range(2, 16)}
print("p of the first and the last of four methods by number of blocks:", first_and_last)
nothing = [n for n, p in first_and_last.items() if np.isnan(p)]
assert 5 in nothing, "five blocks have a p now"
assert {p for n, p in first_and_last.items() if n not in nothing} == {0.0}
assert all(posthoc_conover_friedman(alike(k, 5)).notna().all(axis=None) for k in (3, 5))
assert float(posthoc_nemenyi_friedman(alike(4, 5)).iloc[0, 3]) < 0.01
PYTHON
