"""What the committed reports say, as the document needs it: scores and differences in percentage points."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from benchmarks.harness.script import RESULTS, read
from pipelines.core.console import StageError
from pipelines.datasets.catalogue import load_catalogue
from pipelines.trials.bundle import FOLDER, unpacked
from pipelines.trials.record import DONE
from tune_spaces import Study, load_study

WEIGHTINGS, LEAKAGE = "weightings_busi", "leakage_small"
GRIDS = ("dmf_busi", "dmf_bus_bra")
"""DMF's grid in three fidelities, on two data sets."""

ADAPT_EXP = ("adapt_exp_small", "adapt_exp_ablation_small", "adapt_exp_noise_small", "adapt_exp_folds_small")
OTHERS = ("adaptive_focal_small", *ADAPT_EXP, "loss_ngrams_small", "activations_small", "fusion_parameters_small")
"""Small studies of the other papers' claims."""

STUDIES = (WEIGHTINGS, *GRIDS, LEAKAGE, *OTHERS)
SCORE = ("per_image", "dice")
"""What trainings are compared by: mean over test images of the lesion's Dice."""

CLEAR = 0.05


@dataclass(frozen=True)
class Report:
    """A committed report: its tables, and what its records say of how it was made."""

    study: Study
    folder: Path

    @classmethod
    def of(cls, name: str, reports: Path) -> Report:
        folder = reports / name
        if not (folder / "tables").is_dir():
            raise StageError(f"{folder} has no report. Train and report its study first: `dvc repro -S study={name}`.")
        return cls(load_study(name), folder)

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.folder / "tables" / f"{name}.csv")

    def headline(self, name: str) -> dict[str, dict[str, Any]]:
        """The rows of a table that are about the score of test images, by configuration."""
        rows: list[dict[Any, Any]] = self.table(name).fillna({"auxiliary": "None"}).to_dict("records")
        wanted = (row for row in rows if (row["protocol"], row["metric"], row.get("split", "test")) == (*SCORE, "test"))
        return {row["configuration"]: row for row in wanted}

    @property
    def data(self) -> str:
        """What its data set is called."""
        return load_catalogue()[self.study.datasets[0]].title.partition(",")[0]

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        with unpacked(self.folder) as carried:
            return [json.loads(path.read_text()) for path in sorted(carried.glob(f"{FOLDER}/*/{DONE}"))]

    @property
    def size(self) -> dict[str, Any]:
        """Of its trainings: what was scaled down."""
        spec, steps = self.records[0]["spec"], {record["steps_per_epoch"] for record in self.records}
        networks = [record["spec"]["model_params"] for record in self.records]
        filters = {params["base_filters"] for params in networks if "base_filters" in params}
        return {
            "study": self.study.name,
            "seeds": self.study.seeds,
            "pixels": spec["image_size"],
            "filters": " or ".join(map(str, sorted(filters))) or "–",
            "epochs": spec["epochs"],
            "steps": max(steps) * spec["epochs"],
            "trainings": len(self.records),
            "hours": sum(record["seconds"] for record in self.records) / 3600,
        }


@dataclass(frozen=True)
class Against:
    """A configuration beside the baseline: difference with its 95 % interval, Holm-corrected p of the paired t test,
    probability of a lead that matters, and what a training takes beside one of the baseline.
    """

    name: str
    mean: float
    std: float
    difference: float
    low: float
    high: float
    p: float
    better: float
    worse: float
    time: float

    @property
    def clear(self) -> bool:
        return self.p < CLEAR

    @property
    def told(self) -> str:
        """The name without what rows of its kind share: the scale of the weights, the length of the memory."""
        parts = [re.sub(r"(scale=\w+|history_size(_max)?=\d+)(, )?", "", part) for part in self.name.split(" · ")]
        return " · ".join(filter(None, parts))


def against_baseline(report: Report) -> list[Against]:
    """Every configuration but the baseline, the best first."""
    scores, told = report.headline("summary"), report.headline("statistics")
    seconds = _seconds(report)
    (base,) = (name for name, row in scores.items() if row["baseline"])
    rows = [
        Against(
            name=name,
            mean=100 * scores[name]["mean"],
            std=100 * scores[name]["std"],
            difference=row["mean"],
            low=row["low"],
            high=row["high"],
            p=row["p_holm_t"],
            better=told[name]["better"],
            worse=told[name]["worse"],
            time=seconds[name] / seconds[base],
        )
        for name, row in report.headline("comparisons").items()
    ]
    return sorted(rows, key=lambda row: -row.difference)


def _seconds(report: Report) -> Mapping[str, float]:
    """Median seconds of a training, by configuration; trials that stand in several rows count in each."""
    by_trial = {record["identifier"]: record["seconds"] for record in report.records}
    scores = report.table("scores")[["configuration", "identifier"]].drop_duplicates()
    return {
        str(name): median(by_trial[identifier] for identifier in identifiers)
        for name, identifiers in scores.groupby("configuration")["identifier"]
    }


