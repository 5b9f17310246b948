"""Other versions of Python on this machine: $DMF_PYTHONS, a list of executables as in $PATH, or what $PATH has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache

SUPPORTED = ("3.11", "3.12", "3.13")
ASK = "import sys; print('{}.{}'.format(*sys.version_info))"


@cache
def other_pythons() -> dict[str, str]:
    """By version, such as "3.12": the executable. Only supported versions, and not the one that runs this."""
    named = os.environ.get("DMF_PYTHONS", "").split(os.pathsep)
    candidates = [*filter(None, named), *(shutil.which(f"python{version}") for version in SUPPORTED)]
    found = {}
    for executable in filter(None, candidates):
        answer = subprocess.run([executable, "-c", ASK], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.strip() in SUPPORTED:
            found.setdefault(answer.stdout.strip(), executable)
    found.pop("{}.{}".format(*sys.version_info), None)
    return found
