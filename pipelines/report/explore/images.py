"""Test images with their truth and every configuration's prediction, as sheets of tiles."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from pipelines.pages.inline import data_uri
from pipelines.report.data import DataFacts
from pipelines.report.layout import Row
from pipelines.report.panel import as_shown, middle
from pipelines.trials.columns import ImageColumns
from pipelines.trials.record import PREDICTIONS, TrialRecord

MOST_IMAGES = 100
MOST_ROWS = 24
"""Configurations whose predictions the page holds: the baseline and those with the best mean score."""

MOST_SIDE = 256
QUALITY = 80
SCORE = {"segmentation": "dice", "classification": "correct"}


def images_of(rows: Sequence[Row], facts: DataFacts) -> dict[str, Any]:
    """Sheets and scores of a data set, or why there are none.

    Each configuration is shown by its trial with the lowest seed, in a cross-validation by that of each fold, so that
    all are asked about the same images and none is shown at its luckiest.
    """
    shown = _best(rows)
    lacking = [
        record.identifier for _, row in shown for record in _first(row) if not (record.folder / PREDICTIONS).is_file()
    ]
    if lacking:
        return {"missing": f"{len(lacking)} trials keep no predictions, such as {lacking[0]}."}
    scores = {place: _scores(_first(row), facts) for place, row in shown}
    tested = sorted({index for found in scores.values() for index in found})
    chosen = _spread(tested, list(scores.values()))
    small, columns = _side(facts), int(np.ceil(np.sqrt(len(chosen))))
    originals = [_shrunk(as_shown(facts.originals[index]), small) for index in chosen]
    found: dict[str, Any] = {
        "task": facts.task,
        "classes": list(facts.classes),
        "height": originals[0].shape[0],
        "width": originals[0].shape[1],
        "columns": columns,
        "names": [facts.cases[index] for index in chosen],
        "tested": len(tested),
        "left": len(rows) - len(shown),
        "original": _webp(_sheet(originals, columns)),
        "rows": [],
    }
    truths = [facts.truths[index] for index in chosen]
    found |= (
        {"truth": _png(_masks(truths, small, columns))}
        if facts.task == "segmentation"
        else {"labels": [int(truth) for truth in truths]}
    )
    for place, row in shown:
        predictions = {index: mask for record in _first(row) for index, mask in record.predictions.items()}
        entry = {
            "row": place,
            "trials": [record.identifier for record in _first(row)],
            "scores": [scores[place].get(index) for index in chosen],
        }
        if facts.task == "segmentation":
            empty = np.zeros_like(truths[0])
            entry["sheet"] = _png(_masks([predictions.get(index, empty) for index in chosen], small, columns))
        else:
            entry["labels"] = [int(predictions[index]) if index in predictions else None for index in chosen]
        found["rows"].append(entry)
    return found


def _best(rows: Sequence[Row]) -> list[tuple[int, Row]]:
    """The baseline and the rows with the best mean score over their images, by their place in the table."""
    if len(rows) <= MOST_ROWS:
        return list(enumerate(rows))

    def score(row: Row) -> float:
        protocol, metric = ("per_image", "dice") if "per_image" in row.records[0].test else ("macro", "f1")
        found = [record.test.get(protocol, {}).get(metric, 0.0) for record in row.records]
        return float(np.nan_to_num(np.mean(found)))

    ranked = sorted(enumerate(rows), key=lambda pair: (not pair[1].baseline, -score(pair[1]), pair[0]))
    return sorted(ranked[:MOST_ROWS], key=lambda pair: pair[0])


def _first(row: Row) -> list[TrialRecord]:
    """The trials of the lowest seed: one, or one for each fold."""
    return [record for record in row.records if record.spec.seed == row.spec.seed]


def _scores(records: Sequence[TrialRecord], facts: DataFacts) -> dict[int, float]:
    """Dice in percent, or 100 for the right class and 0 for another, of each test image by its place."""
    place = {name: index for index, name in enumerate(facts.cases)}
    found: dict[int, float] = {}
    for record in records:
        values = record.images[SCORE[facts.task]].astype(float)
        found |= {
            place[name]: round(100 * value, 2)
            for name, value in zip(record.images[ImageColumns.image], values, strict=True)
        }
    return found


def _spread(tested: Sequence[int], scores: Sequence[dict[int, float]]) -> list[int]:
    """At most MOST_IMAGES of the tested images, at evenly spaced ranks of difficulty, in the order of the arrays."""
    if len(tested) <= MOST_IMAGES:
        return list(tested)
    difficulty = {index: np.mean([found[index] for found in scores if index in found]) for index in tested}
    ranked = sorted(tested, key=lambda index: (difficulty[index], index))
    return sorted(ranked[int((place + 0.5) / MOST_IMAGES * len(ranked))] for place in range(MOST_IMAGES))


def _side(facts: DataFacts) -> int:
    return min(MOST_SIDE, max(facts.originals.shape[-2:]))


def _shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    """RGB, at most so large; what is smaller stays as it is."""
    coloured = picture if picture.ndim == 3 else np.stack([picture] * 3, axis=-1)
    return (
        coloured if max(coloured.shape[:2]) <= side else cv2.resize(coloured, (side, side), None, 0, 0, cv2.INTER_AREA)
    )


def _masks(masks: Sequence[np.ndarray], side: int, columns: int) -> np.ndarray:
    flat = [middle(mask).astype(np.uint8) for mask in masks]
    small = [
        mask if max(mask.shape) <= side else cv2.resize(mask, (side, side), interpolation=cv2.INTER_NEAREST)
        for mask in flat
    ]
    return _sheet(small, columns)


def _sheet(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Tiles of one size, row by row."""
    height, width = tiles[0].shape[:2]
    lines = -(-len(tiles) // columns)
    sheet = np.zeros((lines * height, columns * width, *tiles[0].shape[2:]), dtype=np.uint8)
    for number, tile in enumerate(tiles):
        line, column = divmod(number, columns)
        sheet[line * height : (line + 1) * height, column * width : (column + 1) * width] = tile
    return sheet


def _webp(sheet: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(sheet).save(content, format="WEBP", quality=QUALITY, method=4)
    return data_uri(content.getvalue(), ".webp")


def _png(sheet: np.ndarray) -> str:
    """Lossless, each grey level being the index of a class, with as few bits as the classes need."""
    content = io.BytesIO()
    picture = Image.fromarray(sheet, mode="L").convert("P")
    picture.putpalette([level for index in range(256) for level in (index, index, index)])
    bits = 1 if sheet.max() < 2 else 4 if sheet.max() < 16 else 8
    picture.save(content, format="PNG", bits=bits, optimize=False, compress_level=9)
    return data_uri(content.getvalue(), ".png")
