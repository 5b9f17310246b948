"""What `dmf describe` does."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from pathlib import Path

from pipelines.core.console import StageError, say
from pipelines.describe.proposal import propose
from pipelines.fetch.unpack import unpack


def run(options: Namespace) -> None:
    """Describe the folder that the command line names."""
    if options.folder.is_dir():
        say(propose(options.folder, options.folder, options.root))
    elif options.folder.is_file():
        with tempfile.TemporaryDirectory() as place:
            unpack(options.folder, Path(place))
            say(propose(Path(place), options.folder, options.root))
    else:
        raise StageError(f"{options.folder}: no such folder or archive. Correct the path.")
