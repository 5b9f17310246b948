"""The paper's figures 1 to 3: what the images are, what they hold, and what each kind of model finds."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import NullLocator

from dmf.metrics import PROTOCOLS
from pipelines.datasets.readers.meaning import VOID, foreground
from pipelines.pages.drawing import INK, Picture, new_grid, save, styled
from pipelines.report.data import DataFacts
from pipelines.report.layout import Layout, Row
from pipelines.trials.columns import ImageColumns
from pipelines.trials.record import PREDICTIONS, TrialRecord

SAMPLES = 4
MOST_MODELS = 6
SELECTING = tuple(name for name, protocol in PROTOCOLS.items() if protocol.selects)
FOUND = "#56b4e9"
TRUTH = "#ffd92f"
UNKNOWN = "#9aa0a6"


@styled
def draw_panel(layout: Layout, facts: DataFacts, folder: Path) -> Picture | None:
    """Original, filtered, truth and the predictions of the best model of each block, on four test images.

    A block's model is its trial with the highest validation CB-Dice under the reference protocol, the paper's choice.
    The images stand at evenly spaced ranks of difficulty (mean Dice over all trials), the hardest first.
    """
    rows = layout.rows[facts.name]
    if not all((record.folder / PREDICTIONS).is_file() for row in rows for record in row.records):
        return None
    chosen = best_of_blocks(rows)
    samples = _samples(rows, [record for _, record in chosen], facts)
    columns = 3 + len(chosen)
    figure, grid = new_grid(len(samples), columns, width=1.25, height=1.27)
    for line, index in zip(grid, samples, strict=True):
        truth = middle(foreground(facts.truths[index]))
        original, filtered = (as_shown(pictures[index]) for pictures in (facts.originals, facts.filtered))
        for axes, picture in zip(line, (original, filtered), strict=False):
            show(axes, picture)
        show(line[2], original // 2)
        _fill(line[2], truth, TRUTH)
        _fill(line[2], middle(facts.truths[index] == VOID), UNKNOWN)
        for axes, (_, record) in zip(line[3:], chosen, strict=True):
            show(axes, original)
            _outline(axes, truth)
            if index in record.predictions:
                _fill(axes, middle(record.predictions[index] > 0), FOUND)
                _note(axes, f"Dice {100 * _dice(record)[facts.cases[index]]:.0f}")
            else:
                _note(axes, "not a test image")
    titles = ["original", "filtered", "truth", *(title for title, _ in chosen)]
    for axes, letter, title in zip(grid[0], "abcdefghijklmnop", titles, strict=False):
        axes.set_title(textwrap.fill(textwrap.shorten(f"{letter}  {title}", 66, placeholder=" ..."), 17), fontsize=7.5)
    models = "; ".join(
        f"({letter}) {record.configuration}, seed {record.spec.seed}"
        for letter, (_, record) in zip("defghijklmnop", chosen, strict=False)
    )
    void = " and what counts nowhere in grey" if facts.has_void else ""
    return save(
        figure,
        folder,
        f"{facts.name}_panel",
        heading="What the models find",
        caption=(
            f"(a) original, (b) bilaterally filtered, (c) true mask in yellow{void}; then predictions in blue with the "
            f"outline of the truth in yellow: {models}. Each is the trial of its group with the best validation "
            "CB-Dice (reference protocol). Images at evenly spaced ranks of mean Dice over all trials, hardest first: "
            f"{', '.join(facts.cases[index] for index in samples)}. The paper's figures 1 to 3."
        ),
        alternative=(
            f"Grid of {len(samples)} test images of {facts.title} by {columns} pictures: original, filtered, true mask "
            f"and the predicted masks of {len(chosen)} models."
        ),
    )


def best_of_blocks(rows: Sequence[Row]) -> list[tuple[str, TrialRecord]]:
    """Title and best trial of each block, in the table's order; of more than MOST_MODELS the baseline and the best.

    Where the table has one column of labels, each of its rows counts as a block. In a cross-validation the trials of
    the first fold stand for all, so that the models are asked about the same images.
    """
    blocks: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        blocks.setdefault(row.block or row.labels, []).append(row)
    best: list[tuple[str, TrialRecord]] = []
    for members in blocks.values():
        candidates = (r for row in members for r in row.records if r.spec.split == row.spec.split)
        record = max(candidates, key=selection_score)
        best.append((_title(members[0]), record))
    baseline = [pair for pair, members in zip(best, blocks.values(), strict=True) if members[0].baseline]
    others = sorted((pair for pair in best if pair not in baseline), key=lambda pair: -selection_score(pair[1]))
    kept = [*baseline, *others][:MOST_MODELS]
    return [pair for pair in best if pair in kept]


def selection_score(record: TrialRecord) -> float:
    """Validation CB-Dice under the task's first protocol; a model whose score is no number comes last."""
    first = next((record.validation[name] for name in SELECTING if name in record.validation), {})
    score = first.get("cb_dice", float("nan"))
    return score if np.isfinite(score) else -1.0


