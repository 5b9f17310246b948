"""What `dmf split` does."""

from __future__ import annotations

from argparse import Namespace

from pipelines.artifacts.manifest import fetched_entries
from pipelines.artifacts.split_table import table_path, write_table
from pipelines.core.console import say
from pipelines.datasets.command_line import chosen
from pipelines.datasets.params import load_params
from pipelines.split.deal import split_dataset, summary


def run(options: Namespace) -> None:
    arguments = chosen(options)
    params = load_params().split
    for entry in fetched_entries(arguments.datasets, arguments.root):
        split = split_dataset(entry, arguments.root, params)
        write_table(table_path(arguments.root, entry.name), split.table)
        say(summary(entry.name, split))
