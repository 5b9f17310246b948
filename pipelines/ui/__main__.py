"""MLflow's user interface on this machine only: `python -m pipelines.ui`."""

from __future__ import annotations

from argparse import ArgumentParser

from pipelines.core.command import Command


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=5000, help="port on 127.0.0.1 (default: 5000)")


COMMAND = Command("ui", __doc__, arguments, "pipelines.ui.work")

if __name__ == "__main__":
    COMMAND.main()
