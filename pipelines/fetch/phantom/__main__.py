"""Draw the contact sheet of the simulated ultrasound: `python -m pipelines.fetch.phantom --out docs/phantom.png`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from pipelines.core.console import run_stage, say
from pipelines.core.files import write_atomically
from pipelines.fetch.phantom.cohort import Scan, simulate

GAP, TITLE = 4, 22


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sheet: images of either kind, and below each the same image with its mask's outline."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.fetch.phantom", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/phantom.png"), help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the cohort; default: %(default)s")
    parser.add_argument("--columns", type=int, default=8, help="images of each kind; default: %(default)s")
    options = parser.parse_args(arguments)
    drawn = sheet(options.seed, options.columns)
    write_atomically(options.out, partial(drawn.save, format="PNG", optimize=True))
    say(f"{options.out}: {drawn.width} x {drawn.height} pixels.")


def sheet(seed: int, columns: int) -> Image.Image:
    """The first patients of either kind, one view each."""
    rows = [(label, list(islice(_patients(seed, label), columns))) for label in ("benign", "malignant")]
    side = rows[0][1][0].image.shape[0]
    height = TITLE + 2 * (side + GAP)
    page = Image.new("RGB", (columns * (side + GAP) - GAP, len(rows) * height - GAP))
    pen = ImageDraw.Draw(page)
    for row, (label, scans) in enumerate(rows):
        pen.text((2, row * height + 2), label, fill="white", font=ImageFont.load_default(14))
        for column, scan in enumerate(scans):
            corner = (column * (side + GAP), row * height + TITLE)
            page.paste(Image.fromarray(scan.image), corner)
            page.paste(outlined(scan), (corner[0], corner[1] + side + GAP))
    return page


def outlined(scan: Scan) -> Image.Image:
    """The image with the mask's outline, drawn just outside the lesion."""
    inside = scan.mask > 0
    picture = np.repeat(scan.image[..., None], 3, axis=2)
    picture[ndimage.binary_dilation(inside) & ~inside] = (255, 200, 0)
    return Image.fromarray(picture)


def _patients(seed: int, label: str) -> Iterator[Scan]:
    return (scan for scan in (simulate(index, seed) for index in count()) if scan.label == label and scan.view == 0)


if __name__ == "__main__":
    run_stage(main)
