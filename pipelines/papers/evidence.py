"""The finished trials that a claim is tested on: which of them it means, and which belong together."""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from dmf.training.spec import TrialSpec
from pipelines.papers.measures import Record, Value
from tune_spaces.tuned import NUMBERS

Selector = Mapping[str, Any]
Repeat = tuple[int, str]

_FIELDS = ("order", "baseline", "configuration", "tuned")
_REPEATED = ("fold:", "random:")
# Arguments follow from what they belong to.
_PARAMS = {
    "model": "model_params",
    "activation": "activation_params",
    "losses": "loss_params",
    "order": "loss_params",
    "auxiliary": "loss_params",
    "weighting": "weighting_params",
}


@dataclass(frozen=True)
class Truth:
    """True masks of a data set: names of its images, and uint8 (N, *spatial)."""

    images: Sequence[str]
    masks: np.ndarray


@dataclass(frozen=True)
class Group:
    """One configuration on one data set, over its repeats."""

    dataset: str
    configuration: str
    records: tuple[Record, ...]

    def values(self, value: Value) -> dict[Repeat, float]:
        """A number of each trial; `averaged` makes one a repeat of them."""
        return {repeat_of(record): value(record) for record in self.records}

    @property
    def first(self) -> Record:
        return self.records[0]


@dataclass(frozen=True)
class Evidence:
    """Finished trials of one study.

    Args:
        records: In the study's order.
        baseline: Name of the baseline's configuration.
        truths: By data set, where they are at hand.
        preferred: Fields that `preferring` has settled, in which pairs may differ.
    """

    records: tuple[Record, ...]
    baseline: str = ""
    truths: Mapping[str, Truth] = field(default_factory=dict)
    preferred: frozenset[str] = frozenset()

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(record.spec.dataset for record in self.records))

    def restricted(self, records: Iterable[Record]) -> Evidence:
        return dataclasses.replace(self, records=tuple(records))

    def where(self, selector: Selector) -> Evidence:
        """Those whose fields have the wanted values.

        A list means any of its members; `*` in a name stands for any text; losses are one list, or a list of lists.
        `{largest: pattern}` means the name with the largest number; `{contains: x}` and `{lacks: x}` are for losses.
        """
        chosen = self.records
        for name, wanted in selector.items():
            if isinstance(wanted, Mapping) and set(wanted) == {"largest"}:
                wanted = self._largest(name, wanted["largest"])
            chosen = tuple(record for record in chosen if _fits(self.field(record, name), wanted))
        return self.restricted(chosen)

    def preferring(self, preferences: Sequence[Selector]) -> Evidence:
        """Of trials that differ only in a field that a preference lists, the one whose value stands first.

        A preference is a selector; the last of its keys is the field, with its values in order. The first preference
        whose other keys fit a trial decides.
        """
        best: dict[tuple[Any, ...], tuple[int, Record]] = {}
        for record in self.records:
            key: tuple[Any, ...] = (id(record),)
            place = 0
            for preference in preferences:
                *others, (name, order) = preference.items()
                if all(_fits(self.field(record, other), wanted) for other, wanted in others):
                    value = self.field(record, name)
                    key = (repeat_of(record), self._rest(record, {name}))
                    place = order.index(value) if value in order else len(order)
                    break
            if key not in best or place < best[key][0]:
                best[key] = (place, record)
        kept = {id(record) for _, record in best.values()}
        settled = frozenset(list(preference)[-1] for preference in preferences)
        left = self.restricted(record for record in self.records if id(record) in kept)
        return dataclasses.replace(left, preferred=settled)

    def groups(self) -> list[Group]:
        """Configurations by data set, in the study's order."""
        found: dict[tuple[str, str], list[Record]] = {}
        for record in self.records:
            found.setdefault((record.spec.dataset, record.configuration), []).append(record)
        return [Group(*key, tuple(members)) for key, members in found.items()]

    def pairs(self, ours: Selector, rivals: Selector) -> Iterator[tuple[Group, Group]]:
        """Groups of `ours` beside those of `rivals` that agree with them in every field which neither names."""
        named = {*ours, *rivals}
        mine = self.where(ours).groups()
        names = {(group.dataset, group.configuration) for group in mine}
        others: dict[tuple[Any, ...], list[Group]] = {}
        for rival in self.where(rivals).groups():
            if (rival.dataset, rival.configuration) not in names:
                others.setdefault(self._rest(rival.first, named), []).append(rival)
        for group in mine:
            for rival in others.get(self._rest(group.first, named), []):
                yield group, rival

    def field(self, record: Record, name: str) -> Any:
        """A field of the spec, by dots into mappings; or `order` (how many losses) and the others of `_FIELDS`."""
        if name == "order":
            return len(record.spec.losses)
        if name == "baseline":
            return record.configuration == self.baseline
        if name == "configuration":
            return record.configuration
        if name == "tuned":
            return record.tuning is not None
        base, *path = name.split(".")
        value = getattr(record.spec, base)
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def _largest(self, name: str, pattern: str) -> list[str]:
        names = {str(self.field(record, name)) for record in self.records}
        fitting = [one for one in names if fnmatchcase(one, pattern)]
        return sorted(fitting, key=number_in)[-1:]

    @property
    def _searched(self) -> frozenset[str]:
        """Fields of the specs whose values searches have chosen, in whatever row."""
        keys = {key for record in self.records if record.tuning for key in record.tuning.keys}
        return frozenset(key if key in NUMBERS else "weighting_params" for key in keys)

    def _rest(self, record: Record, named: Iterable[str]) -> tuple[Any, ...]:
        """Every field that tells trials of one repeat apart, but those that are named and what follows from them."""
        roots = {name.partition(".")[0] for name in named}
        free = roots | {_PARAMS[name] for name in roots if name in _PARAMS} | {"seed"}
        if roots & {"order", "baseline", "configuration"}:
            free |= {"losses"} if "order" in roots else set(_spec_fields()) - {"dataset"}
        free |= self.preferred | (self._searched if "tuned" in roots else frozenset())
        if record.spec.split.startswith(_REPEATED):
            free |= {"split"}
        return tuple(repr(getattr(record.spec, name)) for name in _spec_fields() if name not in free)


