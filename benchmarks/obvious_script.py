"""The training script that most would write first: what benchmarks/throughput.py measures the platform against.

    python -m benchmarks.obvious_script SPECS.json DATA.pt STORE.db SCORES.json

One process, float32, all cores, a DataLoader, one softmax and one set of counts a loss, Python lists for the memory,
one `log_metric` for each value of each step. It computes what a `dmf.Trial` of the same spec computes, from the same
network, initial weights, batches and images, and is kept to losses cross-entropy, IoU, Dice and CB-Dice under the
`variance` weighting. Nothing of it is slow on purpose.
"""

from __future__ import annotations

import copy
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import mlflow
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot
from torch.utils.data import DataLoader, Dataset

from benchmarks.harness.measure import Stopwatch
from dmf.models import build_model
from dmf.training.data import TrialData, epoch_order
from dmf.training.evaluation import Predictions
from dmf.training.seeding import trial_seed
from dmf.training.spec import TrialSpec

SMOOTH = 1e-6


class Images(Dataset[tuple[Tensor, Tensor]]):
    """Images in [0, 1] and their label maps."""

    def __init__(self, data: TrialData) -> None:
        self.images, self.targets = np.asarray(data.images), np.asarray(data.targets)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.images[row] / np.float32(255)), torch.from_numpy(self.targets[row]).long()


def counts(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Soft TP, FP and FN of each class."""
    p, y = logits.softmax(1), one_hot(target, logits.shape[1]).movedim(-1, 1)
    axes = (0, 2, 3)
    return (p * y).sum(axes), (p * (1 - y)).sum(axes), ((1 - p) * y).sum(axes)


def iou_loss(logits: Tensor, target: Tensor) -> Tensor:
    tp, fp, fn = counts(logits, target)
    return 1 - ((tp + SMOOTH) / (tp + fp + fn + SMOOTH)).mean()


def dice_per_class(logits: Tensor, target: Tensor) -> Tensor:
    tp, fp, fn = counts(logits, target)
    return (2 * tp + SMOOTH) / (2 * tp + fp + fn + SMOOTH)


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    return 1 - dice_per_class(logits, target).mean()


def cb_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    pixels = torch.bincount(target.flatten(), minlength=logits.shape[1])
    rarity = 1 / (pixels / pixels.sum() + 1e-6)
    return 1 - (rarity / rarity.sum() * dice_per_class(logits, target)).sum()


Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "iou": iou_loss,
    "dice": dice_loss,
}


class VarianceWeights:
    """Equations (3, 4) of the DMF paper over the last values of each loss."""

    def __init__(self, number: int, history_size: int, history_size_max: int) -> None:
        self.histories: list[list[float]] = [[] for _ in range(number)]
        self.history_size, self.history_size_max = history_size, history_size_max

    def __call__(self, losses: list[float]) -> list[float]:
        for history, loss in zip(self.histories, losses, strict=True):
            history.append(loss)
            del history[: -self.history_size_max]
        if len(self.histories[0]) < self.history_size:
            return [1 / len(losses)] * len(losses)
        variances = [self._variance(np.array(history)) for history in self.histories]
        total = sum(variances)
        return [variance / total for variance in variances]

    @staticmethod
    def _variance(history: np.ndarray) -> float:
        scaled = np.sign(history) * np.log1p(np.abs(history))
        width = scaled.max() - scaled.min()
        return float(np.var((scaled - scaled.min()) / (width or 1)))


def predict(model: nn.Module, loader: DataLoader[tuple[Tensor, Tensor]]) -> Predictions:
    model.eval()
    with torch.no_grad():
        return Predictions.concatenated([Predictions.of(model(x), y.to(torch.uint8)) for x, y in loader])


def train(spec: TrialSpec, data: TrialData) -> dict[str, float]:
    """Train, validate every epoch, test the best epoch's weights; everything is logged to the active run."""
    torch.manual_seed(trial_seed(spec, "weights"))
    model = build_model(spec.model, 1, 2, image_size=spec.image_size, **spec.model_params)
    optimizer = torch.optim.Adam(model.parameters(), lr=spec.learning_rate)
    weighting = VarianceWeights(len(LOSSES), **spec.weighting_params)
    dataset = Images(data)

    def loader(batches: list[Tensor] | tuple[Tensor, ...]) -> DataLoader[tuple[Tensor, Tensor]]:
        return DataLoader(dataset, batch_sampler=[batch.tolist() for batch in batches])

    best, best_weights, step = -1.0, model.state_dict(), 0
    for epoch in range(spec.epochs):
        model.train()
        batches = epoch_order(data.rows["train"], spec.batch_size, trial_seed(spec, "order"), epoch)
        for images, target in loader(batches):
            logits = model(images)
            losses = [loss(logits, target) for loss in LOSSES.values()]
            weights = weighting([loss.item() for loss in losses])
            gamma, auxiliary = spec.gamma0 * math.exp(-spec.tau * (step // spec.tick)), cb_dice_loss(logits, target)
            total = sum(w * loss for w, loss in zip(weights, losses, strict=True)) + gamma * auxiliary
            optimizer.zero_grad()
            torch.autograd.backward(total)
            optimizer.step()
            for name, loss, weight in zip(LOSSES, losses, weights, strict=True):
                mlflow.log_metric(f"loss/{name}", loss.item(), step=step)
                mlflow.log_metric(f"weight/{name}", weight, step=step)
            mlflow.log_metric("total", total.item(), step=step)
            mlflow.log_metric("gamma", gamma, step=step)
            mlflow.log_metric("auxiliary", auxiliary.item(), step=step)
            step += 1
        validation = predict(model, loader(torch.split(data.rows["val"], spec.batch_size))).validation()
        for name, value in validation.items():
            mlflow.log_metric(f"val/{name}", value, step=step - 1)
        if validation["cb_dice"] > best:
            best, best_weights = validation["cb_dice"], copy.deepcopy(model.state_dict())
    model.load_state_dict(best_weights)
    tested = predict(model, loader(torch.split(data.rows["test"], spec.batch_size)))
    images = tested.images()
    scores = tested.summary()["per_image"] | {name: float(images[name].mean()) for name in ("hd95", "hausdorff")}
    for name, value in scores.items():
        mlflow.log_metric(f"test/{name}", value)
    return scores


def main(arguments: Sequence[str]) -> None:
    specs, arrays, store, answer = (Path(argument) for argument in arguments)
    mlflow.set_tracking_uri(f"sqlite:///{store}")
    mlflow.set_experiment("obvious")
    data = torch.load(arrays, weights_only=False)
    scores = []
    for values in json.loads(specs.read_text()):
        spec = TrialSpec.from_dict(values)
        with Stopwatch() as watch, mlflow.start_run(run_name=f"seed {spec.seed}"):
            result = train(spec, data)
        scores.append({"seed": spec.seed, "seconds": watch.seconds, **result})
    answer.write_text(json.dumps(scores))


if __name__ == "__main__":
    main(sys.argv[1:])
