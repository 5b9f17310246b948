"""A finished trial, found by the beginning of its identifier, and its network as it was tested."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import nn
from torch.nn import functional as F

from dmf.data import channels_last, resize
from dmf.spec import TrialSpec
from dmf.train import build_network
from pipelines import arrays
from pipelines.arrays import Meta
from pipelines.catalogue import find_entries
from pipelines.console import StageError
from pipelines.filter.convert import filtered, square_planes
from pipelines.pictures import as_channels
from pipelines.records import DONE, FAILED

# Where a network's first weights come from: of no use to one whose weights are known.
FRESH = {"pretrained": False, "encoder_weights": None}
LISTED = 10


@dataclass(frozen=True)
class Predictor:
    """A trial's network with its selected weights, and how its data set's pictures were prepared.

    Attributes:
        folder: of the trial.
        spec: of the trial.
        meta: of the prepared data.
        same_data: whether those are still the data that the trial was trained on.
    """

    folder: Path
    spec: TrialSpec
    meta: Meta
    same_data: bool
    network: nn.Module
    device: torch.device

    @torch.inference_mode()
    def probabilities(self, picture: UInt8[np.ndarray, "H W *rgb"]) -> Float[np.ndarray, " K *spatial"]:
        """Of each class, for the whole picture (K,) or for each of its pixels (K, H, W).

        The picture is prepared as the filter stage and the trial do. A map of pixels is brought back to the picture's
        size bilinearly.
        """
        images = self._prepared(picture).float().div(255)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.spec.precision == "bf16"):
            logits = self.network(channels_last(images))
        probabilities = logits.float().softmax(1)
        if self.meta.task == "segmentation":
            probabilities = F.interpolate(probabilities, picture.shape[:2], mode="bilinear", align_corners=False)
        return probabilities[0].cpu().numpy()

    def _prepared(self, picture: np.ndarray) -> torch.Tensor:
        channels = self.meta.channels
        planes = square_planes(as_channels(picture, channels), self.meta.size)
        if self.spec.filtered:
            planes = filtered(planes, self.meta.filter, together=channels == 3)
        images = torch.tensor(planes, device=self.device)[None]
        return resize(images, torch.zeros(1, dtype=torch.uint8), self.spec.image_size)[0]


def load_predictor(trials: Path, identifier: str, data: Path) -> Predictor:
    """The predictor of the trial under `trials` whose identifier begins with `identifier`.

    Raises:
        StageError: if there is none, or more than one, if it has not finished, if a file of it is missing or spoilt,
            if its data set is not prepared or is not one of pictures, or if its code has changed too much.
    """
    folder = find_trial(trials, identifier)
    description = _read(folder / DONE)
    spec = TrialSpec.from_dict(description["spec"])
    meta = arrays.load(data, spec.dataset).meta
    (entry,) = find_entries([spec.dataset], data)
    if entry.volume is not None or meta.channels not in (1, 3):
        kind = "volumes" if entry.volume is not None else f"images of {meta.channels} channels"
        raise StageError(
            f"Trial {folder.name} was trained on {spec.dataset}, which holds {kind}. Only networks for pictures, grey "
            "or in colour, can be shown pictures."
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = _load_network(folder, spec, meta).to(device).eval()
    return Predictor(folder, spec, meta, meta.checksum == description.get("data_checksum"), network, device)


def find_trial(trials: Path, identifier: str) -> Path:
    """Folder of the one finished trial whose identifier begins with `identifier`.

    Raises:
        StageError: if there is none, or more than one; it lists what there is.
    """
    known = {folder.name: folder for study in _folders(trials) for folder in _folders(study) if folder.name[0] != "."}
    found = [name for name in known if name.startswith(identifier)]
    finished = [name for name in known if (known[name] / DONE).is_file()]
    if not found:
        raise StageError(
            f"No trial under {trials} has an identifier that begins with {identifier!r}. "
            f"Finished: {_listed(finished) or 'none; run `dvc repro grid`'}."
        )
    if len(found) > 1:
        raise StageError(f"{len(found)} trials begin with {identifier!r}: {_listed(found)}. Write more of it.")
    folder = known[found[0]]
    if not (folder / DONE).is_file():
        state = f"failed, see {folder / FAILED}" if (folder / FAILED).is_file() else "has not finished"
        raise StageError(f"Trial {folder.name} {state}. Finished: {_listed(finished) or 'none'}.")
    return folder


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise StageError(f"{path}: no readable record ({error}). Delete the folder and run `dvc repro grid`.") from None


def _load_network(folder: Path, spec: TrialSpec, meta: Meta) -> nn.Module:
    path = folder / "model.pt"
    if not path.is_file():
        raise StageError(f"{path} is missing. Delete {folder} and run `dvc repro grid`, or copy the file there.")
    params = {name: FRESH.get(name, value) for name, value in spec.model_params.items()}
    network = build_network(dataclasses.replace(spec, model_params=params), meta.channels, len(meta.classes))
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        cause = str(error).strip().splitlines()[0]
        raise StageError(
            f"{path} does not fit the network {spec.model!r} of today's code for {meta.channels} channels and "
            f"{len(meta.classes)} classes ({cause}). Check out the code of the trial's `code_version`, or train again."
        ) from None
    return network
