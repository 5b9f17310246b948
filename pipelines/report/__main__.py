"""`python -m pipelines.report --study NAME`: tables, figures and page of a finished study."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipelines.artifacts import arrays
from pipelines.core.console import run_stage, say
from pipelines.papers.claim import claims_of
from pipelines.report.build import build_report
from pipelines.report.data import describe_data
from pipelines.report.page import StudyFacts
from pipelines.trials.bundle import image_table, table_name
from pipelines.trials.plan import plan
from tune_spaces import load_study
from tune_spaces.expand import expand


def main() -> None:
    """Parse the command line and build the report."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.report", description=__doc__)
    parser.add_argument("--study", required=True, help="name of a file in tune_spaces, without .yaml")
    parser.add_argument(
        "--trials", type=Path, default=Path("trials"), help="folder that holds <study>/ (default: trials)"
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with prepared data (default: data)")
    parser.add_argument(
        "--reports", type=Path, default=Path("reports"), help="where <study>/ is written (default: reports)"
    )
    parser.add_argument(
        "--partial", action="store_true", help="report what has finished, on a running grid too; no claim has a verdict"
    )
    arguments = parser.parse_args()
    study = load_study(arguments.study)
    expansion = expand(study)
    specs = [cell.spec for cell in expansion.cells]
    facts = {  # the pictures of a data set are those of its largest size
        name: describe_data(
            arrays.load(arguments.data, name, study.image_sizes(name)[-1]),
            {spec.split for spec in specs if spec.dataset == name},
        )
        for name in study.datasets
    }
    skipped = [
        (", ".join(f"{key}: {value}" for key, value in cell.values.items()), cell.reason) for cell in expansion.skipped
    ]
    page = build_report(
        StudyFacts(study.name, study.title, skipped, claims_of(study), study.tables, study.equivalence),
        plan(study, arguments.data, arguments.trials),
        expansion.baseline,
        facts,
        arguments.reports,
        {
            table_name(name, size): image_table(arrays.load(arguments.data, name, size))
            for name in study.datasets
            for size in study.image_sizes(name)
        },
        partial=arguments.partial,
    )
    say(f"report: {page}")


if __name__ == "__main__":
    run_stage(main)