def versus_tuned(report: Report) -> dict[str, Any]:
    rows = against_baseline(report)
    equal = next(row for row in rows if row.name == _equal_weights(report))
    (tuned,) = (row for row in report.headline("summary").values() if row["baseline"])
    (searched,) = (row for row in report.table("cost").to_dict("records") if row["search_trials"] > 0)
    return {
        "rows": rows,
        "best": rows[0],
        "equal": equal,
        "same": [row for row in rows if row != equal and row.mean == equal.mean and row.low == equal.low],
        "ahead": [row for row in rows if row.clear and row.difference > 0],
        "behind": [row for row in rows if row.clear and row.difference < 0],
        "open": [row for row in rows if not row.clear],
        "tuned": searched | {"mean": 100 * tuned["mean"], "std": 100 * tuned["std"]},
        "search_times": searched["total_seconds"] / searched["seconds"],
        "reach": median((row.high - row.low) / 2 for row in rows),
        "margin": 100 * report.study.equivalence,
    }


def _equal_weights(report: Report) -> str:
    """The configuration of fixed, equal weights."""
    return next(
        record["configuration"]
        for record in report.records
        if record["spec"]["weighting"] == "fixed" and "weights" not in record["spec"]["weighting_params"]
    )


def zero_gradients(report: Report) -> dict[str, Any]:
    """Rows of the reference fidelity: which auxiliary losses gave the very same test scores, seed by seed."""
    scores = report.table("scores").fillna({"auxiliary": "None"})
    scores = scores[scores["split"] == "test"].sort_values(["seed", "protocol", "metric"])
    summary = report.headline("summary").values()
    rows = []
    for weighting in ("Variance", "MAD", "Bayesian"):
        chosen = scores[(scores["fidelity"] == "Reference") & (scores["weighting"] == weighting)]
        paper, reference = (
            [row for row in summary if (row["weighting"], row["fidelity"]) == (weighting, fidelity)]
            for fidelity in ("Paper", "Reference")
        )
        means = [row["mean"] for row in paper]
        rows.append(
            {
                "weighting": weighting,
                "auxiliaries": chosen["auxiliary"].nunique(),
                "outcomes": len({tuple(values) for _, values in chosen.groupby("auxiliary")["value"]}),
                "mean": 100 * reference[0]["mean"],
                "std": 100 * reference[0]["std"],
                "paper": 100 * max(means),
                "range": 100 * (max(means) - min(means)),
            }
        )
    against = against_baseline(report)
    return {
        "data": report.data,
        "picture": f"../reports/{report.study.name}/figures/{report.study.datasets[0]}_differences.png",
        "rows": rows,
        "trainings": sum(row["auxiliaries"] for row in rows),
        "outcomes": sum(row["outcomes"] for row in rows),
        "told_apart": [row for row in against if row.clear],
        "others": len(against),
        "best": against[0],
        "auxiliary": max(row["range"] for row in rows),
    }


def leakage(results: Mapping[str, Any]) -> dict[str, Any]:
    """What a relative in train is worth, beside what repeated pictures are worth where no relative is in train."""
    dice = {(row["split"], row["test_images"]): 100 * row["dice"] for row in results["per_image"]}
    leaked = dice["random", "with a relative in train"] - dice["random", "without one"]
    control = dice["grouped", "of a repeated picture"] - dice["grouped", "of a single picture"]
    return {
        "rows": [row | {"dice": 100 * row["dice"], "std": 100 * row["std"]} for row in results["per_image"]],
        "leaked": leaked,
        "control": control,
        "worth": leaked - control,
        "whole": dice["random", "all"] - dice["grouped", "all"],
    }


def printed(report: Report) -> dict[str, Any]:
    """The paper's first table beside ours, in the score that it calls Dice."""
    table = report.table("table_1")
    dice = table[table["column"] == "Dice"]
    return {
        "cells": len(table),
        "broken": int(table["breaks"].notna().sum()),
        "ours": (dice["ours"].min(), dice["ours"].max()),
        "printed": (dice["printed"].min(), dice["printed"].max()),
        "gap": -median(dice["difference"]),
    }


def claims(report: Report) -> dict[str, Any]:
    rows = report.table("claims").to_dict("records")
    kinds = ("supported", "contradicted", "undecided", "not tested")
    count = {kind: sum(row["verdict"] == kind for row in rows) for kind in kinds}
    told = ", ".join(f"{number} {kind}" for kind, number in count.items() if number)
    return {"data": report.data, "study": report.study.name, "rows": rows, "told": told}


def evidence(reports: Path) -> dict[str, Any]:
    """All that docs/findings.md is written from."""
    made = {name: Report.of(name, reports) for name in STUDIES}
    ours = [claims(made[name]) for name in GRIDS]
    return {
        "weightings": versus_tuned(made[WEIGHTINGS]),
        "grids": [zero_gradients(made[name]) for name in GRIDS],
        "leakage": leakage(read(RESULTS / f"{LEAKAGE}.json")),
        "printed": printed(made[GRIDS[0]]),
        "claims": ours,
        "by_claim": list(zip(*(one["rows"] for one in ours), strict=True)),
        "others": [claims(made[name]) for name in OTHERS],
        "paper": load_study("dmf"),
        "sizes": [report.size for report in made.values()],
    }
