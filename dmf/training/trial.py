"""One trial: `TrialSpec` and data in, records out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from dmf.metrics.counts import judged
from dmf.training.augment import Augmentation, Augmenter, add_noise, as_float
from dmf.training.build import build_fusion, build_network, random_start
from dmf.training.checkpoint import require_same_trial
from dmf.training.data import TrialData, channels_last, count_batches, epoch_order, require_size
from dmf.training.diagnostics import Diagnostics, Finding
from dmf.training.evaluation import DISTANCES, Predictions
from dmf.training.graphs import ReplayedStep, Step
from dmf.training.loading import Resident, build_loader
from dmf.training.recorder import StepColumns
from dmf.training.results import EpochReport, TrainingDiverged, TrialResult
from dmf.training.seeding import derive_seed, reproducible, trial_seed
from dmf.training.selection import ModelSelector
from dmf.training.spec import TrialSpec
from dmf.training.step import TrainingStep

__all__ = ["EpochReport", "TrainingDiverged", "Trial", "TrialResult", "build_network", "train"]


class Trial:
    """A training run that is driven an epoch at a time.

        trial = Trial(spec, data)
        while not trial.done:
            report = trial.epoch()
        result = trial.finish()

    Inside an epoch the device is never waited for: histories stay on it until the epoch ends.

    Attributes:
        loader: Where batches come from.
        augment: What is done to training images.
        model: The network.
        fusion: Losses and weighting.
        training_step: What is done with a batch.
        selector: Which epoch's weights are tested.
        replayed: For a data set that lies on a GPU, `step` as a CUDA graph, which `take_step` then takes.
        batches: Row numbers of the batches of the epoch that was begun last, in order; of none before the first.
    """

    def __init__(self, spec: TrialSpec, data: TrialData, *, device: str | torch.device = "cpu") -> None:
        self.spec = spec
        self.device = torch.device(device)
        require_size(data, spec.image_size)
        self.loader = build_loader(data, self.device)
        self.augment = Augmenter(Augmentation.parse(spec.augmentation), self.device)
        self.epochs_done = 0
        self.findings: list[Finding] = []
        self.batches: list[Int[Tensor, " b"]] = []
        channels, classes = self.data.images.shape[1], len(self.data.classes)
        with reproducible(trial_seed(spec, "weights")):
            self.model = build_network(spec, channels, classes)
            steps = spec.epochs * self.steps_per_epoch
            self.fusion = build_fusion(spec, classes, steps, self.data.ignore_index).to(self.device)
        self.findings.extend(random_start(spec, self.model))
        self.model.to(self.device)
        for parameter in self.model.parameters():
            parameter.data = channels_last(parameter.data)
        self.training_step = TrainingStep(
            spec, self.model, self.fusion, steps_per_epoch=self.steps_per_epoch, device=self.device
        )
        self.selector = ModelSelector(spec.selection)
        self._diagnostics = Diagnostics(self.fusion.loss_names)
        self._stream: torch.cuda.Stream | None = None
        self.replayed: Step | None = None
        if self.device.type == "cuda":
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            if isinstance(self.loader, Resident):
                self.replayed = ReplayedStep(self.step, lambda: self.training_step.tensors)

    @property
    def data(self) -> TrialData:
        """What it trains on: on its device, unless that takes more than `loading.RESIDENT_BYTES`."""
        return self.loader.data

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return count_batches(len(self.data.rows["train"]), self.spec.batch_size)

    @property
    def done(self) -> bool:
        """Whether every epoch has been trained."""
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
        with self.on_stream(), reproducible(trial_seed(self.spec, f"epoch {self.epochs_done}")):
            for rows in self.begin_epoch():
                self.take_step(rows)
            self.validate()

    def begin_epoch(self) -> list[Int[Tensor, " b"]]:
        """Set network, losses, learning rate and augmentation to the next epoch; returns the rows of its batches."""
        self._started = time.perf_counter()
        self.model.train()
        self.fusion.set_epoch(self.epochs_done)
        self.training_step.rate.seek(self.epochs_done * self.steps_per_epoch)
        self.augment.begin(trial_seed(self.spec, f"augmentation {self.epochs_done}"))
        rows, order = self.data.rows["train"], trial_seed(self.spec, "order")
        self.batches = epoch_order(rows, self.spec.batch_size, order, self.epochs_done)
        self.loader.prefetch(self.batches)
        return self.batches

    def validate(self) -> None:
        """Predict the validation split, for `close_epoch` to score."""
        self._validated = self.predict("val")

    def close_epoch(self) -> EpochReport:
        """The second half of `epoch`: wait for the device, and see what has come of it."""
        with self.on_stream(join=True):
            return self._close_epoch(self.epochs_done)

    def _close_epoch(self, number: int) -> EpochReport:
        validation = self._validated.validation()
        steps = self.training_step.recorder.drain()
        findings = self._diagnostics.observe(steps)
        self._refuse_divergence(steps)
        self.findings.extend(findings)
        self.selector.observe(number, validation, self.model)
        self.epochs_done += 1
        return EpochReport(
            epoch=number,
            steps=steps,
            validation=validation,
            train_total=float(steps[StepColumns.total].mean()),
            seconds=time.perf_counter() - self._started,
            learning_rate=self.training_step.rate.value,
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
            **self.training_step.state_dict(),
            "selector": self.selector.state_dict(),
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
            self.training_step.load_state_dict(state)
            self._diagnostics.load_state_dict(state["diagnostics"])
        except (RuntimeError, KeyError, TypeError) as error:
            raise ValueError(f"The checkpoint does not fit this trial's network and losses: {error}") from error
        self.selector.load_state_dict(state["selector"], self.device)
        self.findings = [Finding(**finding) for finding in state["findings"]]
        self.epochs_done = state["epochs_done"]

    def step(self, rows: Int[Tensor, " b"]) -> None:
        """One optimiser step on the images of `rows`."""
        self.training_step(*self.batch(rows))

    def take_step(self, rows: Int[Tensor, " b"]) -> None:
        """`step`, as a CUDA graph where there is one."""
        (self.replayed or self.step)(rows)

    def batch(self, rows: Int[Tensor, " b"]) -> tuple[Float[Tensor, "b C *spatial"], UInt8[Tensor, " b *spatial"]]:
        """Training images of `rows` as the network sees them, augmented, in [0, 1], and their targets."""
        return self.augment(*self.loader.batch(rows))

    @torch.inference_mode()
    def predict(self, split: str, noise: float = 0.0) -> Predictions:
        """What the network says about every image of a split.

        Args:
            split: "train", "val" or "test".
            noise: Standard deviation of Gaussian noise on the images, in units of the intensities' range. It follows
                from (seed, data set, image) alone, so that all models are asked about the same pictures.
        """
        self.model.eval()
        seed = torch.full((), derive_seed("test noise", self.spec.seed, self.spec.dataset), device=self.device)
        order = torch.split(self.data.rows[split], self.spec.batch_size)
        self.loader.prefetch(order)
        predictions = []
        for batch in map(self.loader.batch, order):
            images = as_float(batch.images)
            if noise:
                images = add_noise(images, images.new_full((len(images),), noise), seed, batch.rows)
            logits = self.training_step.logits(images)
            predictions.append(Predictions.of(logits, batch.targets, self.data.ignore_index))
        return Predictions.concatenated(predictions)

    def finish(self) -> TrialResult:
        """Test the selected weights. Call it once, when `done`."""
        with self.on_stream(join=True):
            return self._finish()

    def _finish(self) -> TrialResult:
        self.replayed = None  # its graph holds this trial, which would hold its memory until Python looks for circles
        self.model.load_state_dict(self.selector.weights)
        with reproducible(trial_seed(self.spec, "test")):
            validation, tested = self.predict("val"), self.predict("test")
            noisy = {noise: self.predict("test", noise).summary() for noise in self.spec.test_noise}
        rows, spacing = self.data.rows["test"].cpu().numpy(), self.data.spacing
        images, test = tested.images(None if spacing is None else spacing[rows]), tested.summary()
        if self.data.task == "segmentation":
            distances = (name for name in images if name.removesuffix("_original") in DISTANCES)
            seen = judged(tested.counts).cpu().numpy()
            test["per_image"] |= {name: float(images[name][seen].mean()) for name in distances}
        for noise, summary in noisy.items():
            test |= {f"{protocol}@noise={noise:g}": metrics for protocol, metrics in summary.items()}
        return TrialResult(
            test=test,
            validation=validation.summary(),
            rows=rows,
            images=images,
            predictions=tested.classes.cpu().numpy(),
            probabilities=None if tested.probabilities is None else tested.probabilities.cpu().numpy(),
            confusion=tested.confusion(),
            weights={name: value.cpu() for name, value in self.selector.weights.items()},
            best_epoch=self.selector.epoch,
            epochs=self.epochs_done,
            findings=self.findings,
        )

    @contextmanager
    def on_stream(self, *, join: bool = False) -> Iterator[None]:
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

    def _refuse_divergence(self, steps: dict[str, np.ndarray]) -> None:
        """A loss may be infinite and harmless (the notebook's has no gradient); a network that is not is lost."""
        if self.training_step.finite:
            return
        first = {name: np.flatnonzero(~np.isfinite(values)) for name, values in steps.items()}
        found = [(int(where[0]), name) for name, where in first.items() if where.size]
        step, cause = min(found) if found else (len(steps[StepColumns.total]) - 1, "the network")
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
