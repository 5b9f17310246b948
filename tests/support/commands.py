"""Commands as a person types them, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.places import ROOT


def run_module(
    module: str, *arguments: str, cwd: Path, environment: Mapping[str, str] = os.environ, **variables: str
) -> subprocess.CompletedProcess[str]:
    """`python -m module arguments` in the folder `cwd`, on the code of this repository.

    Args:
        environment: what the process inherits.
        variables: what is set in it besides.
    """
    command = [sys.executable, "-m", module, *arguments]
    inherited = {**environment, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(command, cwd=cwd, env=inherited, capture_output=True, text=True, check=False)


def without_rights() -> list[str]:
    """What goes before a command so that root, too, may not write where nobody may."""
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


def wait_for(condition: Callable[[], object], process: subprocess.Popen[Any] | None = None) -> None:
    """However long it takes on a busy machine, but no longer than the process lives that should bring it about."""
    while not condition():
        if process is not None and process.poll() is not None and not condition():
            raise AssertionError(f"the process ended before it happened: {process.communicate()}")
        time.sleep(0.02)
