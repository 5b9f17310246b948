"""Which classes are taken for which, and the images that were hardest to name."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pipelines.pages.drawing import INK, Picture, new_grid, save, styled
from pipelines.report.data import DataFacts
from pipelines.report.layout import Layout
from pipelines.report.panel import as_shown, best_of_blocks, show
from pipelines.trials.columns import ImageColumns

COLUMNS = 3
LONGEST = 14
SAMPLES = 8


@styled
def draw_confusion(layout: Layout, facts: DataFacts, folder: Path) -> Picture | None:
    """Confusion matrices of the best model of each block; None for two classes of pixels, whose table says it all."""
    if facts.task == "segmentation" and len(facts.classes) == 2:
        return None
    chosen = best_of_blocks(layout.rows[facts.name])
    columns = min(COLUMNS, len(chosen))
    side = 1.5 + 0.42 * len(facts.classes)
    figure, grid = new_grid(-(-len(chosen) // columns), columns, width=side, height=side)
    for axes, (title, record) in zip(grid.flat, chosen, strict=False):
        _draw_matrix(axes, np.array(record.confusion), facts.classes)
        axes.set_title(textwrap.fill(textwrap.shorten(title, 130, placeholder=" ..."), 26), fontsize=8.5)
    for axes in grid.flat[len(chosen) :]:
        axes.set_axis_off()
    unit = "images" if facts.task == "classification" else "pixels"
    models = "; ".join(f"{record.configuration}, seed {record.spec.seed}" for _, record in chosen)
    return save(
        figure,
        folder,
        f"{facts.name}_confusion",
        heading="Confusion matrices",
        caption=(
            f"Test {unit} of each true class (row) by predicted class (column); colour and number are the share of the "
            f"row in percent. The trial of each group with the best validation CB-Dice: {models}."
        ),
        alternative=f"Confusion matrices of {len(chosen)} models over {', '.join(facts.classes)}.",
    )


@styled
def draw_gallery(layout: Layout, facts: DataFacts, folder: Path) -> Picture | None:
    """Test images at evenly spaced ranks of difficulty with their true class and what the best model says of them."""
    records = [record for row in layout.rows[facts.name] for record in row.records]
    _, best = max(best_of_blocks(layout.rows[facts.name]), key=lambda pair: pair[1].validation["macro"]["cb_dice"])
    confidence = pd.concat(
        [record.images.set_index(ImageColumns.image)["probability"] for record in records], axis=1
    ).mean(axis=1)
    own = [name for name in best.images[ImageColumns.image] if name in confidence.index]
    ranked = sorted(own, key=lambda name: (confidence[name], name))
    count = min(SAMPLES, len(ranked))
    samples = [ranked[int((place + 0.5) / count * len(ranked))] for place in range(count)]
    index = {name: place for place, name in enumerate(facts.cases)}
    columns = min(4, count)
    figure, grid = new_grid(-(-count // columns), columns, width=1.7, height=2.1)
    for axes, name in zip(grid.flat, samples, strict=False):
        place = index[name]
        show(axes, as_shown(facts.originals[place]))
        true, found = int(facts.truths[place]), int(best.predictions[place])
        verdict = "right" if true == found else f"taken for {_short(facts.classes[found])}"
        axes.set_title(f"{_short(facts.classes[true])}\n{verdict}, {100 * confidence[name]:.0f} %", fontsize=7.5)
    for axes in grid.flat[count:]:
        axes.set_axis_off()
    return save(
        figure,
        folder,
        f"{facts.name}_gallery",
        heading="What is hard to name",
        caption=(
            f"Test images at evenly spaced ranks of difficulty, hardest first: true class, what {best.configuration} "
            f"(seed {best.spec.seed}) takes it for, and the mean probability that all trials give the true class. "
            f"Images: {', '.join(samples)}."
        ),
        alternative=f"{count} test images of {facts.title} with true and predicted class.",
    )


def _draw_matrix(axes: Axes, counts: np.ndarray, classes: tuple[str, ...]) -> None:
    totals = counts.sum(axis=1, keepdims=True)
    share = 100 * np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(share):
        colour = "white" if value > 60 else INK
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7.5, color=colour)
    names = [_short(name) for name in classes]
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True")
    axes.grid(visible=False)


def _short(name: str) -> str:
    return textwrap.shorten(name.replace("_", " "), LONGEST, placeholder="...")
