"""The network of a finished trial for use elsewhere: from the trial's folder alone, ready to be exported."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from dmf.checks import invalid, require_shape
from dmf.models import unfetched
from dmf.training.build import build_network
from dmf.training.data import channels_last
from dmf.training.precision import used_precision
from dmf.training.spec import TrialSpec

RECORD, WEIGHTS = "trial.json", "model.pt"


class Predictor(nn.Module):
    """Images in, probabilities out: a trial's network with the weights that were tested, in evaluation mode.

    What `torch.export` and `torch.onnx` make of it computes in float32, whatever the trial's `precision`.

    Shape: images UInt8 `(B, C, *spatial)`, prepared as the trial's were (`preparation`), to float32 probabilities
    `(B, K, *spatial)` of each pixel's classes, or `(B, K)` in classification.

    Args:
        spec: Of the trial.
        preparation: How its data were made: `classes`, `channels`, `spatial`, `task`, and of pictures the parameters
            of the bilateral `filter`, through which they go if `spec.filtered`.
        network: Images as float32 in [0, 1] to logits.
    """

    def __init__(self, spec: TrialSpec, preparation: Mapping[str, Any], network: nn.Module) -> None:
        super().__init__()
        self.spec = spec
        self.preparation = dict(preparation)
        self.network = network
        self.eval()

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, by index."""
        return tuple(self.preparation["classes"])

    def forward(self, images: UInt8[Tensor, "B C *spatial"]) -> Float[Tensor, "B K *spatial"]:
        """Probabilities. Raises ValueError for images of another type, or other than the trial's in their channels."""
        if images.dtype != torch.uint8:
            raise invalid("images", images.dtype, "uint8, intensities from 0 to 255")
        require_shape("images", images.shape[1:2], (self.preparation["channels"],))
        scaled = images.float().div(255)
        if torch.compiler.is_exporting():
            return self.network(scaled).softmax(1)
        half = used_precision(self.spec.precision, images.device) == "bf16"
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
            return self.network(channels_last(scaled)).float().softmax(1)

    @torch.inference_mode()
    def mask(self, images: UInt8[Tensor, "B C *spatial"]) -> Int[Tensor, " B *spatial"]:
        """The most probable class of each pixel, or of each image in classification."""
        return self(images).argmax(1)


def load_predictor(trial: str | Path) -> Predictor:
    """The predictor of a finished trial, on the CPU.

    Args:
        trial: Its folder, `trials/<study>/<identifier>`, or a copy of two files of it: `trial.json` and `model.pt`.

    Raises:
        FileNotFoundError: if one of them is missing.
        ValueError: if they are no trial's, or do not fit the networks of this version.
        UnknownName: if the trial takes its network from a package that is not installed.
    """
    folder = Path(trial)
    for name in (RECORD, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} is missing. Expected a finished trial's {RECORD} and {WEIGHTS}.")
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
        spec, preparation = TrialSpec.from_dict(record["spec"]), record["preparation"]
        channels, classes = int(preparation["channels"]), len(preparation["classes"])
    except (TypeError, KeyError, ValueError) as error:
        cause = f"{type(error).__name__}: {error}"
        raise ValueError(f"{folder / RECORD} is no record of a trial that this version reads ({cause}).") from error
    return Predictor(spec, preparation, load_network(folder / WEIGHTS, spec, channels, classes))


def load_network(path: Path, spec: TrialSpec, channels: int, classes: int) -> nn.Module:
    """The network of a spec with the weights of a file; pretrained ones are not fetched first.

    Raises:
        ValueError: if the file does not hold weights of that network.
        UnknownName: if the network is not known here.
    """
    fresh = dataclasses.replace(spec, model_params=unfetched(spec.model_params))
    network = build_network(fresh, channels, classes)
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        cause = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{path} does not fit the network {spec.model!r} of today's code for {channels} channels and "
            f"{classes} classes ({cause}). Check out the code of the trial's `code_version`, or train again."
        ) from None
    return network
