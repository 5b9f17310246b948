"""The console command `dmf`: the platform's, in whose checkout a person stands. The library is `import dmf`."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

ABSENT = (
    "error: `dmf` runs the platform's commands in a checkout of the repository, where pipelines/ lies; {} is none. The "
    "library alone, which pip installs, is used from Python: `import dmf`."
)
BARE = (
    "error: the platform needs {}, which {} does not have. `make setup` installs all that it needs into .venv, where "
    "`.venv/bin/dmf` is."
)


def main() -> None:
    """What `python -m pipelines` does, in the folder in which it is typed."""
    if not Path("pipelines/__main__.py").is_file():
        sys.exit(ABSENT.format(os.getcwd()))
    sys.path.insert(0, os.getcwd())
    try:
        platform = import_module("pipelines.__main__")
    except ModuleNotFoundError as error:
        sys.exit(BARE.format(error.name, sys.executable))
    platform.main()
