#!/usr/bin/env bash
# What a GPU is asked, in one call of at most nine minutes: the tests of `dmf`, a step as a CUDA graph, packs, losses.
#
#     benchmarks/gpu.sh [--toy] [OUT]
#
# Needs torch, numpy, jaxtyping, pytest and hypothesis, and takes the `python3` of the path, or that of $PYTHON. It writes
# OUT/*_cuda.json (default: benchmarks/results), which `python -m benchmarks.documents` puts into docs/performance.md, and
# OUT/gpu.log. A part that fails or runs over its time ends no other; the last lines say how each fared, and so does the
# exit status. --toy takes seconds on any machine: it shows that the script works, and its figures say nothing.
set -uo pipefail
cd "$(dirname "$0")/.."

toy=
if [ "${1-}" = --toy ]; then toy=yes; shift; fi
out=${1:-benchmarks/results}
python=${PYTHON:-python3}
mkdir -p "$out"
status=0
summary=()

part() {  # part SECONDS NAME COMMAND...
    local limit=${toy:+0} name=$2 begun=$SECONDS  # 0: a toy may take its time
    limit=${limit:-$1}
    shift 2
    printf '\n== %s\n' "$name"
    if timeout "$limit" "$@"; then
        summary+=("$name: passed in $((SECONDS - begun)) s")
    else
        summary+=("$name: FAILED with status $? after $((SECONDS - begun)) s of $limit (124: out of time)")
        status=1
    fi
}

all() {
    local tests=(tests/dmf) size=() ways=() packs=() losses=()
    if [ -n "$toy" ]; then
        tests=(tests/dmf --collect-only)
        size=(--images 16 --image-size 16 --base-filters 2 --batch-size 4)
        ways=(--weightings variance --turns 1)
        packs=(--at-a-time 1 2 --epochs 1)
        losses=(--batches 1x8 --classes 2 --turns 1)
    fi
    part 30 "device" "$python" -c 'import torch; print(torch.__version__, torch.cuda.is_available() and torch.cuda.get_device_name())'
    part 90 "losses" "$python" -m benchmarks.losses --out "$out" "${losses[@]}"
    part 100 "graphs" "$python" -m benchmarks.graphs --out "$out" "${size[@]}" "${ways[@]}"
    part 110 "packing" "$python" -m benchmarks.packing --out "$out" "${size[@]}" "${packs[@]}"
    part 200 "tests" "$python" -m pytest -q -p no:cacheprovider -o addopts=--import-mode=importlib "${tests[@]}"
    printf '\n'
    printf '%s\n' "${summary[@]}"
    return "$status"
}

all 2>&1 | tee "$out/gpu.log"
exit "${PIPESTATUS[0]}"
