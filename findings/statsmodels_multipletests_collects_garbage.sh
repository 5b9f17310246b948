#!/usr/bin/env bash
# statsmodels 0.15.0: every call of `multipletests`, on three p-values too, runs Python's full garbage collector.
#
# Guessed: a correction of three numbers takes microseconds, whatever else the process holds. Seen: one full collection
# for each call, so that the time grows with all objects that are alive: half a second in a process that holds ten
# thousand trial records. A report with hundreds of families of tests spends minutes there. (Our own Holm correction in
# pipelines/papers/inference.py therefore stays, with statsmodels as its oracle in the tests.)
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0
"$room/venv/bin/python" - <<'PYTHON'
import gc
import time

from statsmodels.stats.multitest import multipletests

full = []
gc.callbacks.append(lambda phase, about: full.append(about) if phase == "stop" and about["generation"] == 2 else None)


def correct():
    began = time.perf_counter()
    for _ in range(10):
        multipletests([0.01, 0.03, 0.04], method="holm")
    return (time.perf_counter() - began) / 10


correct()
gc.collect()
full.clear()
few = correct()
assert len(full) == 10, f"expected one full collection a call, found {len(full)} in 10 calls"
alive = [[number] for number in range(2_000_000)]
many = correct()
print(f"one full collection a call; {few * 1e3:.2f} ms a call, {many * 1e3:.1f} ms beside {len(alive):,} lists")
assert many > 5 * few
PYTHON
