"""Run a study's trials: `python -m pipelines.grid --study quickstart`."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipelines.console import StageError, run_stage, say, show
from pipelines.grid.failures import failure_table
from pipelines.grid.plan import PlannedTrial, plan
from pipelines.tracking import tracking_uri
from tune_spaces import load_study


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
    if arguments.dry_run:
        _show(planned)
        return
    from pipelines.grid.run import run_grid

    failures = run_grid(study, planned, arguments.data, tracking_uri(), arguments.workers)
    if failures:
        show(failure_table(planned, failures))
        kept = f"the others are kept in {planned[0].folder.parent}"
        raise StageError(
            f"{len(failures)} of {len(planned)} trials failed, see the table above; {kept}. "
            "Mend the cause and run this again: failed trials are tried anew."
        )
    say(f"grid: all {len(planned)} trials are done; results in {planned[0].folder.parent}")


def _show(planned: list[PlannedTrial]) -> None:
    for trial in planned:
        state = "done" if trial.done else "to run"
        say(f"{trial.identifier}  {state:7}  {trial.spec.dataset}  seed {trial.spec.seed}  {trial.configuration}")
    done = sum(trial.done for trial in planned)
    say(f"{len(planned)} trials: {done} done, {len(planned) - done} to run")


run_stage(main)
