"""One look for all figures, and files that come out the same byte for byte."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

DPI = 144
INK = "#1f2328"
FAINT = "#8c959f"

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
    "svg.hashsalt": "dmf",
}


@dataclass(frozen=True)
class Picture:
    """A figure on disk as <name>.png and <name>.pdf, with what a reader and a screen reader need to know."""

    name: str
    heading: str
    caption: str
    alternative: str
    width: int
    height: int


def save(figure: Figure, folder: Path, name: str, *, heading: str, caption: str, alternative: str) -> Picture:
    """Write PNG (256 colours, for a small repository) and PDF, without dates or program versions."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = io.BytesIO()
    figure.savefig(pixels, dpi=DPI, format="png")
    with Image.open(pixels) as image:
        width, height = image.size
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(folder / f"{name}.png", optimize=True)
    figure.set_layout_engine("none")  # laid out already; once is slow enough
    figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None})
    return Picture(name, heading, caption, alternative, width, height)


def new_grid(rows: int, columns: int, *, width: float, height: float, **options: Any) -> tuple[Figure, np.ndarray]:
    """A figure of rows x columns axes, each width x height inches."""
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def styled(draw: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorator: run a drawing function in the house style."""

    @functools.wraps(draw)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapped


def label_bottoms(grid: np.ndarray, text: str) -> None:
    """Name the horizontal axis and show its numbers on the lowest drawn axes of every column."""
    for column in grid.T:
        lowest = [axes for axes in column if axes.axison][-1]
        lowest.set_xlabel(text)
        lowest.tick_params(labelbottom=True)


def label_ends(
    axes: Axes,
    ends: Mapping[str, tuple[float, float]],
    colours: Mapping[str, str],
    *,
    room: float,
    reserve: bool,
) -> None:
    """Write each line's name beside its end, moved apart where they would overlap.

    Args:
        ends: where each line ends.
        room: height of a name as a share of the axes.
        reserve: whether the layout makes space for the names; not needed where the space is empty.
    """
    low, high = axes.get_ylim()
    gap = room * (high - low)
    right = max(x for x, _ in ends.values())
    places = spread([y for _, y in ends.values()], gap, low + gap / 2, high - gap / 2)
    for name, y in zip(ends, places, strict=True):
        label = axes.annotate(
            name,
            (right, y),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=colours[name],
            annotation_clip=False,
        )
        label.set_in_layout(reserve)


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The places, moved as little as needed to be `gap` apart and, if they fit, within low to high."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = [places[index] for index in order]
    for _ in range(100):
        for a in range(len(moved) - 1):
            overlap = gap - (moved[a + 1] - moved[a])
            if overlap > 1e-12:
                moved[a] -= overlap / 2
                moved[a + 1] += overlap / 2
    shift = max(0.0, low - moved[0]) - max(0.0, moved[-1] - high) if moved else 0.0
    result = [0.0] * len(places)
    for index, value in zip(order, moved, strict=True):
        result[index] = value + shift
    return result
