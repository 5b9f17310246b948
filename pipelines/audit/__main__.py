"""Look at every image and mask of a data set: what is there, what is odd, and which images show the same picture."""

from __future__ import annotations

from pipelines.audit.record import record_path, write_duplicates
from pipelines.audit.search import find_duplicates
from pipelines.command_line import parse_arguments
from pipelines.console import run_stage, say
from pipelines.params import load_params


def main() -> None:
    arguments = parse_arguments("audit", __doc__)
    similarity = load_params().split.similarity
    for entry in arguments.datasets:
        duplicates = find_duplicates(entry, arguments.root, similarity)
        write_duplicates(record_path(arguments.root, entry.name), duplicates)
        say(f"{entry.name}: {len(duplicates.sha256)} images, {len(duplicates.pairs)} pairs of near duplicates")


if __name__ == "__main__":
    run_stage(main)
