"""What the filter did to a data set: two indices over its images, and three of them before and after."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from pipelines.artifacts.arrays import PreparedData
from pipelines.core.files import replaced
from pipelines.core.parallel import threaded
from pipelines.filter.quality import edge_preservation_index, speckle_suppression_index
from pipelines.pages.drawing import Picture, new_grid, save, styled
from pipelines.pages.html import new_environment
from pipelines.pages.markdown import pipe_table

TEMPLATES = Path(__file__).parent / "templates"
MOST_IMAGES = 1000
"""Of a larger data set as many are measured, evenly spaced."""

PERCENTILES = (5, 25, 50, 75, 95)
GAIN = 4
"""How much stronger than they are differences are shown."""


@dataclass(frozen=True)
class Example:
    """An image that is shown, by its place in the arrays."""

    image: str
    row: int
    ssi: float
    epi: float


@dataclass(frozen=True)
class Quality:
    """Numbers about a filtered data set; of several channels and slices an image has the mean.

    Attributes:
        images, measured: how many there are, and how many of them the indices are of.
        ssi, epi: percentiles (`PERCENTILES`) of the speckle suppression and the edge preservation index; empty if no
            image has structure.
        examples: the images at the sixth, the half and five sixths of the order by speckle suppression.
    """

    dataset: str
    size: tuple[int, ...]
    diameter: int
    sigma_space: float
    sigma_range: float
    images: int
    measured: int
    ssi: tuple[float, ...]
    epi: tuple[float, ...]
    examples: tuple[Example, ...]


def write_page(data: PreparedData, target: Path) -> Quality:
    """Replace the folder `target`: index.html, quality.json, quality.md, examples.png and .pdf.

    The same arrays give the same bytes.
    """
    quality, title = measure(data), data.meta.title
    with replaced(target, beside=target.parent) as folder:
        picture = _draw(title, data, quality, folder)
        heads = ["Index", *(f"{percentile} %" for percentile in PERCENTILES)]
        rows = [
            [name, *(f"{value:.3f}" for value in values)]
            for name, values in (("Speckle suppression", quality.ssi), ("Edge preservation", quality.epi))
            if values
        ]
        words = {"title": title, "sentence": sentence(quality), "heads": heads, "rows": rows, "picture": picture}
        (folder / "quality.json").write_text(json.dumps(asdict(quality), indent=1) + "\n")
        (folder / "quality.md").write_text(_markdown(title, quality, heads, rows, picture.caption if picture else ""))
        page = new_environment(TEMPLATES).get_template("filter.html").render(quality=quality, **words)
        (folder / "index.html").write_text(page + "\n", encoding="utf-8")
    return quality


def measure(data: PreparedData) -> Quality:
    """Both indices of at most `MOST_IMAGES` images."""
    count = len(data.cases)
    rows = np.unique(np.linspace(0, count - 1, min(count, MOST_IMAGES)).astype(int))
    indices = np.array(
        threaded(lambda row: _indices(data.images[row], data.filtered[row]), rows.tolist(), "measuring", unit="images")
    )
    known = np.isfinite(indices).all(axis=1)
    rows, indices = rows[known], indices[known]
    order = np.argsort(indices[:, 0], kind="stable")
    shown = order[[int(share * len(order)) for share in (1 / 6, 1 / 2, 5 / 6)]] if len(order) >= 3 else order
    names = data.cases["image"]
    settings, ranks = data.meta.filter, [np.percentile(column, PERCENTILES) for column in indices.T if len(column)]
    ssi, epi = (tuple(round(float(value), 4) for value in rank) for rank in ranks) if ranks else ((), ())
    return Quality(
        dataset=data.meta.dataset,
        size=data.meta.spatial,
        diameter=settings.diameter,
        sigma_space=settings.sigma_space,
        sigma_range=settings.sigma_range,
        images=count,
        measured=len(rows),
        ssi=ssi,
        epi=epi,
        examples=tuple(
            Example(str(names.iloc[rows[place]]), int(rows[place]), *(round(float(x), 4) for x in indices[place]))
            for place in shown
        ),
    )


def sentence(quality: Quality) -> str:
    """What a person should know before training."""
    size = " x ".join(map(str, quality.size))
    settings = (
        f"Bilateral filter of {quality.diameter} pixels (σ_s {quality.sigma_space:g} pixels, σ_r "
        f"{quality.sigma_range:g} grey levels) on images of {size} pixels"
    )
    if not quality.ssi:
        return f"{settings}: none of the {quality.images} images has structure to measure."
    return (
        f"{settings}. Medians of {quality.measured} images: {100 * quality.ssi[2]:.0f} % of the speckle in homogeneous "
        f"tissue is left (SSI), and edges correlate to {quality.epi[2]:.2f} with the original's (EPI)."
    )


def _indices(before: UInt8[np.ndarray, "C ..."], after: UInt8[np.ndarray, "C ..."]) -> Float[np.ndarray, 2]:
    """Mean over channels and slices of both indices; NaN if one of them has no structure at all."""
    pairs = zip(before.reshape(-1, *before.shape[-2:]), after.reshape(-1, *after.shape[-2:]), strict=True)
    values = np.array([(speckle_suppression_index(*pair), edge_preservation_index(*pair)) for pair in pairs])
    known = values[np.isfinite(values).all(axis=1)]
    return known.mean(axis=0) if len(known) else np.full(2, np.nan)


@styled
def _draw(title: str, data: PreparedData, quality: Quality, folder: Path) -> Picture | None:
    if not quality.examples:
        return None
    figure, grid = new_grid(len(quality.examples), 3, width=2.3, height=2.45)
    for line, example in zip(grid, quality.examples, strict=True):
        before, after = (_shown(images[example.row]) for images in (data.images, data.filtered))
        difference = np.clip(128 + GAIN * (after.astype(float) - before), 0, 255).astype(np.uint8)
        for axes, picture in zip(line, (before, after, difference), strict=True):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_axis_off()
        line[0].set_title(Path(example.image).name, fontsize=7.5)
        line[1].set_title(f"SSI {example.ssi:.2f}, EPI {example.epi:.2f}", fontsize=7.5)
        line[2].set_title(f"difference x {GAIN}", fontsize=7.5)
    return save(
        figure,
        folder,
        "examples",
        heading="Before and after",
        caption=(
            "Before, after, and what was taken away, as grey around the middle, at one sixth, the half and five sixths "
            "of the images in order of speckle suppression."
        ),
        alternative=f"Three images of {title}, each before and after filtering, and the difference.",
    )


def _shown(planes: UInt8[np.ndarray, "C ..."]) -> UInt8[np.ndarray, "H W *rgb"]:
    """The first channel or all three colours, of a volume the middle slice."""
    planes = planes[:, planes.shape[1] // 2] if planes.ndim == 4 else planes
    return np.moveaxis(planes, 0, -1) if len(planes) == 3 else planes[0]


def _markdown(title: str, quality: Quality, heads: list[str], rows: list[list[str]], caption: str) -> str:
    table = pipe_table([heads, ["---", *["---:"] * len(PERCENTILES)], *rows])
    shown = f"\n\n![{caption}](examples.png)" if caption else ""
    return f"# {title}: before and after the filter\n\n{sentence(quality)}\n\n{table}{shown}\n"
