"""The searches of a study's tuned rows: round by round on the grid, until each has its winner on record.

Disk is the truth here, too: a proposal is done when its folder is there, and what is proposed follows from that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

import pandas as pd

from pipelines.core.console import StageError, say
from pipelines.core.files import write_atomically
from pipelines.grid.proposals import proposals
from pipelines.grid.run import ray_for, run_grid
from pipelines.trials.failure import Failure, read_failure
from pipelines.trials.plan import PlannedSearch, PlannedTrial, outline, plan
from pipelines.trials.record import read_trial
from pipelines.trials.tuning import Proposal, Tuning, scores_by_epoch, spell_values
from pipelines.trials.unfinished import Unfinished, unfinished_folder
from tune_spaces import Study
from tune_spaces.tuned import values_of


def run_study(
    study: Study, data: Path, trials: Path, uri: str, workers: int | None = None
) -> tuple[list[PlannedTrial], dict[str, Failure]]:
    """First the searches of its tuned rows, then every trial of the plan that follows from them.

    Returns what was planned last, and what of it failed.
    """
    known = outline(study, data, trials)
    with ray_for(study, workers) if known.waiting else nullcontext():
        tried, failures = run_searches(study, known.searches, data, uri, workers)
        if failures:
            return tried, failures
        planned = plan(study, data, trials)
        return planned, run_grid(study, planned, data, uri, workers)


def run_searches(
    study: Study, searches: Sequence[PlannedSearch], data: Path, uri: str, workers: int | None = None
) -> tuple[list[PlannedTrial], dict[str, Failure]]:
    """Train what is still to be tried, and put each search that has ended on record.

    Returns the trials of the last round, and those of them that failed but for divergence, which only loses.

    Raises:
        StageError: as `run_grid`; if every proposal of a search diverged.
    """
    while going := [one for one in searches if one.ended is None]:
        rounds = {one.identifier: proposed(one) for one in going}
        trials = {trial.identifier: trial for of_one in rounds.values() for trial in of_one if not diverged(trial)}
        early = [one for one in going if one.search.tuned.options.scheduler]
        stoppable = {trial.identifier: trial for one in early for trial in rounds[one.identifier]}
        if any(not trial.done for trial in trials.values()):
            say(f"search: {'; '.join(one.search.title for one in going)}")
            failures = run_grid(study, [*trials.values()], data, uri, workers, [*stoppable.values()])
            serious = {name: failure for name, failure in failures.items() if failure.kind != "divergence"}
            if serious:
                return [*trials.values()], serious
        for one in going:
            conclude(one, proposed(one))
    return [], {}


def proposed(planned: PlannedSearch) -> list[PlannedTrial]:
    """All trials that a search has proposed by now, as far as those that are done say."""
    known: list[float | None] = []
    while True:
        trials = [planned.trial(number, values) for number, values in enumerate(proposals(planned.search, known))]
        scores = _scores(trials)
        if len(scores) == len(known):
            return trials
        known = scores


def diverged(trial: PlannedTrial) -> bool:
    """Whether a proposal was tried and lost: it is not tried again."""
    failure = None if trial.done else read_failure(trial.folder)
    return failure is not None and failure.kind == "divergence"


def conclude(planned: PlannedSearch, trials: Sequence[PlannedTrial]) -> None:
    """Put the result on record if all proposals have been tried. Raises StageError if none of them can win."""
    if len(_scores(trials)) < planned.search.tuned.trials:
        return
    names, keys = [trial.identifier for trial in trials], planned.search.tuned.space
    tried = [_tried(trial, keys, again=names.index(trial.identifier) < place) for place, trial in enumerate(trials)]
    if all(one.score is None for one in tried):
        raise StageError(
            f"All {len(tried)} trials of the search of {planned.search.title} diverged. Narrow its ranges in "
            "`tuned`, such as that of the learning rate, and run the grid again."
        )
    base = planned.search.base
    scored = next(trial for trial in trials if trial.done)
    tuning = Tuning(
        identifier=planned.identifier,
        dataset=base.dataset,
        split=base.split,
        tuned=planned.search.tuned.to_dict(),
        metric=str(_course(scored).name),
        proposals=tuple(tried),
    )
    write_atomically(planned.file, lambda partial: partial.write_text(tuning.to_json()))
    best = tuning.winner
    say(
        f"search of {planned.search.title}: {tuning.sentence}; proposal {best.number} won on validation with "
        f"{best.score:.4f}: {spell_values(best.values)}"
    )


def _scores(trials: Sequence[PlannedTrial]) -> list[float | None]:
    """Of the first trials, as many as have been tried without a gap."""
    scores: list[float | None] = []
    for trial in trials:
        if not (trial.done or diverged(trial)):
            break
        scores.append(_score(trial))
    return scores


def _score(trial: PlannedTrial) -> float | None:
    """The validation score at the selected epoch; None of one that diverged, or whose score is no number."""
    score = float(_course(trial)[read_trial(trial.folder).best_epoch]) if trial.done else math.nan
    return score if math.isfinite(score) else None


def _course(trial: PlannedTrial) -> pd.Series[float]:
    return scores_by_epoch(trial.spec.selection, read_trial(trial.folder).epoch_table)


def _tried(trial: PlannedTrial, keys: Iterable[str], *, again: bool) -> Proposal:
    """What a proposal came to; one that was proposed before was trained once, and costs nothing more."""
    if trial.done:
        record = read_trial(trial.folder)
        epochs, seconds = record.epochs, record.seconds
    else:
        progress = Unfinished(unfinished_folder(trial.folder)).progress()
        epochs, seconds = progress.epochs_done, progress.seconds
    return Proposal(
        number=trial.proposal or 0,
        identifier=trial.identifier,
        values=values_of(trial.spec, keys),
        score=_score(trial),
        epochs=0 if again else epochs,
        seconds=0.0 if again else round(seconds, 3),
        stopped=trial.done and epochs < trial.spec.epochs,
    )
