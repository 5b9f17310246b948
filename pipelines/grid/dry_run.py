"""What a grid would run, and what that takes."""

from __future__ import annotations

from pathlib import Path

from pipelines.core.console import say
from pipelines.grid.estimate import from_finished, from_timing, spell_seconds
from pipelines.grid.status import grid_status
from pipelines.trials.plan import Outline, PlannedSearch, PlannedTrial
from tune_spaces import Study


def dry_run(study: Study, known: Outline, data: Path, workers: int, threads: int) -> None:
    """Each trial and whether it is done, each search, then what all that is left will take."""
    finished = grid_status(known.trials).done if known.trials else {}
    done = [trial for trial in known.trials if trial.identifier in finished]
    left = [trial for trial in known.trials if trial.identifier not in finished]
    for trial in known.trials:
        say(f"{trial.identifier}  {'done' if trial.identifier in finished else 'to run':7}  {trial.title}")
    going = [one for one in known.searches if one.ended is None]
    for cell in known.waiting:
        say(f"{'-' * 16}  waits    {cell.configuration} · {cell.spec.dataset} · seed {cell.spec.seed}, for its search")
    say(f"{len(known.trials) + len(known.waiting)} trials: {len(done)} done, {len(left) + len(known.waiting)} to run")
    searched = [trial for one in going for trial in _search_left(one)]
    for one in known.searches:
        say(_search_line(one))
    # A winner costs what a proposal does, as far as anybody can tell before.
    winners = [one.trial(0, {}) for one in going for cell in known.waiting if one.is_of(cell)]
    if everything := [*left, *winners, *searched]:
        estimate = from_finished(done) or from_timing(everything, data, threads)

        def seconds(trials: list[PlannedTrial]) -> float:
            return sum(map(estimate.seconds, trials)) / min(workers, max(1, len(trials)))

        size = sum(map(estimate.disk_bytes, everything)) / 1e6
        search = f", of which {spell_seconds(seconds(searched))} are search" if searched else ""
        total = spell_seconds(seconds(searched) + seconds([*left, *winners]))
        say(f"about {total}{search} on {workers} workers and {size:.0f} MB on disk ({estimate.source})")


def _search_left(planned: PlannedSearch) -> list[PlannedTrial]:
    """What is still to be tried; what Optuna has not proposed yet is as long as any."""
    from pipelines.grid.tuning import diverged, proposed  # with Ray, which a study without a search has no use for

    trials = proposed(planned)
    open_ = [trial for trial in trials if not (trial.done or diverged(trial))]
    return open_ + [planned.trial(number, {}) for number in range(len(trials), planned.search.tuned.trials)]


def _search_line(planned: PlannedSearch) -> str:
    search, options = planned.search, planned.search.tuned.options
    if tuning := planned.ended:
        return f"search of {search.title}: done, {tuning.sentence}"
    early = ", ended early by ASHA" if options.scheduler else ""
    left = len(_search_left(planned))
    return (
        f"search of {search.title}: {left} of {options.budget.trials} trials to run, {options.method}, scored on "
        f"validation{early}"
    )
