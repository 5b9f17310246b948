"""What `dmf audit` does."""

from __future__ import annotations

from argparse import Namespace

from pipelines.artifacts.audit import record_path, write_duplicates
from pipelines.artifacts.manifest import fetched_entries
from pipelines.audit.audit import audit_dataset
from pipelines.audit.page import findings, write_reports
from pipelines.core.console import StageError, say
from pipelines.datasets.command_line import chosen
from pipelines.datasets.params import load_params


def run(options: Namespace) -> None:
    """Audit the data sets that the command line names; a case that cannot be used is an error, after the page."""
    arguments = chosen(options)
    similarity = load_params().split.similarity
    for entry in fetched_entries(arguments.datasets, arguments.root):
        audit = audit_dataset(entry, arguments.root, similarity)
        summary = write_reports(audit, arguments.reports)
        page = arguments.reports / f"{entry.name}.html"
        say("\n  ".join([f"{entry.name}: {page}", *findings(summary)]))
        if summary.problems:
            count = len(summary.problems)
            raise StageError(
                f"{entry.name}: {count} of {summary.images + count} cases cannot be used; {page} lists them. "
                f"The first: {next(iter(summary.problems.values()))}"
            )
        write_duplicates(record_path(arguments.root, entry.name), audit.duplicates)
