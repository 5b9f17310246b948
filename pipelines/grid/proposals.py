"""What a search tries next, by Ray Tune's own searchers: a pure function of the search and of the scores so far."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import optuna
from ray import tune
from ray.tune.search.optuna import OptunaSearch
from ray.tune.search.sample import Domain

from dmf.training.seeding import derive_seed
from tune_spaces.tuned import SIMPLEX, Range, Search, Value, Values, simplex

ROUND = 8
"""Proposals that Optuna makes at a time: those of a round rest on the scores of the rounds before, whoever trains them
and in whatever order they end, so that a search that was killed goes on as it would have."""

DIGITS = 4
"""Significant ones of a proposed number, so that what a report prints is what was trained."""


def proposals(search: Search, scores: Sequence[float | None]) -> list[Values]:
    """All that can be proposed by now.

    At random every proposal follows from the row, its data set and split, and its own number; Optuna's follow from the
    row and the scores of earlier rounds.

    Args:
        scores: Of the first proposals, in their order and without a gap; None of one that diverged.
    """
    if search.tuned.options.method == "optuna":
        return _by_optuna(search, scores)
    return [_at_random(search, number) for number in range(search.tuned.trials)]


def _at_random(search: Search, number: int) -> Values:
    chance = np.random.default_rng(_seed(search, number))
    drawn = {name: domain.sample(random_state=chance) for name, domain in _domains(search).items()}
    return _decoded(search, drawn)


def _by_optuna(search: Search, scores: Sequence[float | None]) -> list[Values]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("ray.tune.search.optuna").setLevel(logging.ERROR)
    space = OptunaSearch.convert_search_space(_domains(search))
    searcher = OptunaSearch(space=space, metric="score", mode="max", seed=_seed(search) % 2**32)
    made: list[Values] = []
    for first in range(0, min(len(scores) // ROUND * ROUND + 1, search.tuned.trials), ROUND):
        for number in range(first - ROUND, first) if first else ():
            score = scores[number]
            searcher.on_trial_complete(str(number), {"score": score} if score is not None else None, score is None)
        numbers = range(first, min(first + ROUND, search.tuned.trials))
        made += [_decoded(search, searcher.suggest(str(number))) for number in numbers]
    return made


def _seed(search: Search, *more: int) -> int:
    return derive_seed("search", search.base.to_dict(), *more)


def _domains(search: Search) -> dict[str, Domain]:
    """Of each number that is searched for; a simplex is made of one number less than it has weights."""
    found = (_of_range(key, space, len(search.base.losses)) for key, space in search.tuned.space.items())
    return dict(pair for pairs in found for pair in pairs)


def _of_range(key: str, space: Range, losses: int) -> Iterator[tuple[str, Domain]]:
    if space.kind == SIMPLEX:
        yield from ((_part(key, place), tune.uniform(0.0, 1.0)) for place in range(losses - 1))
        return
    low, high = space.numbers[0], space.numbers[-1]
    made: dict[str, Any] = {
        "uniform": lambda: tune.uniform(low, high),
        "loguniform": lambda: tune.loguniform(low, high),
        "integer": lambda: tune.randint(int(low), int(high) + 1),
        "choice": lambda: tune.choice(list(space.numbers)),
    }
    yield key, made[space.kind]()


def _decoded(search: Search, drawn: dict[str, Any]) -> Values:
    """Drawn numbers as the values that a trial is given."""

    def value(key: str, space: Range) -> Value:
        if space.kind == SIMPLEX:
            return simplex([drawn[_part(key, place)] for place in range(len(search.base.losses) - 1)])
        if space.kind == "integer":
            return int(drawn[key])
        if space.kind == "choice":
            return next(number for number in space.numbers if number == drawn[key])  # not NumPy's
        return min(max(float(f"{drawn[key]:.{DIGITS}g}"), space.numbers[0]), space.numbers[1])

    return {key: value(key, space) for key, space in search.tuned.space.items()}


def _part(key: str, place: int) -> str:
    return f"{key}:{place}"
