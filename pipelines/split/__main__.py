"""Group near duplicates and patients, and deal each data set into train, val and test."""

from __future__ import annotations

from pipelines.artifacts.manifest import fetched_entries
from pipelines.artifacts.split_table import table_path, write_table
from pipelines.core.console import run_stage, say
from pipelines.datasets.command_line import parse_arguments
from pipelines.datasets.params import load_params
from pipelines.split.deal import split_dataset, summary


def main() -> None:
    arguments = parse_arguments("split", __doc__)
    params = load_params().split
    for entry in fetched_entries(arguments.datasets, arguments.root):
        split = split_dataset(entry, arguments.root, params)
        write_table(table_path(arguments.root, entry.name), split.table)
        say(summary(entry.name, split))


if __name__ == "__main__":
    run_stage(main)