def repeat_of(record: Record) -> Repeat:
    """What pairs trials: the seed and, where each repeat has a split of its own, that split."""
    split = record.spec.split
    return record.spec.seed, split if split.startswith(_REPEATED) else ""


def number_in(name: str) -> int:
    """The last number in a name, such as 101 in `rfe_unet:resnet101`; 0 without any."""
    found = re.findall(r"\d+", name)
    return int(found[-1]) if found else 0


def known_fields() -> list[str]:
    """What a selector may name."""
    return [*_spec_fields(), *_FIELDS]


def by_repeat(values: Mapping[Repeat, float]) -> list[list[float]]:
    """The values of each repeat that counts as one, in order.

    Trainings by several seeds on one fold share its images and are no independent repeats: together they are one.
    Where all have the same split, each seed is.
    """
    splits = {split for _, split in values}
    found: dict[int | str, list[float]] = {}
    for (seed, split), value in sorted(values.items()):
        found.setdefault(split if len(splits) > 1 else seed, []).append(value)
    return list(found.values())


def averaged(values: Mapping[Repeat, float]) -> list[float]:
    """One value a repeat: the mean over the seeds of a fold."""
    return [float(np.mean(members)) for members in by_repeat(values)]


def paired(
    one: Mapping[Repeat, float],
    other: Mapping[Repeat, float],
    compared: Callable[[float, float], float] = operator.sub,
) -> list[float]:
    """Differences of the trials that both have, one a repeat."""
    return averaged({repeat: compared(one[repeat], other[repeat]) for repeat in one.keys() & other.keys()})


def _spec_fields() -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(TrialSpec))


def _fits(value: Any, wanted: Any) -> bool:
    """Whether a field has a wanted value; see `Evidence.where`."""
    if isinstance(wanted, Mapping):
        return all(_HOLD[name](value, member) for name, member in wanted.items())
    if isinstance(value, tuple):
        if isinstance(wanted, Sequence) and wanted and isinstance(wanted[0], list):
            return list(value) in [list(one) for one in wanted]
        return isinstance(wanted, Sequence) and list(value) == list(wanted)
    if isinstance(wanted, list | tuple):
        return any(_fits(value, one) for one in wanted)
    if isinstance(value, str) and isinstance(wanted, str):
        return fnmatchcase(value, wanted)
    return (type(value) is type(wanted) and value == wanted) or (_number(value) and _number(wanted) and value == wanted)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_HOLD = {"contains": lambda value, member: member in value, "lacks": lambda value, member: member not in value}
