#!/usr/bin/env bash
# LibMTL 1.1.5: cannot be imported beside a torchvision that its own metadata (>= 0.9.0) lets pip install.
#
# Guessed: `import LibMTL` works after `pip install LibMTL`, as torchvision has no upper bound. Seen: its package imports
# ResNet from `torchvision.models.utils`, which torchvision no longer has, before any weighting can be reached, also by
# `import LibMTL.weighting`. Who meets this: who wants to compare weightings with the library that most papers name, and
# has to take its repository instead, which is ahead of the version on PyPI.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check LibMTL==1.1.5 torch==2.15.0 torchvision==0.29.2
"$room/venv/bin/pip" check
"$room/venv/bin/python" - <<'PYTHON'
from importlib.metadata import requires

print(requires("LibMTL"))
assert any(line.startswith("torchvision") and ">=0.9" in line and "<" not in line for line in requires("LibMTL"))
try:
    import LibMTL.weighting  # noqa: F401
except ModuleNotFoundError as error:
    print("import LibMTL.weighting:", error)
    assert error.name == "torchvision.models.utils"
else:
    raise AssertionError("it can be imported now")
PYTHON
