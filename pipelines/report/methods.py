"""The methods in short: what all trials of a study have in common, and on what they ran."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from dmf.training.spec import TrialSpec
from pipelines.report import environments, pairing
from pipelines.report.layout import Layout, repeat_of, repeats_text, value_label
from pipelines.report.names import printed
from pipelines.trials.record import TrialRecord


def summarise(records: Sequence[TrialRecord], layout: Layout, missing: int = 0) -> dict[str, str]:
    """The methods in short: every field of the specs that is no axis of the tables, and on what the trials ran;
    `missing` of them have not finished.
    """
    first, last = (choose(record.started for record in records)[:16].replace("T", " ") for choose in (min, max))
    machines = environments.nodes(records)
    fields = [f.name for f in dataclasses.fields(TrialSpec) if f.name not in ("dataset", "seed", *layout.axes)]
    shared = {printed(name): [value_label(record.spec, name) for record in records] for name in fields}
    for axis, parameters in layout.common.items():
        shared[f"{printed(axis)}, in common"] = [", ".join(f"{name}={value}" for name, value in parameters.items())]
    shared["Code version"] = [record.code_version for record in records]
    shared |= environments.methods(records)
    if adopted := sum(bool(record.adopted) for record in records):
        shared["Carried over a change of code"] = [
            f"{adopted} trials, by `pipelines.adopt`: their records say by which sample"
        ]
    return {
        "Trials": f"{len(records)} of {len(records) + missing} trials finished"
        if missing
        else f"{len(records)} trials finished, all that the study asks for: {_asked(layout)}",
        "Training time": f"{duration(sum(record.seconds for record in records))} summed over trials on {machines} "
        f"machine{'s' if machines > 1 else ''}, started between {first} and {last} (UTC)",
        "Pairing": "a seed fixes initial weights and order of batches for all configurations alike; "
        + _dealt(layout)
        + "".join(f"; {said}" for said in [pairing.sentence(records)] if said),
        **{name: "; ".join(dict.fromkeys(values)) for name, values in shared.items()},
    }


def _asked(layout: Layout) -> str:
    """Such as: 2 data sets × 3 configurations × 5 seeds; of each data set where they differ."""
    found = {}
    for dataset, rows in layout.rows.items():
        repeats = dict.fromkeys(repeats_text([record.spec for record in row.records]) for row in rows)
        found[dataset] = f"{len(rows)} configurations × {' or '.join(repeats)}"
    if len(set(found.values())) > 1:
        return "; ".join(f"on {dataset} {asked}" for dataset, asked in found.items())
    return f"{len(found)} data set{'s' if len(found) > 1 else ''} × {found[layout.datasets[0]]}"


def _dealt(layout: Layout) -> str:
    """On which images the trials of a configuration were trained and tested."""
    trials = [[record.spec for record in row.records] for rows in layout.rows.values() for row in rows]
    if any(repeat_of(spec)[1] for specs in trials for spec in specs):
        return "each fold tests on images of its own, the same for all configurations"
    if any(len({spec.split for spec in specs}) > 1 for specs in trials):
        return (
            "the images are dealt anew for each seed, alike for all configurations, so the spread tells how much "
            "another split changes"
        )
    return (
        "the split is the same in all trials of a configuration, so the spread does not tell how much another split "
        "would change"
    )


def duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 120 else f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
