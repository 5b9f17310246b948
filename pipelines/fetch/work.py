"""What `dmf fetch` does."""

from __future__ import annotations

from argparse import Namespace

from pipelines.datasets.catalogue import find_entries
from pipelines.datasets.command_line import chosen
from pipelines.fetch.mirror import mirror_from_environment
from pipelines.fetch.obtain import fetch


def run(options: Namespace) -> None:
    """Fetch the data sets that the command line names."""
    arguments = chosen(options)
    mirror = mirror_from_environment()
    for entry in find_entries(arguments.datasets, arguments.root):
        fetch(entry, arguments.root, mirror)
