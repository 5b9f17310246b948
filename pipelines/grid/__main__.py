"""Run a study's trials: `python -m pipelines.grid --study quickstart`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pipelines.core.console import StageError, run_stage, say, show
from pipelines.grid.estimate import from_finished, from_timing, slow_precision, spell_seconds
from pipelines.grid.status import grid_status, random_starts
from pipelines.trials.plan import PlannedTrial, plan
from tune_spaces import Study, load_study


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pipelines.grid", description=__doc__)
    parser.add_argument("--study", required=True, help="name of a file in tune_spaces/, without .yaml")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with prepared data (default: data)")
    parser.add_argument("--trials", type=Path, default=Path("trials"), help="where results go (default: trials)")
    parser.add_argument("--workers", type=int, help="trials at a time on this machine (default: one a core)")
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and run nothing")
    arguments = parser.parse_args()
    study = load_study(arguments.study)
    planned = plan(study, arguments.data, arguments.trials)
    if not study.resources.gpus and (advice := slow_precision(planned, _threads(study))):
        say(advice)
    if arguments.dry_run:
        _dry_run(study, planned, arguments)
        return
    # Ray and MLflow take seconds to import, which a dry run has no use for.
    from pipelines.grid.failures import failure_table
    from pipelines.grid.run import run_grid
    from pipelines.trials.mirror import tracking_uri

    failures = run_grid(study, planned, arguments.data, tracking_uri(), arguments.workers)
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


def _dry_run(study: Study, planned: list[PlannedTrial], arguments: argparse.Namespace) -> None:
    """Each trial and whether it is done, then what those that are left will take."""
    workers, threads = arguments.workers or _places(study), _threads(study)
    finished = grid_status(planned).done
    done = [trial for trial in planned if trial.identifier in finished]
    left = [trial for trial in planned if trial.identifier not in finished]
    say("\n".join(f"{t.identifier}  {'done' if t.identifier in finished else 'to run':7}  {t.title}" for t in planned))
    say(f"{len(planned)} trials: {len(done)} done, {len(left)} to run")
    if left:
        estimate = from_finished(done) or from_timing(left, arguments.data, threads)
        seconds = sum(map(estimate.seconds, left)) / min(workers, len(left))
        size = sum(map(estimate.disk_bytes, left)) / 1e6
        say(f"about {spell_seconds(seconds)} on {workers} workers and {size:.0f} MB on disk ({estimate.source})")


run_stage(main)
