"""What `dmf report` does."""

from __future__ import annotations

from argparse import Namespace

from pipelines.artifacts import arrays
from pipelines.core.console import say
from pipelines.papers.claim import claims_of
from pipelines.report.build import build_report
from pipelines.report.data import describe_data
from pipelines.report.results import StudyFacts
from pipelines.trials.bundle import image_table, table_name
from pipelines.trials.plan import plan
from tune_spaces import load_study
from tune_spaces.expand import expand


def run(options: Namespace) -> None:
    study = load_study(options.study)
    expansion = expand(study)
    specs = [cell.spec for cell in expansion.cells]
    facts = {  # the pictures of a data set are those of its largest size
        name: describe_data(
            arrays.load(options.data, name, study.image_sizes(name)[-1]),
            {spec.split for spec in specs if spec.dataset == name},
        )
        for name in study.datasets
    }
    skipped = [
        (", ".join(f"{key}: {value}" for key, value in cell.values.items()), cell.reason) for cell in expansion.skipped
    ]
    page = build_report(
        StudyFacts(study.name, study.title, skipped, claims_of(study), study.tables, study.equivalence),
        plan(study, options.data, options.trials),
        expansion.baseline,
        facts,
        options.reports,
        {
            table_name(name, size): image_table(arrays.load(options.data, name, size))
            for name in study.datasets
            for size in study.image_sizes(name)
        },
        partial=options.partial,
    )
    say(f"report: {page}")
