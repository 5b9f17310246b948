#!/usr/bin/env bash
# torch 2.15.0: `set_deterministic_debug_mode("error")`, which its documentation calls an alternative interface for
# `use_deterministic_algorithms`, does not tell the compiler. Afterwards all of torch's own questions have one answer.
#
# Guessed: both set the same, as each shows in what the other's getter says. Seen: only `use_deterministic_algorithms` sets
# `torch._inductor.config.deterministic`, which keeps kernels of `torch.compile` from being chosen by timings. Who meets
# this: a training that takes the debug mode, for its warnings or because the other imports the compiler, a second at the
# start of every process, and compiles its network: it is reproducible where it is eager and not where it is compiled.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0
"$room/venv/bin/python" - <<'PYTHON'
import torch
from torch._inductor import config


def state():
    return torch.are_deterministic_algorithms_enabled(), torch.get_deterministic_debug_mode(), config.deterministic


torch.set_deterministic_debug_mode("error")
by_debug_mode = state()
torch.set_deterministic_debug_mode("default")
torch.use_deterministic_algorithms(True)
by_algorithms = state()
print(f"enabled, debug mode, compiler: {by_debug_mode} by the one, {by_algorithms} by the other")
assert by_debug_mode == (True, 2, False), "the debug mode tells the compiler now"
assert by_algorithms == (True, 2, True)
PYTHON
