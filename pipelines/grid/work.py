"""What `dmf grid` does: run what is not done, or say what would run."""

from __future__ import annotations

import os
from argparse import Namespace

from pipelines.core.console import StageError, say, show
from pipelines.grid.dry_run import dry_run
from pipelines.grid.estimate import slow_precision
from pipelines.grid.status import random_starts
from pipelines.trials.plan import outline
from tune_spaces import Study, load_study


def run(options: Namespace) -> None:
    study = load_study(options.study)
    known = outline(study, options.data, options.trials)
    if not study.resources.gpus and (advice := slow_precision(known.trials, _threads(study))):
        say(advice)
    if options.dry_run:
        dry_run(study, known, options.data, options.workers or _places(study), _threads(study))
        return
    # Ray and MLflow take seconds to import, which a dry run has no use for.
    from pipelines.grid.failures import failure_table
    from pipelines.grid.tuning import run_study
    from pipelines.trials.tracking import tracking_uri

    planned, failures = run_study(study, options.data, options.trials, tracking_uri(), options.workers)
    if failures:
        show(failure_table(planned, failures))
        kept = f"the others are kept in {planned[0].folder.parent}"
        raise StageError(
            f"{len(failures)} of {len(planned)} trials failed, see the table above; {kept}. "
            "Mend the cause and run this again: failed trials are tried anew."
        )
    if remark := random_starts(planned):
        say(f"grid: {remark}")
    say(f"grid: all {len(planned)} trials are done; results in {planned[0].folder.parent}")


def _places(study: Study) -> int:
    """Trials that this machine runs at a time."""
    return max(1, int((os.cpu_count() or 1) / study.resources.cpus))


def _threads(study: Study) -> int:
    """Of a trial."""
    return max(1, int(study.resources.cpus))
