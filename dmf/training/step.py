"""One optimiser step on a batch, wherever the batch comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from dmf.fusion import DynamicMemoryFusion, FusionOutput
from dmf.training.data import channels_last
from dmf.training.optimizers import LearningRate, build_optimizer
from dmf.training.precision import used_precision
from dmf.training.recorder import StepRecorder
from dmf.training.spec import TrialSpec


class TrainingStep:
    """Network, losses, weighting, gradients, optimiser, recording: `step(images, target)`.

    A call never waits for the device, and whatever it changes lies in `tensors`, so that it can be part of a CUDA
    graph. Its parts can be taken one by one: `logits`, then `fusion` and its gradient, then `apply`.

    Args:
        spec: Optimiser, learning rate and precision.
        model: Images to logits; it and the losses are on `device` already.
        fusion: Losses and weighting.
        steps_per_epoch: Steps between two calls of `recorder.drain`, at most.
        device: Where all of it takes place.

    Attributes:
        optimizer: Of the parameters of both.
        rate: The learning rate that it moves by.
        recorder: The history of the steps.
        precision: "bf16" or "fp32", as the network works here.
    """

    def __init__(
        self,
        spec: TrialSpec,
        model: nn.Module,
        fusion: DynamicMemoryFusion,
        *,
        steps_per_epoch: int,
        device: torch.device,
    ) -> None:
        self.model, self.fusion, self.device = model, fusion, device
        self.optimizer = build_optimizer(spec, [*model.parameters(), *fusion.parameters()], device)
        self.rate = LearningRate(self.optimizer, spec, spec.epochs * steps_per_epoch, device)
        self.recorder = StepRecorder(fusion.loss_names, steps_per_epoch, device)
        self.precision = used_precision(spec.precision, device)

    def __call__(self, images: Float[Tensor, "b C *spatial"], target: UInt8[Tensor, " b *spatial"]) -> None:
        """One step on images in [0, 1]."""
        out = self.fusion(self.logits(images), target.long())
        self.optimizer.zero_grad(set_to_none=True)
        out.total.backward()
        self.apply(out)

    def logits(self, images: Float[Tensor, "b C *spatial"]) -> Float[Tensor, "b K *spatial"]:
        """What the network says, in the trial's precision."""
        try:
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"):
                return self.model(channels_last(images))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                f"Batch normalisation needs more than one value of a channel. Found a batch of {len(images)} image of "
                f"{'x'.join(map(str, images.shape[2:]))} pixels, of which this network leaves a single one. Raise "
                "`batch_size` to 2 or more, or `image_size`."
            ) from error

    def apply(self, out: FusionOutput) -> None:
        """Move the parameters by the gradients that they have, and record the step."""
        self.rate.advance()
        self.optimizer.step()
        self.recorder.record(out)

    @property
    def tensors(self) -> list[Tensor]:
        """Everything that a step changes; what the optimiser keeps is among them once a step has been taken."""
        optimizer = (value for state in self.optimizer.state.values() for value in state.values())
        kept = (*self.model.state_dict().values(), *self.fusion.parameters(), *self.fusion.buffers(), *optimizer)
        return [
            *(tensor.detach() for tensor in kept if isinstance(tensor, Tensor)),
            *self.recorder.tensors,
            *self.rate.tensors,
        ]

    @property
    def finite(self) -> bool:
        """Whether all weights of the network are; waits for the device."""
        return bool(torch.stack([parameter.isfinite().all() for parameter in self.model.parameters()]).all())

    def state_dict(self) -> dict[str, Any]:
        """Network, optimiser and losses; the learning rate follows from the epoch, and the recorder is empty then."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "fusion": self.fusion.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict` of a step of the same spec; other entries of `state` are not looked at."""
        self.model.load_state_dict(state["model"])
        self.fusion.load_state_dict(state["fusion"])
        self.optimizer.load_state_dict(state["optimizer"])
