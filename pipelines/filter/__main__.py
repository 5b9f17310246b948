"""Resize every image, filter it bilaterally, and keep both versions and the masks as arrays."""

from __future__ import annotations

from pipelines.command_line import parse_arguments
from pipelines.console import run_stage, say
from pipelines.filter.prepare import prepare
from pipelines.params import load_params


def main() -> None:
    arguments = parse_arguments("filter", __doc__)
    params = load_params()
    for entry in arguments.datasets:
        meta = prepare(entry, arguments.root, params)
        shape = " x ".join(map(str, (meta.channels, *meta.spatial)))
        say(f"{entry.name}: {shape} pixels, checksum {meta.checksum[:12]}")


if __name__ == "__main__":
    run_stage(main)
