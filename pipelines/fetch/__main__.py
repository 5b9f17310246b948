"""Bring data sets to <root>/raw/<name>: verified, and complete or not at all. A second run changes nothing. Archives
stay in <root>/downloads; a file that a person placed there is used instead of the network. DMF_DATA_MIRROR names a
folder with copies of data sets, described by its mirror.yaml, to use instead of the network. Data sets of your own
are described in <root>/catalogue.yaml, see docs/data.md."""

from __future__ import annotations

from pipelines.core.console import run_stage
from pipelines.datasets.catalogue import find_entries
from pipelines.datasets.command_line import parse_arguments
from pipelines.fetch import fetch, mirror_from_environment


def main() -> None:
    """Fetch the data sets that the command line names."""
    arguments = parse_arguments("fetch", __doc__)
    mirror = mirror_from_environment()
    for entry in find_entries(arguments.datasets, arguments.root):
        fetch(entry, arguments.root, mirror)


if __name__ == "__main__":
    run_stage(main)
