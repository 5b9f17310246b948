"""Finding pictures, and what is written of each."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.core.console import StageError, say, track
from pipelines.core.files import is_left_behind, write_atomically
from pipelines.datasets.readers.folders import PICTURES, found_in
from pipelines.datasets.readers.images import load_image
from pipelines.predict.drawing import mask_picture, overlay_picture
from pipelines.trials.predictor import Predictor, load_predictor

OWN = ("_mask", "_overlay")


def run(options: Namespace) -> None:
    pictures = find_pictures(options.images)
    predictor = load_predictor(options.trials, options.trial)
    spec, name = predictor.spec, predictor.folder.name
    say(f"Trial {name}: {spec.model} on {spec.dataset}, seed {spec.seed}")
    out = options.out or Path("predictions") / name
    for relative, path in track(pictures.items(), "pictures", total=len(pictures), unit="pictures"):
        say(f"{path}: {predict(predictor, path, out / relative)}")


def find_pictures(given: list[Path]) -> dict[Path, Path]:
    """Pictures by what their results are called, relative to the output folder and without suffix.

    A folder stands for the pictures in it and below, but for masks and overlays.

    Raises:
        StageError: if a path does not exist, a folder has no pictures, or two pictures' results would be called alike.
    """
    found: list[tuple[Path, Path]] = []
    for path in given:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if _is_picture(file.relative_to(path)))
            if not inside:
                raise StageError(f"{path}: no picture in it. {found_in(path)} Expected {', '.join(PICTURES)}.")
            found += [(file.relative_to(path).with_suffix(""), file) for file in inside]
        elif path.is_file():
            found.append((Path(path.stem), path))
        else:
            raise StageError(f"{path}: no such file or folder.")
    twice = [name for name, count in Counter(name for name, _ in found).items() if count > 1]
    if twice:
        paths = ", ".join(str(path) for name, path in found if name == twice[0])
        raise StageError(f"The results of {paths} would both be called {twice[0]}. Rename one, or ask for one a time.")
    return dict(found)


def _is_picture(below: Path) -> bool:
    hidden = any(is_left_behind(part) for part in below.parts)
    return below.suffix.lower() in PICTURES and not hidden and not any(own in below.stem for own in OWN)


def predict(predictor: Predictor, path: Path, target: Path) -> str:
    """One picture: writes what there is to write beside `target`, and returns one line about it."""
    picture = load_image(path)
    classes = predictor.preparation.classes
    if predictor.preparation.task == "classification":
        probabilities = predictor.probabilities(picture)
        order = np.argsort(-probabilities, kind="stable")
        return ", ".join(f"{classes[index]} {probabilities[index]:.3f}" for index in order)
    mask = predictor.mask(picture)
    _save(mask_picture(mask, len(classes)), target.with_name(f"{target.name}_mask.png"))
    overlay = target.with_name(f"{target.name}_overlay.png")
    _save(overlay_picture(picture, mask), overlay)
    shares = ", ".join(f"{name} {100 * (mask == index).mean():.1f} %" for index, name in enumerate(classes) if index)
    return f"{shares} of the pixels; {overlay}"


def _save(picture: Image.Image, path: Path) -> None:
    write_atomically(path, lambda partial: picture.save(partial, format="PNG"))
