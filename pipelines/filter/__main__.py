"""Resize every image, filter it bilaterally, and keep both versions and the targets as arrays."""

from __future__ import annotations

from pipelines.artifacts import arrays
from pipelines.core.console import run_stage, say
from pipelines.datasets.command_line import parse_arguments
from pipelines.datasets.params import load_params
from pipelines.filter.page import sentence, write_page
from pipelines.filter.prepare import prepare


def main() -> None:
    arguments = parse_arguments("filter", __doc__, pages="filter")
    params = load_params()
    for entry in arguments.datasets:
        meta = prepare(entry, arguments.root, params)
        shape = " x ".join(map(str, (meta.channels, *meta.spatial)))
        say(f"{entry.name}: {shape} pixels, checksum {meta.checksum[:12]}")
        quality = write_page(entry.title, arrays.load(arguments.root, entry.name), arguments.reports)
        say(f"  {sentence(quality)}\n  Pictures: {arguments.reports / entry.name / 'index.html'}")


if __name__ == "__main__":
    run_stage(main)
