"""Which trials are trained again, and whether their data are the recorded ones."""

from __future__ import annotations

import random
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from pipelines.core.console import StageError, say
from pipelines.report.crate import broken_files
from pipelines.trials.bundle import read_bundle, unpacked
from pipelines.trials.record import TrialRecord
from pipelines.verify.compare import Outcome
from pipelines.verify.data import data_differences
from pipelines.verify.page import write_verdict
from pipelines.verify.trial import tell, verify


def run(options: Namespace) -> None:
    if options.steps is not None and options.steps < 1:
        raise StageError(f"--steps is {options.steps}, expected at least 1.")
    report = options.reports / options.study
    broken = broken_files(report)
    for file in broken:
        say(f"{report} is not as it was made: {file}")
    with unpacked(report) as carried:
        records = choose(read_bundle(carried), options)
        require_data(records, options.data, carried)
        found = [verify(record, options.data, options.steps) for record in records]
    for comparison in found:
        tell(comparison)
    say(f"verify: {write_verdict(found, options.study, options.reports)}")
    sys.exit(bool(broken) or any(one.outcome is Outcome.DIFFERENT for one in found))


def choose(records: Sequence[TrialRecord], options: Namespace) -> list[TrialRecord]:
    """The trials that were asked for. Raises StageError for one that is not there, or not the only one."""
    if options.trials:
        return [_named(records, name) for name in options.trials]
    draw = random.Random(options.draw)
    if options.rows:
        rows = dict.fromkeys((record.spec.dataset, record.configuration) for record in records)
        return [draw.choice([r for r in records if (r.spec.dataset, r.configuration) == row]) for row in rows]
    return draw.sample(list(records), min(options.sample or 1, len(records)))


def _named(records: Sequence[TrialRecord], name: str) -> TrialRecord:
    found = [record for record in records if record.identifier.startswith(name)]
    if len(found) != 1:
        many = f"{len(found)} trials begin so" if found else "there is none"
        raise StageError(f"trial {name!r}: {many} among the {len(records)} of the report.")
    return found[0]


def require_data(records: Sequence[TrialRecord], data: Path, carried: Path) -> None:
    """Raises StageError if the data of one of the trials are not those on record, naming the images."""
    seen = set()
    for record in records:
        key = record.spec.dataset, record.spec.image_size, record.spec.split, record.spec.filtered
        if key not in seen and (differences := data_differences(record, data, carried)):
            listed = "\n  ".join(differences)
            raise StageError(
                f"The data in {data} are not those that trial {record.identifier} was trained on:\n  {listed}\n"
                "Nothing was trained. Fetch, split and filter by the record's parameters (its `preparation`)."
            )
        seen.add(key)
