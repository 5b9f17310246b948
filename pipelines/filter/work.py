"""What `dmf filter` does."""

from __future__ import annotations

from argparse import Namespace

from pipelines.artifacts import arrays
from pipelines.artifacts.manifest import fetched_entries
from pipelines.core.console import say
from pipelines.datasets.command_line import chosen
from pipelines.datasets.params import load_params
from pipelines.filter.page import sentence, write_page
from pipelines.filter.prepare import prepare


def run(options: Namespace) -> None:
    arguments = chosen(options)
    params = load_params()
    for entry in fetched_entries(arguments.datasets, arguments.root):
        for size in arguments.sizes[entry.name]:
            meta = prepare(entry, arguments.root, size, params)
            shape = " x ".join(map(str, (meta.channels, *meta.spatial)))
            say(f"{entry.name}: {shape} pixels, checksum {meta.checksum[:12]}")
            page = arguments.reports / entry.name / str(size)
            quality = write_page(arrays.load(arguments.root, entry.name, size), page)
            say(f"  {sentence(quality)}\n  Pictures: {page / 'index.html'}")
