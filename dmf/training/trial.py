"""One trial: `TrialSpec` and data in, records out."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from dmf.training.augment import Augmentation, Augmenter, add_noise, as_float
from dmf.training.build import build_fusion, build_network
from dmf.training.checkpoint import require_same_trial
from dmf.training.data import TrialData, channels_last, count_batches, epoch_order
from dmf.training.diagnostics import Diagnostics, Finding
from dmf.training.evaluation import DISTANCES, Predictions
from dmf.training.graphs import ReplayedStep, Step
from dmf.training.loading import Resident, build_loader
from dmf.training.optimizers import LearningRate, build_optimizer
from dmf.training.recorder import StepRecorder
from dmf.training.results import EpochReport, TrainingDiverged, TrialResult
from dmf.training.seeding import derive_seed, reproducible, trial_seed
from dmf.training.spec import TrialSpec

__all__ = ["EpochReport", "TrainingDiverged", "Trial", "TrialResult", "build_network", "train"]


class Trial:
    """A training run that is driven an epoch at a time.

        trial = Trial(spec, data)
        while not trial.done:
            report = trial.epoch()
        result = trial.finish()

    Inside an epoch the device is never waited for: histories stay on it until the epoch ends.
    """

    def __init__(self, spec: TrialSpec, data: TrialData, *, device: str | torch.device = "cpu") -> None:
        self.spec = spec
        self.device = torch.device(device)
        self._loader = build_loader(data, spec.image_size, self.device)
        self._augment = Augmenter(Augmentation.parse(spec.augmentation), self.device)
        self.epochs_done = 0
        self.best_epoch = 0
        self.findings: list[Finding] = []
        channels, classes = self.data.images.shape[1], len(self.data.classes)
        with reproducible(trial_seed(spec, "weights")):
            model = build_network(spec, channels, classes)
            self.fusion = build_fusion(spec, classes, spec.epochs * self.steps_per_epoch).to(self.device)
        self.model: nn.Module = model.to(self.device)
        for parameter in model.parameters():
            parameter.data = channels_last(parameter.data)
        parameters = [*self.model.parameters(), *self.fusion.parameters()]
        self.optimizer = build_optimizer(spec, parameters, self.device)
        self._rate = LearningRate(self.optimizer, spec, spec.epochs * self.steps_per_epoch, self.device)
        self._recorder = StepRecorder(self.fusion.loss_names, self.steps_per_epoch, self.device)
        self._diagnostics = Diagnostics(self.fusion.loss_names)
        self._best_score = -math.inf
        self._best_weights: dict[str, Tensor] = {}
        self._stream: torch.cuda.Stream | None = None
        self._take_step: Step = self.step
        if self.device.type == "cuda":
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            if isinstance(self._loader, Resident):
                self._take_step = ReplayedStep(self.step, self._tensors)

    @property
    def data(self) -> TrialData:
        """What it trains on: on its device at its size, unless that takes more than `loading.RESIDENT_BYTES`."""
        return self._loader.data

    @property
    def steps_per_epoch(self) -> int:
        return count_batches(len(self.data.rows["train"]), self.spec.batch_size)

    @property
    def done(self) -> bool:
        return self.epochs_done == self.spec.epochs

    def epoch(self) -> EpochReport:
        """Train one epoch, score the validation split, keep the weights if they are the best so far.

        Raises:
            TrainingDiverged: if the network's weights are no longer finite.
        """
        self.launch_epoch()
        return self.close_epoch()

    def launch_epoch(self) -> None:
        """The first half of `epoch`: train and validate. A GPU is only told to, on a stream of this trial's own."""
        self._started = time.perf_counter()
        rows, order = self.data.rows["train"], trial_seed(self.spec, "order")
        with self._on_stream(), reproducible(trial_seed(self.spec, f"epoch {self.epochs_done}")):
            self.model.train()
            self.fusion.set_epoch(self.epochs_done)
            self._rate.seek(self.epochs_done * self.steps_per_epoch)
            self._augment.begin(trial_seed(self.spec, f"augmentation {self.epochs_done}"))
            batches = epoch_order(rows, self.spec.batch_size, order, self.epochs_done)
            self._loader.prefetch(batches)
            for batch in batches:
                self._take_step(batch)
            self._validated = self.predict("val")

    def close_epoch(self) -> EpochReport:
        """The second half of `epoch`: wait for the device, and see what has come of it."""
        with self._on_stream(join=True):
            return self._close_epoch(self.epochs_done)

    def _close_epoch(self, number: int) -> EpochReport:
        validation = self._validated.validation()
        steps = self._recorder.drain()
        findings = self._diagnostics.observe(steps)
        self._refuse_divergence(steps)
        self.findings.extend(findings)
        self._select(number, validation)
        self.epochs_done += 1
        return EpochReport(
            epoch=number,
            steps=steps,
            validation=validation,
            train_total=float(steps["total"].mean()),
            seconds=time.perf_counter() - self._started,
            learning_rate=self._rate.value,
            findings=findings,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that a run between two epochs is: `write_checkpoint` puts it on disk.

        A trial of the same spec and data that loads it goes on as this one would have, on a CPU bit for bit. No
        generator is in it, since every epoch draws from (seed, epoch). Like any `state_dict`, it refers to tensors that
        training changes: write or copy it before the next epoch.
        """
        return {
            "spec": self.spec.to_dict(),
            "epochs_done": self.epochs_done,
            "best_epoch": self.best_epoch,
            "best_score": self._best_score,
            "best_weights": self._best_weights,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "fusion": self.fusion.state_dict(),
            "diagnostics": self._diagnostics.state_dict(),
            "findings": [asdict(finding) for finding in self.findings],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict` of a trial of the same spec and data.

        Raises:
            ValueError: if `state` is no such thing or belongs to another spec, naming the fields that differ. Nothing
                has changed then. Tensors that do not fit the network, as after a change of the code, raise it too;
                start from a new trial in that case.
        """
        require_same_trial(state, self.state_dict())
        try:
            self.model.load_state_dict(state["model"])
            self.fusion.load_state_dict(state["fusion"])
            self.optimizer.load_state_dict(state["optimizer"])
            self._diagnostics.load_state_dict(state["diagnostics"])
        except (RuntimeError, KeyError, TypeError) as error:
            raise ValueError(f"The checkpoint does not fit this trial's network and losses: {error}") from error
        best = {name: value.to(self.device, copy=True) for name, value in state["best_weights"].items()}
        self.findings = [Finding(**finding) for finding in state["findings"]]
        self.epochs_done, self.best_epoch = state["epochs_done"], state["best_epoch"]
        self._best_score, self._best_weights = state["best_score"], best

    def step(self, rows: Int[Tensor, " b"]) -> None:
        """One optimiser step on the images of `rows`."""
        self.learn(*self._augment(*self._loader.batch(rows)))

    def learn(self, images: Float[Tensor, "b C *spatial"], target: UInt8[Tensor, " b *spatial"]) -> None:
        """One optimiser step on images in [0, 1], from wherever they come."""
        out = self.fusion(self._logits(images), target.long())
        self.optimizer.zero_grad(set_to_none=True)
        out.total.backward()
        self._rate.advance()
        self.optimizer.step()
        self._recorder.record(out)

    @torch.inference_mode()
    def predict(self, split: str, noise: float = 0.0) -> Predictions:
        """What the network says about every image of a split.

        Args:
            noise: Standard deviation of Gaussian noise on the images, in units of the intensities' range. It follows
                from (seed, data set, image) alone, so that all models are asked about the same pictures.
        """
        self.model.eval()
        seed = torch.full((), derive_seed("test noise", self.spec.seed, self.spec.dataset), device=self.device)
        order = torch.split(self.data.rows[split], self.spec.batch_size)
        self._loader.prefetch(order)
        predictions = []
        for batch in map(self._loader.batch, order):
            images = as_float(batch.images)
            if noise:
                images = add_noise(images, images.new_full((len(images),), noise), seed, batch.rows)
            predictions.append(Predictions.of(self._logits(images), batch.targets))
        return Predictions.concatenated(predictions)

    def finish(self) -> TrialResult:
        """Test the selected weights. Call it once, when `done`."""
        with self._on_stream(join=True):
            return self._finish()

    def _finish(self) -> TrialResult:
        self.model.load_state_dict(self._best_weights)
        with reproducible(trial_seed(self.spec, "test")):
            validation, tested = self.predict("val"), self.predict("test")
            noisy = {noise: self.predict("test", noise).summary() for noise in self.spec.test_noise}
        images, test = tested.images(), tested.summary()
        if self.data.task == "segmentation":
            test["per_image"] |= {name: float(images[name].mean()) for name in DISTANCES}
        for noise, summary in noisy.items():
            test |= {f"{protocol}@noise={noise:g}": metrics for protocol, metrics in summary.items()}
        return TrialResult(
            test=test,
            validation=validation.summary(),
            rows=self.data.rows["test"].cpu().numpy(),
            images=images,
            predictions=tested.classes.cpu().numpy(),
            probabilities=None if tested.probabilities is None else tested.probabilities.cpu().numpy(),
            confusion=tested.confusion(),
            weights={name: value.cpu() for name, value in self._best_weights.items()},
            best_epoch=self.best_epoch,
            epochs=self.epochs_done,
            findings=self.findings,
        )

    @contextmanager
    def _on_stream(self, *, join: bool = False) -> Iterator[None]:
        """On this trial's stream, after what the caller's holds so far; with `join` the caller's goes on after it."""
        if self._stream is None:
            yield
            return
        outer = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(outer)
        with torch.cuda.stream(self._stream):
            yield
        if join:
            outer.wait_stream(self._stream)

    def _tensors(self) -> list[Tensor]:
        """Everything that a step changes."""
        optimizer = (value for state in self.optimizer.state.values() for value in state.values())
        kept = (*self.model.state_dict().values(), *self.fusion.parameters(), *self.fusion.buffers(), *optimizer)
        return [
            *(tensor.detach() for tensor in kept if isinstance(tensor, Tensor)),
            *self._recorder.tensors,
            *self._rate.tensors,
        ]

    def _logits(self, images: Float[Tensor, "b C *spatial"]) -> Float[Tensor, "b K *spatial"]:
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.spec.precision == "bf16"):
            return self.model(channels_last(images))

    def _select(self, epoch: int, validation: dict[str, float]) -> None:
        score = epoch if self.spec.selection == "last" else validation[self.spec.selection]
        if score > self._best_score:
            self._best_score, self.best_epoch = float(score), epoch
            self._best_weights = copy.deepcopy(self.model.state_dict())

    def _refuse_divergence(self, steps: dict[str, np.ndarray]) -> None:
        """A loss may be infinite and harmless (the notebook's has no gradient); a network that is not is lost."""
        if bool(torch.stack([parameter.isfinite().all() for parameter in self.model.parameters()]).all()):
            return
        first = {name: np.flatnonzero(~np.isfinite(values)) for name, values in steps.items()}
        found = [(int(where[0]), name) for name, where in first.items() if where.size]
        step, cause = min(found) if found else (len(steps["total"]) - 1, "the network")
        raise TrainingDiverged(
            f"`{cause}` is not finite at step {self.epochs_done * self.steps_per_epoch + step} "
            f"(epoch {self.epochs_done}). Lower the learning rate, or use precision fp32."
        )


def train(
    spec: TrialSpec,
    data: TrialData,
    *,
    device: str | torch.device = "cpu",
    on_epoch: Callable[[EpochReport], None] | None = None,
) -> TrialResult:
    """Train and test one trial; `on_epoch` sees every epoch's report as it comes."""
    trial = Trial(spec, data, device=device)
    while not trial.done:
        report = trial.epoch()
        if on_epoch is not None:
            on_epoch(report)
    return trial.finish()
