"""What the metrics of the notebook report, beside the score of the lesion in each image."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.harness.tables import Table
from dmf.metrics import confusion_counts, summarise

PRINTED = Path(__file__).resolve().parents[2] / "pipelines/papers/published/dmf.csv"
SHOWN = ("dice", "iou", "f1", "precision", "recall", "cb_dice")


def example() -> Tensor:
    """Counts of 32 round lesions of 6 to 36 pixels in radius at 128 px: found 3 pixels beside their place and a fifth
    too wide, the smallest not at all."""
    rows, columns = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
    radii = torch.linspace(6, 36, 32)[:, None, None]
    target = (rows - 64) ** 2 + (columns - 64) ** 2 < radii**2
    prediction = (rows - 64) ** 2 + (columns - 67) ** 2 < (1.2 * radii) ** 2
    prediction[0] = False
    return confusion_counts(prediction.long(), target.long(), 2)


def protocols() -> Table:
    """The same predictions in three protocols."""
    counts = example()
    rows = []
    for protocol in ("reference", "pooled", "per_image"):
        summary = summarise(counts, protocol)
        rows.append([f"`{protocol}`", *(f"{summary[name]:.3f}" for name in SHOWN)])
    return Table(["protocol", *SHOWN], rows)


def background() -> Table:
    """How a lesion Dice of 0.80 reads once the background counts as a class, by the lesion's share of the image."""
    rows = []
    for share in (0.01, 0.05, 0.10, 0.20):
        pixels = 100_000
        lesion = round(share * pixels)
        hit = round(0.8 * lesion)
        missed = lesion - hit
        right_background = pixels - lesion - missed
        counts = torch.tensor([[(right_background, missed, missed, hit), (hit, missed, missed, right_background)]])
        summary = summarise(counts, "reference")
        lesion_dice = summarise(counts, "pooled")["dice"]
        rows.append([f"{share:.0%}", f"{lesion_dice:.3f}", f"{summary['dice']:.3f}", f"{summary['cb_dice']:.3f}"])
    return Table(["lesion's share of the image", "lesion Dice", "reference Dice", "reference CB-Dice"], rows)


def empty() -> Table:
    """A perfect prediction of images without a lesion."""
    nothing = torch.zeros(4, 64, 64, dtype=torch.int64)
    counts = confusion_counts(nothing, nothing, 2)
    rows = []
    for protocol in ("reference", "per_image"):
        summary = summarise(counts, protocol)
        rows.append([f"`{protocol}`", *(f"{summary[name]:.3f}" for name in SHOWN)])
    return Table(["protocol", *SHOWN], rows)


def published() -> Table:
    """What the paper's own tables say about how they were computed, and about the lesion.

    With D the mean of two classes' Dice and CB their mean weighted by (22), r the lesion's share of the pixels:
    lesion Dice = (CB - 2 r D) / (1 - 2 r).
    """
    tables: dict[str, dict[tuple[str, str], dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    with PRINTED.open(newline="") as file:
        for row in csv.DictReader(file):
            configuration = (row["weighting"], row["auxiliary"])
            tables[row["dataset"]][configuration][row["metric"]] = float(row["mean"]) / 100
    rows = []
    for dataset, configurations in tables.items():
        scores = list(configurations.values())
        differs = sum(score["f1"] != score["dice"] for score in scores)
        best = max(scores, key=lambda score: score["dice"])
        dice, balanced = best["dice"], best["cb_dice"]
        lesion = [(balanced - 2 * share * dice) / (1 - 2 * share) for share in (0.15, 0.05)]
        between = f"{100 * min(lesion):.1f} to {100 * max(lesion):.1f}"
        rows.append([dataset, f"{differs} of {len(scores)}", f"{100 * dice:.1f}", f"{100 * balanced:.1f}", between])
    return Table(["data set", "F1 is not Dice", "printed Dice", "printed CB-Dice", "lesion Dice behind them"], rows)
