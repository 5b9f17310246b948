"""Look at a folder, or a zip or tar archive, of images and print an entry for data/catalogue.yaml that reads it:

    python -m pipelines.describe ../scans >> data/catalogue.yaml

What it cannot know stands in comments: read them, and correct the entry."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from pipelines.core.console import StageError, run_stage, say
from pipelines.describe.proposal import propose
from pipelines.fetch.unpack import unpack


def main() -> None:
    """Describe the folder that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.describe", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a folder, or an archive of one")
    parser.add_argument("--root", type=Path, default=Path("data"), metavar="FOLDER", help="default: %(default)s")
    options = parser.parse_args()
    if options.folder.is_dir():
        say(propose(options.folder, options.folder, options.root))
    elif options.folder.is_file():
        with tempfile.TemporaryDirectory() as place:
            unpack(options.folder, Path(place))
            say(propose(Path(place), options.folder, options.root))
    else:
        raise StageError(f"{options.folder}: no such folder or archive. Correct the path.")


if __name__ == "__main__":
    run_stage(main)
