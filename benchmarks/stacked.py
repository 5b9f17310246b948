"""Trials with their weights stacked: the rival of `dmf.training.packed`, measured by benchmarks/packing.py."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor
from torch.func import functional_call, vmap

from dmf.training.data import TrialData
from dmf.training.results import EpochReport
from dmf.training.seeding import reproducible
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial


class StackedTrials:
    """Trials of one architecture, batch size and precision: one forward and backward pass for all, by `torch.vmap`.

    Weights and running statistics of all networks lie in one tensor a layer, of which each trial's own are slices, so
    that everything but the pass through the network is left to the trials. A convolution becomes one with a group a
    trial. Losses, weightings and optimisers take turns. Results are those of `Trial` up to rounding: a grouped
    convolution adds up in another order. Networks that draw random numbers (dropout) are refused by vmap.
    """

    def __init__(self, specs: Sequence[TrialSpec], data: TrialData, *, device: str | torch.device = "cpu") -> None:
        shared = data.to(torch.device(device))
        self.trials = [Trial(spec, shared, device=device) for spec in specs]
        self._outline = copy.deepcopy(self.trials[0].model).to("meta")
        self._parameters = _stack([dict(trial.model.named_parameters()) for trial in self.trials])
        self._buffers = _stack([dict(trial.model.named_buffers()) for trial in self.trials])
        for parameter in self._parameters.values():
            parameter.requires_grad_()

    def epoch(self) -> list[EpochReport]:
        """As `PackedTrials.epoch`, for trials of which none fails."""
        with reproducible(0):
            for rows in zip(*(trial.begin_epoch() for trial in self.trials), strict=True):
                self.step(rows)
            for trial in self.trials:
                trial.validate()
        return [trial.close_epoch() for trial in self.trials]

    def step(self, rows: Sequence[Int[Tensor, " b"]]) -> None:
        """One step of each trial, on its own rows."""
        images, targets = zip(*(t.batch(r) for t, r in zip(self.trials, rows, strict=True)), strict=True)
        first = self.trials[0]
        with torch.autocast(first.device.type, torch.bfloat16, enabled=first.training_step.precision == "bf16"):
            logits = vmap(self._forward)(self._parameters, self._buffers, torch.stack(images))
        outs = [t.fusion(z, y.long()) for t, z, y in zip(self.trials, logits, targets, strict=True)]
        for trial in self.trials:
            trial.training_step.optimizer.zero_grad(set_to_none=True)
        for parameter in self._parameters.values():
            parameter.grad = None
        torch.autograd.backward([out.total for out in outs])
        for index, (trial, out) in enumerate(zip(self.trials, outs, strict=True)):
            for name, parameter in trial.model.named_parameters():
                gradient = self._parameters[name].grad
                parameter.grad = None if gradient is None else gradient[index]
            trial.training_step.apply(out)

    def _forward(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor) -> Tensor:
        return functional_call(self._outline, (parameters, buffers), (images,))


def _stack(tensors: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """One tensor a name; the given ones become its slices."""
    stacked = {name: torch.stack([each[name].detach() for each in tensors]) for name in tensors[0]}
    for index, each in enumerate(tensors):
        for name, tensor in each.items():
            tensor.data = stacked[name][index]
    return stacked
