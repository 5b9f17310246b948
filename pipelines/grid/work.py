"""What `dmf grid` does: run what is not done, or say what would run."""

from __future__ import annotations

import os
from argparse import Namespace

from pipelines.core.console import StageError, say, show
from pipelines.grid.estimate import from_finished, from_timing, slow_precision, spell_seconds
from pipelines.grid.status import grid_status, random_starts
from pipelines.trials.plan import PlannedTrial, plan
from tune_spaces import Study, load_study


def run(options: Namespace) -> None:
    study = load_study(options.study)
    planned = plan(study, options.data, options.trials)
    if not study.resources.gpus and (advice := slow_precision(planned, _threads(study))):
        say(advice)
    if options.dry_run:
        _dry_run(study, planned, options)
        return
    # Ray and MLflow take seconds to import, which a dry run has no use for.
    from pipelines.grid.failures import failure_table
    from pipelines.grid.run import run_grid
    from pipelines.trials.tracking import tracking_uri

    failures = run_grid(study, planned, options.data, tracking_uri(), options.workers)
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


def _dry_run(study: Study, planned: list[PlannedTrial], options: Namespace) -> None:
    """Each trial and whether it is done, then what those that are left will take."""
    workers, threads = options.workers or _places(study), _threads(study)
    finished = grid_status(planned).done
    done = [trial for trial in planned if trial.identifier in finished]
    left = [trial for trial in planned if trial.identifier not in finished]
    say("\n".join(f"{t.identifier}  {'done' if t.identifier in finished else 'to run':7}  {t.title}" for t in planned))
    say(f"{len(planned)} trials: {len(done)} done, {len(left)} to run")
    if left:
        estimate = from_finished(done) or from_timing(left, options.data, threads)
        seconds = sum(map(estimate.seconds, left)) / min(workers, len(left))
        size = sum(map(estimate.disk_bytes, left)) / 1e6
        say(f"about {spell_seconds(seconds)} on {workers} workers and {size:.0f} MB on disk ({estimate.source})")
