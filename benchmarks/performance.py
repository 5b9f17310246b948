"""Write the tables of `docs/performance.md` from benchmarks/results/: `python -m benchmarks.performance`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.audit.tables import Table, insert

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"
RESULTS = Path(__file__).parent / "results"


def throughput(results: dict[str, Any]) -> Table:
    header = ("size", "who", "trainings an hour", "times the script", "mean test Dice", "largest difference")
    rows = [
        (
            row["size"],
            who,
            f"{rate:.0f}",
            f"{row['times_the_script'][who]:.2f}",
            f"{row['test_dice'][who]:.3f}",
            f"{row['largest_dice_difference_by_seed'][who]:.3f}",
        )
        for row in results["rows"]
        for who, rate in row["trainings_per_hour"].items()
    ]
    return Table(header, [*rows, (_load(results), "", "", "", "", "")])


def _load(results: dict[str, Any]) -> str:
    """How many processes wanted the machine at the end of a benchmark: 2 where nothing else ran on two cores."""
    return f"load of the machine: {results['machine'].get('load', 'unknown')}"


def roofline(results: dict[str, Any]) -> Table:
    step = results["step"]
    header = (
        f"a step: {step['gflop']:.0f} GFLOP, {step['gigabytes']:.1f} GB, {step['kernels']:.0f} kernels",
        *(row["gpu"] for row in results["bounds"]),
    )
    rows = [
        (
            f"bound by {name}",
            *(f"{row[f'{name}_ms']:.2f} ms; the grid {row[f'{name}_minutes']:.1f} min" for row in results["bounds"]),
        )
        for name in ("arithmetic", "memory", "launches")
    ]
    kernels = f"kernels of losses, weighting and recording: {step['kernels_of_losses_and_weighting']:.0f}"
    return Table(header, [(kernels, *[""] * (len(header) - 1)), *rows])


def packing(results: dict[str, Any]) -> Table:
    header = (
        "trials",
        "at a time",
        "ms an epoch of one",
        "trainings of 100 epochs an hour",
        "the paper's grid, hours*",
    )
    rows = [
        (row["trials"], str(row["at_a_time"]), "failed", row["failed"].splitlines()[0], "")
        if "failed" in row
        else (
            row["trials"],
            str(row["at_a_time"]),
            f"{row['milliseconds_an_epoch_of_one']:.1f}",
            f"{row['trainings_of_100_epochs_an_hour']:.0f}",
            f"{row['hours_of_the_papers_grid_extrapolated']:.2f}",
        )
        for row in results["rows"]
    ]
    size = results["setting"]
    note = f"\\* extrapolated, at {size['image_size']} pixels and {size['base_filters']} filters, from its epochs"
    return Table(header, [*rows, (note, _load(results), "", "", "")])


def loading(results: dict[str, Any]) -> Table:
    header = (
        "precision",
        "batches from",
        "ms to make a batch",
        "of the quickest step",
        "ms a step, fed by it",
    )
    rows = [
        (
            precision,
            name,
            f"{row['loading ms']:.1f}" if "loading ms" in row else "in other processes",
            f"{row['share']:.2%}" if "share" in row else "",
            f"{row['step ms']:.0f}",
        )
        for precision, cases in results["cases"].items()
        for name, row in cases.items()
    ]
    return Table(header, [*rows, (_load(results), "", "", "", "")])


def losses(results: dict[str, Any]) -> Table:
    names = list(results["cases"][0]["rivals"])
    rows = [
        (
            f"{case['batch']}, {case['classes']} classes, {case['logits'].replace('_format', '').replace('_', ' ')}",
            *(f"{row['milliseconds']:.1f} ({row['times cross-entropy']:.1f})" for row in case["rivals"].values()),
            " / ".join(f"{case['rivals'][name]['megabytes']:.0f}" for name in ("six fused", names[0])),
        )
        for case in results["cases"]
    ]
    header = ("logits", *names, f"MB: six fused / {names[0]}")
    return Table(header, [*rows, (_load(results), *[""] * (len(header) - 1))])


def weightings(results: dict[str, Any]) -> Table:
    (shares,) = (rows for name, rows in results.items() if name.startswith("share_of_a_unet_step"))
    share = {row["weighting"]: f"{row['share']:.2%}" for row in shares}
    spent: dict[str, dict[str, str]] = {}
    for row in results["by_history_length"]:
        name, _, length = row["weighting"].rpartition(" ")
        if not length.isdigit():
            name, length = row["weighting"], "no history"
        spent.setdefault(name, {})[length] = f"{row['microseconds']:.0f}"
    lengths = list(dict.fromkeys(length for row in spent.values() for length in row))
    rows = [(name, *(row.get(length, "") for length in lengths), share.get(name, "")) for name, row in spent.items()]
    return Table(("µs a step of", *lengths, "of the U-Net's step"), rows)


def graphs(results: dict[str, Any]) -> Table:
    header = ("weighting", "a step, taken", "ms", "losses and weighting, ms", "share", "s until it runs")
    rows = [
        (
            row["weighting"],
            row["way"],
            f"{row['step_ms']:.2f}",
            f"{row['losses_and_weighting_ms']:.2f}",
            f"{row['share']:.1%}",
            f"{row['until_it_runs_s']:.1f}",
        )
        for row in results["rows"]
    ]
    size, machine = results["setting"], results["machine"]
    note = f"{size['image_size']} pixels, {size['base_filters']} filters, batches of {size['batch_size']}"
    return Table(header, [*rows, (note, f"{machine['device']}; {_load(results)}", "", "", "", "")])


TABLES = {
    "throughput": ("throughput.json", throughput),
    "losses": ("losses.json", losses),
    "weightings": ("weightings.json", weightings),
    "loading": ("loading.json", loading),
    "roofline": ("roofline.json", roofline),
    "packing-cpu": ("packing_cpu.json", packing),
    "packing-cuda": ("packing_cuda.json", packing),
    "graphs-cpu": ("graphs_cpu.json", graphs),
    "graphs-cuda": ("graphs_cuda.json", graphs),
}


def filled(document: str) -> str:
    """The document with a table of each result that is there."""
    for name, (file, table) in TABLES.items():
        if (RESULTS / file).is_file():
            document = insert(document, name, table(json.loads((RESULTS / file).read_text())))
    return document


def main() -> None:
    DOCUMENT.write_text(filled(DOCUMENT.read_text()))


if __name__ == "__main__":
    main()
