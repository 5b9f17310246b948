"""A study's finished trials, read from disk and checked against what it enumerates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dmf.training.spec import TrialSpec
from pipelines.core.console import StageError
from pipelines.trials.failure import FAILED, read_failure
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import TrialRecord, read_trial
from pipelines.trials.unfinished import Unfinished, unfinished_folder


@dataclass(frozen=True)
class Missing:
    """A cell of the grid that has no result yet, and why; `failed` if it was tried and given up."""

    identifier: str
    configuration: str
    spec: TrialSpec
    cause: str
    failed: bool


def read_trials(planned: Sequence[PlannedTrial]) -> list[TrialRecord]:
    """The records of exactly the planned trials, in their order, each followed by those of its twins.

    Configurations have the names that the study gives them today.

    Folders of other trials (an earlier version of the study, the data or the code) are left alone.

    Raises:
        StageError: no trial at all, a damaged file, or missing trials; the latter are listed with their cause.
    """
    missing = [trial for trial in planned if not trial.done]
    if len(missing) == len(planned) and not any((trial.folder / FAILED).is_file() for trial in planned):
        where = planned[0].folder.parent
        raise StageError(f"{where} holds none of the study's {len(planned)} trials. Run the grid first: `make repro`.")
    if missing:
        listed = "\n  ".join(map(_describe_missing, missing))
        raise StageError(
            f"{len(missing)} of the study's {len(planned)} trials are missing:\n  {listed}\n"
            "Mend the cause and run the grid again: finished trials are kept. The earlier report stays as it was."
        )
    return [record for trial in planned for record in _with_twins(trial)]


def read_finished(planned: Sequence[PlannedTrial]) -> tuple[list[TrialRecord], list[Missing]]:
    """The records of the planned trials that are done, as `read_trials` gives them, and the cells that have none yet.

    The grid may run meanwhile: a trial's folder is there whole or not at all.

    Raises:
        StageError: no trial is done, or a damaged file.
    """
    done = [trial.done for trial in planned]
    if not any(done):
        read_trials(planned)
    finished = [trial for trial, there in zip(planned, done, strict=True) if there]
    missing = [one for trial, there in zip(planned, done, strict=True) if not there for one in _missing(trial)]
    return [record for trial in finished for record in _with_twins(trial)], missing


def _missing(trial: PlannedTrial) -> Iterator[Missing]:
    failure = read_failure(trial.folder)
    cause = failure.sentence if failure else _how_far(trial)
    yield Missing(trial.identifier, trial.configuration, trial.spec, cause, failure is not None)
    for twin in trial.twins:
        yield Missing(trial.identifier, twin.configuration, twin.spec, cause, failure is not None)


def _how_far(trial: PlannedTrial) -> str:
    unfinished = Unfinished(unfinished_folder(trial.folder))
    if not unfinished.folder.is_dir():
        return "not begun"
    state = "in training" if unfinished.running else "interrupted"
    return f"{state}, {unfinished.progress().epochs_done} of {trial.spec.epochs} epochs done"


def _with_twins(trial: PlannedTrial) -> Iterator[TrialRecord]:
    record = read_trial(trial.folder)
    named = {"configuration": trial.configuration, "spec": trial.spec, "tuning": trial.tuning}
    yield record.model_copy(update=named)
    for twin in trial.twins:
        yield record.model_copy(update={"configuration": twin.configuration, "spec": twin.spec, "shared": twin.reason})


def _describe_missing(trial: PlannedTrial) -> str:
    failure = read_failure(trial.folder)
    return f"{trial.title} ({trial.identifier}): {failure.sentence if failure else 'never finished'}"
