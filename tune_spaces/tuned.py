"""A row of a grid whose values are searched for: `tuned` in a block, what it may say, and the specs that it stands for.

    - weighting: fixed
      tuned:
        weights: simplex                     # as many numbers as losses, uniform among those that sum to 1
        learning_rate: {loguniform: [1e-4, 1e-2]}
        budget: {trials: 24}
        on: validation                       # the only split that a search may score on
        method: random                       # or optuna
        scheduler: asha                      # optional: stops what does badly early

Any number of `TrialSpec` can be tuned, but for `seed` and `image_size`, and any argument of the row's weighting.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from dmf.training.spec import TrialSpec
from tune_spaces.strict_yaml import ConfigError, StrictModel, did_you_mean, validate

SEED = 2**31
"""Of every trial of a search. A study's own seeds count from 0: no search trains what a row is judged by. Proposals of
one search have it in common, so that they are compared with equal initial weights and batches."""

TUNED = "tuned"
"""In a block the key; in names and labels what stands in the place of a value that was searched for."""

INSIDE = 0.37
"""Where in its ranges a tuned row is tried out before anything is trained: no end, and no whole number of most."""

NUMBERS = tuple(
    field.name
    for field in dataclasses.fields(TrialSpec)
    if field.type in ("int", "float") and field.name not in ("seed", "image_size")
)
"""Fields of the spec that can be tuned; other names are arguments of the weighting."""

KINDS = ("uniform", "loguniform", "integer", "choice")
SIMPLEX = "simplex"
EXPECTED = (
    "{loguniform: [low, high]} or {uniform: [low, high]} with low < high (of loguniform above 0), {integer: [low, "
    "high]} with whole numbers, {choice: [two numbers or more]}, or `simplex` for weights that sum to 1"
)

Value = float | int | list[float]
Values = Mapping[str, Value]


class Budget(StrictModel):
    """How much is searched: trials of each search."""

    trials: Annotated[int, Field(ge=2)]


class Options(StrictModel):
    """The keys of `tuned` that name no range.

    Attributes:
        budget: How much.
        on: The split whose score decides; there is no other than validation.
        method: Which of Tune's searchers proposes: at random, or Optuna's TPE.
        scheduler: Whether Tune's ASHA stops trials early.
    """

    budget: Budget
    on: Literal["validation"] = "validation"
    method: Literal["random", "optuna"] = "random"
    scheduler: Literal["asha"] | None = None


@dataclass(frozen=True)
class Range:
    """Where a value is looked for: one of `KINDS` with its numbers, or `SIMPLEX` without any."""

    kind: str
    numbers: tuple[float, ...] = ()

    def at(self, share: float, losses: int) -> Value:
        """A value of it, from its low end (0) to its high one (1)."""
        if self.kind == SIMPLEX:
            return simplex([share] * (losses - 1))
        low, high = self.numbers[0], self.numbers[-1]
        if self.kind == "choice":
            return self.numbers[round(share * (len(self.numbers) - 1))]
        if self.kind == "loguniform":
            return low * (high / low) ** share
        return low + round(share * (high - low)) if self.kind == "integer" else low + share * (high - low)


@dataclass(frozen=True)
class Tuned:
    """What a row's `tuned` says, and the key that says it."""

    key: str
    space: Mapping[str, Range]
    options: Options

    @property
    def trials(self) -> int:
        """Of each search."""
        return self.options.budget.trials

    def at(self, share: float, losses: int) -> dict[str, Value]:
        """A value for each key, see `Range.at`."""
        return {key: found.at(share, losses) for key, found in self.space.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        space = {key: [found.kind, *found.numbers] for key, found in self.space.items()}
        return {"space": space, **self.options.model_dump(mode="json")}

    def __str__(self) -> str:
        return f"{', '.join(self.space)} by {self.options.method} search"


@dataclass(frozen=True)
class Search:
    """What one search looks for: the values of a tuned row on one data set and one split of it.

    Attributes:
        configuration: Name of the row.
        base: A spec of the row, with values from inside its ranges and the seed of searches.
    """

    configuration: str
    base: TrialSpec
    tuned: Tuned

    @property
    def title(self) -> str:
        """What a person calls it."""
        split = "" if self.base.split == "default" else f" · {self.base.split}"
        return f"{self.configuration} · {self.base.dataset}{split}"

    def proposal(self, values: Values) -> TrialSpec:
        """The trial that tries values out."""
        return with_values(self.base, values)


def simplex(shares: Sequence[float]) -> list[float]:
    """N weights that sum to 1 from N - 1 numbers in [0, 1]; uniform ones give Dirichlet(1, ..., 1).

    By breaking a stick: w_i = (1 - u_i^(1 / (N - i))) of what is left, whose distribution is Beta(1, N - i). Four
    decimals each, so that what a report prints is what was trained.
    """
    weights, left = [], 1.0
    for number, share in enumerate(shares):
        weights.append(round(left * (1 - share ** (1 / (len(shares) - number))), 4))
        left = max(0.0, round(left - weights[-1], 4))
    return [*weights, left]


def with_values(spec: TrialSpec, values: Values) -> TrialSpec:
    """The spec with those values, each where its key belongs."""
    return dataclasses.replace(spec, **placed(values, spec.weighting_params))


def placed(values: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """Values as fields of a spec, of which those that are arguments of the weighting join its others."""
    fields = {key: value for key, value in values.items() if key in NUMBERS}
    arguments = {key: value for key, value in values.items() if key not in NUMBERS}
    return {**fields, "weighting_params": {**params, **arguments}}


def values_of(spec: TrialSpec, keys: Iterable[str]) -> dict[str, Value]:
    """What `with_values` gave it."""
    return {key: getattr(spec, key) if key in NUMBERS else spec.weighting_params[key] for key in keys}


def as_written(spec: TrialSpec, tuned: Iterable[str]) -> TrialSpec:
    """The spec as its study has it, `tuned` in the place of values; for names and labels, not for training."""
    shown = copy.copy(spec)
    for field, value in placed(dict.fromkeys(tuned, TUNED), spec.weighting_params).items():  # type: ignore[arg-type]
        object.__setattr__(shown, field, value)  # unchecked: this is no number
    return shown


def parse_tuned(path: Path, key: str, block: Mapping[str, Any]) -> Tuned:
    """What the `tuned` of a block says.

    Raises:
        ConfigError: naming file, key, value and what is expected.
    """
    given = block[TUNED]
    if not isinstance(given, Mapping):
        raise ConfigError(f"{path}: key `{key}`: expected ranges and a `budget`. Found {given!r}.")
    options = {name: value for name, value in given.items() if name in Options.model_fields}
    ranges = sorted((str(name), value) for name, value in given.items() if name not in options)
    space = {name: _range(path, f"{key}.{name}", value) for name, value in ranges}
    if not space:
        raise ConfigError(f"{path}: key `{key}`: expected at least one range, such as `weights: simplex`. Found none.")
    arguments = block.get("weighting_params")
    for name, found in space.items():
        if name in block or (isinstance(arguments, Mapping) and name in arguments):
            raise ConfigError(f"{path}: key `{key}.{name}`: the block gives it a value, too. Leave one out.")
        if name in NUMBERS and found.kind == SIMPLEX:
            raise ConfigError(f"{path}: key `{key}.{name}`: it is one number. Found 'simplex'. Expected {EXPECTED}.")
        if name not in NUMBERS and name in {field.name for field in dataclasses.fields(TrialSpec)}:
            raise ConfigError(
                f"{path}: key `{key}.{name}`: it cannot be tuned. Expected an argument of the weighting or one of "
                f"{', '.join(NUMBERS)}."
            )
    return Tuned(key, space, validate(path, options, Options, within=key))


def _range(path: Path, key: str, value: Any) -> Range:
    """One entry of `tuned`."""
    if value == SIMPLEX:
        return Range(SIMPLEX)
    if isinstance(value, Mapping) and len(value) == 1:
        ((kind, numbers),) = value.items()
        if kind in KINDS and isinstance(numbers, list) and all(map(_is_number, numbers)) and _fits(kind, numbers):
            return Range(kind, tuple(numbers))
        if kind not in KINDS:
            raise ConfigError(f"{path}: unknown key `{key}.{kind}`.{did_you_mean(str(kind), KINDS)}")
    raise ConfigError(f"{path}: key `{key}`: expected {EXPECTED}. Found {value!r}.")


def _fits(kind: str, numbers: Sequence[float]) -> bool:
    if kind == "choice":
        return len(set(numbers)) == len(numbers) > 1
    if len(numbers) != 2 or not numbers[0] < numbers[1]:
        return False
    return numbers[0] > 0 if kind == "loguniform" else kind != "integer" or all(isinstance(n, int) for n in numbers)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
