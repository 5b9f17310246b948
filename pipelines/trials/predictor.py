"""A finished trial, found by the beginning of its identifier, and its network as it was tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch.nn import functional as F

from dmf.training.predictor import Predictor as Network
from dmf.training.predictor import load_network
from dmf.training.spec import TrialSpec
from pipelines.artifacts.arrays import Preparation
from pipelines.core.console import StageError
from pipelines.core.images import as_channels
from pipelines.datasets.preparation import filtered, square_planes
from pipelines.trials.failure import FAILED
from pipelines.trials.record import WEIGHTS, is_done, read_trial

LISTED = 10


@dataclass(frozen=True)
class Predictor:
    """A trial's network with its selected weights, and how the pictures were prepared that it was trained on.

    Attributes:
        folder: of the trial.
        spec: of the trial.
        preparation: of its data, whatever has been prepared since.
    """

    folder: Path
    spec: TrialSpec
    preparation: Preparation
    network: Network
    device: torch.device

    @torch.inference_mode()
    def probabilities(self, picture: UInt8[np.ndarray, "H W *rgb"]) -> Float[np.ndarray, " K *spatial"]:
        """Of each class, for the whole picture (K,) or for each of its pixels (K, H, W).

        The picture is prepared as the filter stage does it. A map of pixels is brought back to the picture's
        size bilinearly.
        """
        probabilities = self.network(self.prepared(picture))
        if self.preparation.task == "segmentation":
            probabilities = F.interpolate(probabilities, picture.shape[:2], mode="bilinear", align_corners=False)
        return probabilities[0].cpu().numpy()

    def mask(self, picture: UInt8[np.ndarray, "H W *rgb"]) -> UInt8[np.ndarray, "H W"]:
        """The most probable class of each pixel."""
        return self.probabilities(picture).argmax(0).astype(np.uint8)

    def prepared(self, picture: np.ndarray) -> torch.Tensor:
        """What the network is shown of a picture: a batch of one, UInt8, prepared as its training images were."""
        channels = self.preparation.channels
        planes = square_planes(as_channels(picture, channels), self.preparation.size)
        if self.spec.filtered:
            planes = filtered(planes, self.preparation.filter, together=channels == 3)
        return torch.tensor(planes, device=self.device)[None]


def load_predictor(trials: Path, identifier: str) -> Predictor:
    """The predictor of the trial under `trials` whose identifier begins with `identifier`.

    Raises:
        StageError: if there is none, or more than one, if it has not finished, if a file of it is missing or spoilt,
            if its data set is not one of pictures, or if its code has changed too much.
    """
    return predictor_of(find_trial(trials, identifier))


def predictor_of(folder: Path) -> Predictor:
    """The predictor of the finished trial in a folder. Raises StageError as `load_predictor` does."""
    record = read_trial(folder)
    spec, preparation = record.spec, record.preparation
    if preparation.from_volumes or preparation.channels not in (1, 3):
        kind = "volumes" if preparation.from_volumes else f"images of {preparation.channels} channels"
        raise StageError(
            f"Trial {folder.name} was trained on {spec.dataset}, which holds {kind}. Only networks for pictures, grey "
            "or in colour, can be shown pictures."
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = _load(folder, spec, preparation).to(device)
    return Predictor(folder, spec, preparation, network, device)


def find_trial(trials: Path, identifier: str) -> Path:
    """Folder of the one finished trial whose identifier begins with `identifier`.

    Raises:
        StageError: if there is none, or more than one; it lists what there is.
    """
    known = {folder.name: folder for study in _folders(trials) for folder in _folders(study) if folder.name[0] != "."}
    found = [name for name in known if name.startswith(identifier)]
    finished = [name for name in known if is_done(known[name])]
    if not found:
        raise StageError(
            f"No trial under {trials} has an identifier that begins with {identifier!r}. "
            f"Finished: {_listed(finished) or 'none; run `dvc repro grid`'}."
        )
    if len(found) > 1:
        raise StageError(f"{len(found)} trials begin with {identifier!r}: {_listed(found)}. Write more of it.")
    folder = known[found[0]]
    if not is_done(folder):
        state = f"failed, see {folder / FAILED}" if (folder / FAILED).is_file() else "has not finished"
        raise StageError(f"Trial {folder.name} {state}. Finished: {_listed(finished) or 'none'}.")
    return folder


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _load(folder: Path, spec: TrialSpec, preparation: Preparation) -> Network:
    path = folder / WEIGHTS
    if not path.is_file():
        raise StageError(f"{path} is missing. Delete {folder} and run `dvc repro grid`, or copy the file there.")
    try:
        network = load_network(path, spec, preparation.channels, len(preparation.classes))
    except ValueError as error:
        raise StageError(str(error)) from error
    return Network(spec, preparation.model_dump(mode="json"), network)
