"""The platform's commands, from raw images to a report: `dmf COMMAND`, or `python -m pipelines COMMAND`.

They run in a checkout of the repository, and each is `python -m pipelines.COMMAND`, too.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

import shtab

from pipelines.adopt import __main__ as adopt
from pipelines.audit import __main__ as audit
from pipelines.claims import __main__ as claims
from pipelines.core.command import COMPLETION
from pipelines.describe import __main__ as describe
from pipelines.fetch import __main__ as fetch
from pipelines.filter import __main__ as filters
from pipelines.grid import __main__ as grid
from pipelines.predict import __main__ as predict
from pipelines.provenance import __main__ as provenance
from pipelines.report import __main__ as report
from pipelines.split import __main__ as split
from pipelines.status import __main__ as status
from pipelines.sync import __main__ as sync
from pipelines.ui import __main__ as ui
from pipelines.verify import __main__ as verify

STAGES = (fetch, audit, split, filters, grid, report)
BESIDE = (describe, status, claims, predict, verify, provenance, adopt, sync, ui)
COMMANDS = tuple(module.COMMAND for module in (*STAGES, *BESIDE))
"""In the order in which people meet them."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line asks for."""
    parser = ArgumentParser(prog="dmf", description=__doc__)
    shtab.add_argument_to(parser, "--print-completion", help="for a shell: `eval` it", preamble=COMPLETION)
    chosen = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(chosen.add_parser(command.name, help=command.summary))
    options = parser.parse_args(arguments)
    options.command.start(options)


if __name__ == "__main__":
    main()
