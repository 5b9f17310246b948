"""Whether trials that are compared seed by seed had the same beginning, the same batches and the same augmentation."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

from pipelines.trials.digests import PAIRED
from pipelines.trials.record import TrialRecord

DECIDE = (
    *("dataset", "split", "image_size", "filtered", "model", "model_params", "seed"),
    *("epochs", "batch_size", "augmentation"),
)
"""Fields on which those three depend; trials that agree in them are to agree in their digests."""

Groups = dict[str, list[TrialRecord]]


def groups_of(records: Sequence[TrialRecord]) -> Groups:
    """Trials that should have those three in common; a trial that stands for another one is there once."""
    groups: defaultdict[str, dict[str, TrialRecord]] = defaultdict(dict)
    for record in records:
        key = json.dumps([getattr(record.spec, name) for name in DECIDE], default=dict, sort_keys=True)
        groups[key][record.identifier] = record
    return {key: [*group.values()] for key, group in groups.items()}


def sentence(records: Sequence[TrialRecord]) -> str:
    """For the methods: what was compared, and that it agrees; empty where it does not, or nothing is paired."""
    paired = [group for group in groups_of(records).values() if len(group) > 1]
    if not paired or warning(records):
        return ""
    return f"digests say that they did, in all {len(paired)} groups of them ({sum(map(len, paired))} trials)"


def warning(records: Sequence[TrialRecord]) -> str:
    """One sentence for a reader where paired trials differ in what they are to have in common; else empty."""
    broken = []
    for group in groups_of(records).values():
        for name in PAIRED:
            found = {getattr(record.digests, name): record for record in group}
            if len(found) > 1:
                one, other = [*found.values()][:2]
                broken.append(f"{name.replace('_', ' ')} of {one.identifier} and {other.identifier}")
    if not broken:
        return ""
    more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
    return f"Trials that are compared in pairs differ in more than their losses and weighting: {broken[0]}{more}."
