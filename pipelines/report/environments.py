"""On what the trials of a study ran, and whether all of it gives the same last digits."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

from pipelines.report.layout import Repeat, Row, repeat_of
from pipelines.report.names import printed
from pipelines.trials.environment import Environment
from pipelines.trials.record import TrialRecord

SUMMED_UP = ("node", "libraries")
PRINTED = {"precision": "Precision used", "threads": "CPU threads", "instruction_set": "CPU instruction set"}


def methods(records: Sequence[TrialRecord]) -> dict[str, list[str]]:
    """Every value of every field of the trials' environments, by printed name; how many nodes there were is no method.

    A trial that was resumed elsewhere has several.
    """
    used = _all_of(records)
    fields = [name for name in Environment.model_fields if name not in SUMMED_UP]
    found = {PRINTED.get(name) or printed(name): [str(getattr(one, name)) for one in used] for name in fields}
    return found | {"Libraries": sorted({f"{name} {number}" for one in used for name, number in one.libraries.items()})}


def nodes(records: Sequence[TrialRecord]) -> int:
    """How many machines trained."""
    return len({environment.node for environment in _all_of(records)})


def kinds(records: Sequence[TrialRecord]) -> Counter[str]:
    """How many trials ran on what, told only as far as it differs and may change digits; a single "" if nothing does.

    What a trial has no part in, such as the version of a library that its network does not use, is not held against
    it; a trial that went on in another environment is of both, one "then" the other.
    """
    trials = {record.identifier: record for record in records}.values()  # a row may have those of another
    differing = _differing(trials)
    found = Counter(_words(record, differing) for record in trials)
    return Counter(dict(found.most_common()))


def warning(records: Sequence[TrialRecord]) -> str:
    """One sentence for a reader where the trials are of several kinds; empty where they are of one."""
    found = kinds(records)
    if len(found) < 2:
        return ""
    counted = "; ".join(f"{count} on {kind or 'none of these'}" for kind, count in found.items())
    return (
        f"Not all {found.total()} trials ran on the same: {counted}. Such trials differ in their last digits, which "
        "training can enlarge, so a small difference across kinds may be due to that and not to the method."
    )


def repeats_across(row: Row, baseline: Row) -> set[Repeat]:
    """The repeats whose pair was trained in environments which may give other digits."""
    theirs = {repeat_of(record.spec): record for record in baseline.records}
    pairs = [(record, theirs.get(repeat_of(record.spec))) for record in row.records]
    return {repeat_of(one.spec) for one, other in pairs if other and _differing((one, other))}


def _digits(record: TrialRecord) -> list[dict[str, str]]:
    """What each attempt's environment says about last digits."""
    return [environment.digits(record.spec.precision) for environment in record.environments]


def _all_of(records: Iterable[TrialRecord]) -> list[Environment]:
    return [environment for record in records for environment in record.environments]


def _differing(records: Iterable[TrialRecord]) -> list[str]:
    said: dict[str, set[str]] = {}
    for digits in itertools.chain.from_iterable(map(_digits, records)):
        for name, words in digits.items():
            said.setdefault(name, set()).add(words)
    return [name for name, words in said.items() if len(words) > 1]


def _words(record: TrialRecord, names: Sequence[str]) -> str:
    used = [", ".join(digits[name] for name in names if name in digits) for digits in _digits(record)]
    return " then ".join(dict.fromkeys(used))
