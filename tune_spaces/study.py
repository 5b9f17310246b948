"""What a study is: the YAML a researcher edits, read and validated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from tune_spaces.strict_yaml import ConfigError, StrictModel, did_you_mean, read_yaml, validate

FOLDER = Path(__file__).parent
"""Where studies live: one YAML file each, named like the study."""

RESERVED = ("data", "filter", "verify")
"""Folders of `reports/` that belong to stages and commands, where a study of that name would put its own."""

SMALLEST = 8
"""Side in pixels below which nothing can be seen in an image."""

Positive = Annotated[int, Field(ge=1)]


class Skip(StrictModel):
    """Cells that are left out of the grid, and why."""

    when: dict[str, Any]
    reason: str = Field(min_length=1)


class Combinations(StrictModel):
    """An axis of all combinations of some sizes, such as every one, two or three of seven losses.

    Written `losses: {combinations: [dice, focal, mse], sizes: [1, 2]}`; smaller ones first, in the order of the list.
    """

    combinations: list[Any] = Field(min_length=1)
    sizes: list[Positive] = Field(min_length=1)

    @model_validator(mode="after")
    def _are_there(self) -> Combinations:
        if max(self.sizes) > len(self.combinations):
            raise ValueError(f"`sizes` must not exceed {len(self.combinations)}, the number of values")
        return self


class Resources(StrictModel):
    """What one worker occupies, and how many trials it trains at a time (`PackedTrials`): for a GPU, 4 or more."""

    cpus: float = Field(default=1, gt=0)
    gpus: float = Field(default=0, ge=0)
    pack: Positive = 1


class Study(StrictModel):
    """A grid of trials.

    Attributes:
        name: The file's name without `.yaml`.
        title: One line for tables and pages.
        datasets: Names in the catalogue; every cell runs on each.
        seeds: How many repeats (0, 1, ...). Repeats are paired: a seed fixes initial weights and batch order.
        folds: Of a cross-validation: every seed is run on each of the folds 0, 1, ..., which take the place of `split`.
            At most as many as the split stage deals (`split.folds` in params.yaml).
        trial: Fields of `dmf.TrialSpec` that all cells share.
        per_dataset: Fields that differ from data set to data set, by its name; they take the place of those in `trial`.
        grid: Blocks of fields; a list or `Combinations` is an axis, anything else a constant; a block is the product
            of its axes.
        skip: Cells to leave out, with the reason that the report shows.
        baseline: Fields of the configuration that others are compared with.
        resources: CPUs and GPUs of one worker, and its trials at a time.
        claims: What the study is meant to show, each with the test that decides it (docs/claims.md).
        tables: Tables of the papers that the report makes by their numbers, such as `adaptexp-7`.
        equivalence: Differences of scores up to this, a share of 1, count as none: half a point.
    """

    name: str
    title: str
    datasets: list[str] = Field(min_length=1)
    seeds: Positive
    folds: Annotated[int, Field(ge=2)] | None = None
    trial: dict[str, Any] = Field(default_factory=dict)
    per_dataset: dict[str, dict[str, Any]] = Field(default_factory=dict)
    grid: list[dict[str, Any]] = Field(min_length=1)
    skip: list[Skip] = Field(default_factory=list)
    baseline: dict[str, Any]
    resources: Resources = Resources()
    claims: list[dict[str, Any]] = Field(default_factory=list)
    tables: list[str] = Field(default_factory=list)
    equivalence: float = Field(default=0.005, gt=0, lt=1)

    @field_validator("per_dataset")
    @classmethod
    def _names_data_sets(
        cls, per_dataset: dict[str, dict[str, Any]], info: ValidationInfo
    ) -> dict[str, dict[str, Any]]:
        known = info.data.get("datasets", [])
        for name in per_dataset:
            if name not in known:
                raise ValueError(f"{name!r} is none of the study's data sets.{did_you_mean(name, known)}")
        return per_dataset

    @property
    def path(self) -> Path:
        """The file that a message about this study names."""
        return FOLDER / f"{self.name}.yaml"

    def image_sizes(self, dataset: str) -> list[int]:
        """At which sizes, in pixels, the trials of a data set read its images; the smallest first.

        Raises:
            ConfigError: if a block of the grid leaves the size open, or names none of at least `SMALLEST` pixels.
        """
        shared = {**self.trial, **self.per_dataset.get(dataset, {})}
        named: list[Any] = [block.get("image_size", shared.get("image_size")) for block in self.grid]
        sizes = {size for value in named for size in (value if isinstance(value, list) else [value])}
        for size in sizes:
            if not isinstance(size, int) or size < SMALLEST:
                raise ConfigError(
                    f"{self.path}: key `trial.image_size`: expected the side of the images of {dataset} in pixels, a "
                    f"whole number of at least {SMALLEST}. Found {size!r}."
                )
        return sorted(sizes)


def study_names(folder: Path = FOLDER) -> list[str]:
    """Every study there is."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_study(name: str, folder: Path = FOLDER) -> Study:
    """Read a study by name. `extends: other` starts from another study: `trial` is merged, other keys replaced.

    Raises:
        ConfigError: naming file, key, value and what is allowed.
    """
    content = _resolve(name, folder, ())
    if name in RESERVED or not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(
            f"{folder / name}.yaml: a study cannot be called {name!r}. Rename the file; allowed are letters, digits, "
            f"`_`, `-` and `.`, but not {', '.join(RESERVED)}, which `reports/` holds already."
        )
    return validate(folder / f"{name}.yaml", {**content, "name": name}, Study)


def _resolve(name: str, folder: Path, seen: tuple[str, ...]) -> dict[str, Any]:
    if name not in study_names(folder):
        where = f"{folder / seen[-1]}.yaml: `extends`" if seen else "study"
        raise ConfigError(f"{where}: no study is called {name!r}.{did_you_mean(name, study_names(folder))}")
    if name in seen:
        raise ConfigError(f"{folder / name}.yaml: `extends` goes in a circle: {' -> '.join((*seen, name))}.")
    content = read_yaml(folder / f"{name}.yaml")
    if "name" in content:
        raise ConfigError(f"{folder / name}.yaml: key `name` is not needed; the file's name is the study's.")
    parent = content.pop("extends", None)
    if parent is None:
        return content
    inherited = _resolve(str(parent), folder, (*seen, name))
    trial = {**inherited.get("trial", {}), **content.get("trial", {})}
    return {**inherited, **content, "trial": trial}
