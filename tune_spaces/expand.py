"""A study into the trials it stands for."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from dmf.fusion import DynamicMemoryFusion
from dmf.losses import build_loss
from dmf.training.build import build_network
from dmf.training.spec import TrialSpec
from tune_spaces.strict_yaml import ConfigError, did_you_mean, validate
from tune_spaces.study import Combinations, Study
from tune_spaces.tuned import INSIDE, TUNED, Tuned, as_written, parse_tuned, placed
from tune_spaces.twins import twin_among

FIELDS = tuple(field.name for field in dataclasses.fields(TrialSpec))
_LOSSES = next(field.default for field in dataclasses.fields(TrialSpec) if field.name == "losses")
OWN_SEED = "<seed>"
"""In a split: the seed of each trial, so that every repeat deals its images anew."""

_ADAPTER = TypeAdapter(with_config(ConfigDict(extra="forbid"))(TrialSpec))


@dataclass(frozen=True)
class Cell:
    """One trial of a study: its spec and the name of its configuration, which all its seeds and data sets share.

    Attributes:
        spec: Of a tuned row, with some values of its ranges: which ones it is trained with, its search says.
        twins: Cells that must come out alike and are not trained (`tune_spaces.twins`).
        reason: Of a twin, why.
        tuned: What is searched for, if its row is tuned.
    """

    spec: TrialSpec
    configuration: str
    twins: tuple[Cell, ...] = ()
    reason: str = ""
    tuned: Tuned | None = None


@dataclass(frozen=True)
class SkippedCell:
    """A combination that is not run."""

    values: dict[str, Any]
    reason: str


@dataclass(frozen=True)
class Expansion:
    """The trials of a study that are trained, in the order they are run, what was left out and why, and the baseline's
    name."""

    cells: list[Cell]
    skipped: list[SkippedCell]
    baseline: str


def expand(study: Study) -> Expansion:
    """Every trial that a study asks for, validated: by data set, by repeat (seed, fold), then in the grid's order.

    Raises:
        ConfigError: for an unknown field, loss, weighting or model, a value out of range, an argument that a component
            does not take, or a cell that the grid holds twice.
    """
    kept, skipped = [], []
    for combination in _combinations(study):
        reason = _reason_to_skip(study, combination)
        if reason is None:
            kept.append(combination)
        else:
            skipped.append(SkippedCell(combination, reason))
    if not kept:
        raise ConfigError(f"{study.path}: the grid is empty: every combination is skipped.")
    repeats = _repeats(study)
    firsts = [[_spec(study, values, {"dataset": name, **repeats[0]}) for values in kept] for name in study.datasets]
    specs = [
        [[_repeated(study, *pair, repeat) for pair in zip(first, kept, strict=True)] for repeat in repeats]
        for first in firsts
    ]
    names = _configuration_names([_as_configuration(study, *pair) for pair in zip(specs[0][0], kept, strict=True)])
    _refuse_duplicates(study, names)
    tuned = [values.get(TUNED) for values in kept]
    cells = [cell for of_dataset in specs for of_repeat in of_dataset for cell in _cells(of_repeat, names, tuned)]
    return Expansion(cells, skipped, _baseline(study, specs[0][0], names, tuned))


def _cells(specs: list[TrialSpec], names: list[str], tuned: list[Tuned | None]) -> list[Cell]:
    """One for each trial that is trained, with its twins; a tuned row has a search of its own, and no twin."""
    twins: dict[int, list[Cell]] = {index: [] for index in range(len(specs))}
    others = [spec if tuned[index] is None else None for index, spec in enumerate(specs)]
    for index, (spec, name) in enumerate(zip(others, names, strict=True)):
        if spec is not None and (found := twin_among(spec, others)):
            twins[found[0]].append(Cell(spec, name, reason=found[1]))
            del twins[index]
    return [Cell(specs[index], names[index], tuple(of_one), tuned=tuned[index]) for index, of_one in twins.items()]


def _repeats(study: Study) -> list[dict[str, Any]]:
    """What differs between the trials of one configuration: the seed and, in a cross-validation, the fold."""
    folds = [{"split": f"fold:{fold}"} for fold in range(study.folds)] if study.folds else [{}]
    return [{"seed": seed, **fold} for seed in range(study.seeds) for fold in folds]


def _combinations(study: Study) -> Iterator[dict[str, Any]]:
    for name in study.trial:
        _require_field(study, f"trial.{name}", name)
    for dataset, settings in study.per_dataset.items():
        for name in settings:
            _require_field(study, f"per_dataset.{dataset}.{name}", name)
    for number, block in enumerate(study.grid):
        for name in block.keys() - {TUNED}:
            _require_field(study, f"grid.{number}.{name}", name)
        tuned = {TUNED: parse_tuned(study.path, f"grid.{number}.{TUNED}", block)} if TUNED in block else {}
        axes = [_axis(study, f"grid.{number}.{key}", value) for key, value in (block | tuned).items()]
        for values in itertools.product(*axes):
            yield dict(zip(block, values, strict=True))


def _axis(study: Study, key: str, value: Any) -> list[Any]:
    """The values of one key of a block: those of a list, the combinations of a set, or a single constant."""
    if not (isinstance(value, dict) and "combinations" in value):
        return value if isinstance(value, list) else [value]
    combinations = validate(study.path, value, Combinations, within=key)
    return [list(chosen) for n in combinations.sizes for chosen in itertools.combinations(combinations.combinations, n)]


def _require_field(study: Study, key: str, name: str) -> None:
    reserved = {"dataset": "datasets", "seed": "seeds"}
    if name in reserved:
        raise ConfigError(f"{study.path}: key `{key}` belongs to the top of the file, as `{reserved[name]}`.")
    if name not in FIELDS:
        known = (field for field in FIELDS if field not in reserved)
        raise ConfigError(f"{study.path}: unknown key `{key}`.{did_you_mean(name, known)}")


def _reason_to_skip(study: Study, values: dict[str, Any]) -> str | None:
    for skip in study.skip:
        if all({**study.trial, **values}.get(key) == value for key, value in skip.when.items()):
            return skip.reason
    return None


def _settings(study: Study, values: dict[str, Any], repeat: dict[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in values.items() if name != TUNED}
    return {**study.trial, **study.per_dataset.get(repeat["dataset"], {}), **own, **repeat}


def _dealt(value: Any, seed: str) -> Any:
    """A split with the seed of its trial, where the study says `<seed>`."""
    return value.replace(OWN_SEED, seed) if isinstance(value, str) else value


def _as_configuration(study: Study, spec: TrialSpec, values: dict[str, Any]) -> TrialSpec:
    """The first trial of a configuration without the seed by which its images are dealt, and what is tuned as that."""
    written = _settings(study, values, {"dataset": spec.dataset}).get("split", "")
    if OWN_SEED in written:
        spec = dataclasses.replace(spec, split=written.replace(f":{OWN_SEED}", ""))
    return as_written(spec, values[TUNED].space) if TUNED in values else spec


def _repeated(study: Study, first: TrialSpec, values: dict[str, Any], repeat: dict[str, Any]) -> TrialSpec:
    """A checked trial with another seed or fold, its images dealt anew where the study says `<seed>`."""
    written = _settings(study, values, {"dataset": first.dataset}).get("split", first.split)
    return dataclasses.replace(first, **{"split": _dealt(written, str(repeat["seed"])), **repeat})


def _spec(study: Study, values: dict[str, Any], repeat: dict[str, Any]) -> TrialSpec:
    settings = _settings(study, values, repeat)
    if "split" in settings:
        settings["split"] = _dealt(settings["split"], str(repeat["seed"]))
    tuned: Tuned | None = values.get(TUNED)
    if tuned is None:
        return _checked(study, settings)
    losses, params = settings.get("losses", _LOSSES), settings.get("weighting_params", {})
    for share in (0.0, 1.0, INSIDE):
        chosen = tuned.at(share, len(losses))
        try:
            spec = _checked(study, settings | placed(chosen, params))
        except ConfigError as error:
            tried = ", ".join(f"{key}: {value}" for key, value in chosen.items())
            raise ConfigError(f"{error}\n(Key `{tuned.key}`, tried with {tried}.)") from None
    return spec


def _checked(study: Study, settings: dict[str, Any]) -> TrialSpec:
    try:
        spec: TrialSpec = _ADAPTER.validate_python(settings)
    except ValidationError as error:
        lines = []
        for mistake in error.errors():
            key = ".".join(str(part) for part in mistake["loc"]) or "trial"
            lines.append(f"{study.path}: key `{key}`: {mistake['msg']}. Found {mistake['input']!r}.")
        raise ConfigError("\n".join(lines)) from None
    try:
        for name in (*spec.losses, *([spec.auxiliary] if spec.auxiliary else [])):
            _try_loss(name, spec.fidelity, json.dumps(spec.loss_params.get(name, {})))
        _try_weighting(spec.weighting, len(spec.losses), spec.fidelity, json.dumps(spec.weighting_params))
        _try_network(spec)
    except ValueError as error:
        raise ConfigError(f"{study.path}: {error}") from None
    return spec


# Components are built once to see whether they can be: a wrong name, argument or value shows at once.
@lru_cache
def _try_loss(name: str, fidelity: str, params: str) -> None:
    build_loss(name, 2, fidelity, **json.loads(params))


@lru_cache
def _try_weighting(name: str, num_losses: int, fidelity: str, params: str) -> None:
    DynamicMemoryFusion(["mse"] * num_losses, name, fidelity=fidelity, weighting_params=json.loads(params))


def _try_network(spec: TrialSpec) -> None:
    names = ("model", "model_params", "activation", "activation_params", "output_activation", "image_size")
    _try_network_of(json.dumps({name: getattr(spec, name) for name in names}))


@lru_cache
def _try_network_of(settings: str) -> None:
    spec = TrialSpec(dataset="any", seed=0, **json.loads(settings))
    with torch.device("meta"):  # shapes without memory
        network = build_network(spec, 1, 2)
        if spec.model.startswith(("smp:", "timm:")):  # of which some are too deep for small images
            network(torch.empty(2, 1, spec.image_size, spec.image_size))


def _configuration_names(specs: list[TrialSpec]) -> list[str]:
    """What tells configurations apart: the values of the fields that differ between them."""
    varying = [name for name in FIELDS if len({repr(getattr(spec, name)) for spec in specs}) > 1]
    # Arguments follow from what they belong to, unless nothing else tells two configurations apart.
    short = [name for name in varying if not name.endswith("_params")]
    names = [_label(spec, short or ["weighting"]) for spec in specs]
    return names if len(set(names)) == len(names) else [_label(spec, varying) for spec in specs]


def _label(spec: TrialSpec, names: list[str]) -> str:
    return " · ".join(_text(getattr(spec, name)) for name in names)


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return "+".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}={_text(item)}" for key, item in value.items()) or "defaults"
    return str(value)


def _refuse_duplicates(study: Study, names: list[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ConfigError(f"{study.path}: the grid holds a configuration twice: {'; '.join(twice)}.")


def _baseline(study: Study, specs: list[TrialSpec], names: list[str], tuned: list[Tuned | None]) -> str:
    """The row that fits `baseline`, among those that are tuned if it says `tuned: true`, else among the others."""
    for key in study.baseline.keys() - {TUNED}:
        _require_field(study, f"baseline.{key}", key)
    wanted = {key: _dealt(value, "0") if key == "split" else value for key, value in study.baseline.items()}
    of_tuned = wanted.pop(TUNED, False)
    found = [
        name
        for spec, name, search in zip(specs, names, tuned, strict=True)
        if (search is not None) == of_tuned and all(spec.to_dict()[key] == value for key, value in wanted.items())
    ]
    if len(found) != 1:
        raise ConfigError(
            f"{study.path}: key `baseline` must fit exactly one configuration. Found {len(found)}: "
            f"{'; '.join(found) or 'none'}. Configurations: {'; '.join(names)}."
            + " One that is tuned fits where it says `tuned: true`."
            * any(tuned)
        )
    return found[0]
