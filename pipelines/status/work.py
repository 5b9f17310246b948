"""Counts and time left, and tables of what runs and what failed."""

from __future__ import annotations

import gc
from argparse import Namespace

from rich.table import Table

from pipelines.core.console import say, show
from pipelines.grid.estimate import from_finished, spell_seconds
from pipelines.grid.failures import failure_table
from pipelines.grid.status import GridStatus, grid_status, random_starts
from pipelines.trials.plan import Outline, outline
from pipelines.trials.tuning import spell_values
from tune_spaces import load_study


def run(options: Namespace) -> None:
    gc.freeze()  # neither now nor at the end is what was imported looked through for garbage: a quarter of the time
    known = outline(load_study(options.study), options.data, options.trials)
    print_searches(options.study, known)
    if known.trials:
        print_status(options.study, grid_status(known.trials))


def print_searches(study: str, known: Outline) -> None:
    """What searches have found, and where those stand that have not ended."""
    for one in known.searches:
        if tuning := one.ended:
            best = tuning.winner
            say(f"search of {one.search.title}: {tuning.sentence}; {spell_values(best.values)} won ({best.score:.4f})")
    if known.waiting:
        from pipelines.grid.tuning import proposed  # with Ray, which nothing else here has a use for

        trials = [trial for one in known.searches if one.ended is None for trial in proposed(one)]
        print_status(f"{study}, searches", grid_status(trials))
        say(f"{len(known.waiting)} trials of tuned rows wait for their searches")


def print_status(study: str, status: GridStatus) -> None:
    """Counts and time left, then tables of running and failed trials."""
    if status.running:
        show(_running_table(status))
    if status.failed:
        show(failure_table(status.planned, status.failed))
    complete, rows = status.rows
    say(
        f"{study}: {len(status.planned)} trials: {len(status.done)} done, {len(status.running)} running, "
        f"{status.waiting} waiting ({len(status.interrupted)} with saved epochs), {len(status.failed)} failed"
    )
    if remark := random_starts(status.planned):
        say(remark)
    say(f"{complete} of {rows} rows complete; {status.per_hour():.0f} trials an hour; {_time_left(status)}")


def _time_left(status: GridStatus) -> str:
    if not status.running:
        return "no grid is running" if len(status.done) < len(status.planned) else "all done"
    done = [trial for trial in status.planned if trial.identifier in status.done]
    estimate = from_finished(done)
    if estimate is None:
        return "time left unknown until a trial is finished"
    begun = {**status.interrupted, **status.running}
    left = 0.0
    for trial in status.planned:
        if trial.identifier not in status.done and trial.identifier not in status.failed:
            trained = begun[trial.identifier].epochs_done if trial.identifier in begun else 0
            left += estimate.seconds(trial) * (1 - trained / trial.spec.epochs)
    return f"{spell_seconds(left / len(status.running))} left, {estimate.source}"


def _running_table(status: GridStatus) -> Table:
    table = Table("trial", "what", "epochs", "score", "attempt", "node", title="Running")
    for trial in status.planned:
        if progress := status.running.get(trial.identifier):
            score = "" if progress.score is None else f"{progress.score:.3f}"
            epochs = f"{progress.epochs_done} of {trial.spec.epochs}"
            table.add_row(trial.identifier, trial.title, epochs, score, str(len(progress.attempts)), progress.node)
    return table