def _title(row: Row) -> str:
    if row.baseline:
        return " ".join([*(label for label in row.labels if label != "None"), "(baseline)"])
    label = " ".join(row.block or row.labels)
    return "no auxiliary" if label == "None" else label


def _samples(rows: Sequence[Row], chosen: Sequence[TrialRecord], facts: DataFacts) -> list[int]:
    """Places of images that all chosen models were tested on; of any, where their test sets share none."""
    dice = pd.DataFrame([_dice(record) for row in rows for record in row.records]).mean()
    index = {name: place for place, name in enumerate(facts.cases)}
    shared = [name for name in dice.index if all(index[name] in record.predictions for record in chosen)]
    ranked = sorted(shared or dice.index, key=lambda name: (dice[name], name))
    count = min(SAMPLES, len(ranked))
    return [index[ranked[int((place + 0.5) / count * len(ranked))]] for place in range(count)]


def _dice(record: TrialRecord) -> dict[str, float]:
    return dict(zip(record.images[ImageColumns.image], record.images["dice"].astype(float), strict=True))


def middle(stack: np.ndarray) -> np.ndarray:
    """The middle slice of a volume (D, H, W); a picture (H, W) as it is."""
    return stack if stack.ndim == 2 else stack[len(stack) // 2]


def as_shown(image: np.ndarray) -> np.ndarray:
    """What can be shown of an image (C, *spatial): colours (H, W, 3), or the first of other channels (H, W)."""
    planes = np.stack([middle(channel) for channel in image])
    return np.moveaxis(planes, 0, -1) if len(planes) == 3 else planes[0]


def show(axes: Axes, picture: np.ndarray) -> None:
    """A picture (H, W) or (H, W, 3) without ticks or frame."""
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, extent=(0, 1, 1, 0), interpolation="nearest")
    axes.xaxis.set_major_locator(NullLocator())
    axes.yaxis.set_major_locator(NullLocator())
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _fill(axes: Axes, mask: np.ndarray, colour: str) -> None:
    layer = np.zeros((*mask.shape, 4))
    layer[mask] = (*to_rgb(colour), 0.55)
    axes.imshow(layer, extent=(0, 1, 1, 0), interpolation="nearest")


def _outline(axes: Axes, mask: np.ndarray) -> None:
    """Outline of a mask; padded, so that a lesion at the border is closed too. An empty mask has none."""
    if not mask.any():
        return
    height, width = mask.shape
    y, x = (np.arange(-1, side + 1) + 0.5 for side in (height, width))
    axes.contour(x / width, y / height, np.pad(mask, 1).astype(float), levels=[0.5], colors=[TRUTH], linewidths=0.9)
    axes.set_xlim(0, 1)
    axes.set_ylim(1, 0)


def _note(axes: Axes, text: str) -> None:
    box = {"facecolor": INK, "edgecolor": "none", "alpha": 0.65, "pad": 1.2}
    axes.text(0.04, 0.05, text, color="white", fontsize=6, va="bottom", transform=axes.transAxes, bbox=box)
