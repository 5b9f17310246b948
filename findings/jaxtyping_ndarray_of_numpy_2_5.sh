#!/usr/bin/env bash
# jaxtyping 0.3.11 with numpy 2.5.5, which needs Python 3.12: an array annotation over `numpy.typing.NDArray[...]` raises
# TypeError when the module that holds it is imported. With numpy 2.4.6, the newest for Python 3.11, it is fine.
#
# Guessed: `Float[NDArray[np.floating], "h w"]` goes on working, as `NDArray` is public and the typing did not change for
# those who only write it in signatures. Seen: numpy made `NDArray` a `type` alias, an object that is no class, and
# jaxtyping asks `issubclass` of it. Who meets this: a lock file for several versions of Python, which picks another
# numpy from 3.12 on, so that the code breaks there alone; `np.ndarray` in its place works with both.
set -euo pipefail
for python in python3.12 python3.13 "$HOME"/.pyenv/versions/3.1[23].*/bin/python; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && break
done || { echo "needs Python 3.12 or 3.13" >&2; exit 2; }
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
"$python" -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check jaxtyping==0.3.11 numpy==2.5.5
annotate() {
    "$room/venv/bin/python" - <<'PYTHON'
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Float[np.ndarray, "h w"]
try:
    print(np.__version__, "NDArray is a", type(NDArray).__name__, "and gives", Float[NDArray[np.floating], "h w"].__name__)
except TypeError as error:
    print(np.__version__, "NDArray is a", type(NDArray).__name__, "and gives TypeError:", str(error).splitlines()[0][:90])
PYTHON
}
new=$(annotate)
echo "$new"
grep -q "2.5.5 NDArray is a TypeAliasType and gives TypeError" <<<"$new"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6
old=$(annotate)
echo "$old"
grep -q "2.4.6 NDArray is a GenericAlias and gives Float" <<<"$old"
