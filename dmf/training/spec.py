"""One cell of the grid: everything that decides what a training run computes, frozen and validated."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dmf.checks import require, require_above, require_at_least, require_choice
from dmf.fidelity import FIDELITIES
from dmf.metrics import METRICS
from dmf.training.augment import Augmentation
from dmf.training.selection import LAST

OPTIMIZERS = ("adam", "adamw", "sgd")
PRECISIONS = ("auto", "fp32", "bf16")
SCHEDULES = ("constant", "poly")
SELECTIONS = (LAST, *METRICS)
SPLIT = r"[a-z]\w*(:[\w.-]+)*"

Params = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """What one trial trains, on what, and how. Same spec, same data, same code: same identifier and same result.

    Defaults are those of the DMF paper (section 10) and, where it is silent, of its authors' notebook.

    Args:
        dataset: Name of the data set in the catalogue.
        seed: Repeat number. Initial weights and batch order follow from (seed, dataset, model) alone.
        model, model_params: Name in `dmf.models.MODELS` (or `smp:...`, `timm:...`) and its arguments.
        activation, activation_params: Name in `dmf.activations.ACTIVATIONS` of what takes the place of the model's own
            activations, and its arguments; None leaves them.
        output_activation: Whether it comes before the softmax, too: losses and predictions see softmax(φ(z)) of the
            network's outputs z. The loss fusion paper replaces "ReLU and Softmax"; a φ with values of both signs cannot
            itself be a distribution.
        losses, loss_params: Base losses, in order; arguments of each by name (the auxiliary's too).
        weighting, weighting_params: Name in `dmf.weightings.WEIGHTINGS` and its arguments.
        auxiliary: Name of the auxiliary loss, or None.
        gamma0, tau, tick: Auxiliary schedule, equation (2); `tick` batches make one step of it.
        fidelity: "paper", "reference" or "stable" (docs/audit.md).
        split: Which rows train, select and test, by a name that whoever holds the data knows, such as "grouped",
            "fold:3" or "random:0:0.7-0.1-0.2"; "default" is the one that was chosen for the data set.
        filtered: Train on bilaterally filtered images, equations (26, 27).
        image_size: Side of the square images in pixels.
        epochs, batch_size, learning_rate, weight_decay: As usual.
        optimizer: "adam", "adamw" or "sgd", torch's own; the first two by fused kernels, whose last bits differ.
        schedule, schedule_power: "constant", or "poly" for `learning_rate * (1 - step / steps)^schedule_power` at each
            step of the whole training, as in the Adapt Exp paper.
        augmentation: Arguments of `dmf.training.augment.Augmentation`; training images stay as they are without any.
        precision: Of the network: "fp32", "bf16" by autocast, or "auto", which is bf16 where the device computes it
            itself and else fp32 (`used_precision`). Losses are always summed in float32.
        selection: Validation metric whose best epoch is tested, or "last"; by the protocol `reference` in segmentation
            and `macro` in classification.
        test_noise: Standard deviations of Gaussian noise, in units of the intensities' range, with which test images
            are scored once more. (The Adapt Exp paper does not say which one its table 10 used.)

    Raises:
        ValueError: for a value outside its range, naming field, value and what is allowed.
    """

    dataset: str
    seed: int
    model: str = "unet"
    model_params: Params = field(default_factory=dict)
    activation: str | None = None
    activation_params: Params = field(default_factory=dict)
    output_activation: bool = False
    losses: tuple[str, ...] = ("cross_entropy", "iou", "dice")
    loss_params: Mapping[str, Params] = field(default_factory=dict)
    weighting: str = "variance"
    weighting_params: Params = field(default_factory=dict)
    auxiliary: str | None = "cb_dice"
    gamma0: float = 5.0
    tau: float = 0.05
    tick: int = 100
    fidelity: str = "paper"
    split: str = "default"
    filtered: bool = True
    image_size: int = 128
    epochs: int = 100
    batch_size: int = 32
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "constant"
    schedule_power: float = 0.9
    augmentation: Params = field(default_factory=dict)
    precision: str = "fp32"
    selection: str = "cb_dice"
    test_noise: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "losses", tuple(self.losses))
        object.__setattr__(self, "test_noise", tuple(self.test_noise))
        levels, known = self.test_noise, {*self.losses, self.auxiliary}
        require(bool(self.losses), "losses", self.losses, "at least one loss")
        require(len(set(self.losses)) == len(self.losses), "losses", self.losses, "each loss once")
        require(0 <= self.seed < 2**32, "seed", self.seed, "0 to 2**32 - 1")
        for name, low in _LOWEST.items():
            require_at_least(low, **{name: getattr(self, name)})
        require_above(0, learning_rate=self.learning_rate)
        apart = len(set(levels)) == len(levels) and all(0 < level <= 1 for level in levels)
        require(apart, "test_noise", levels, "different numbers above 0 and at most 1")
        Augmentation.parse(self.augmentation)
        for name, allowed in _CHOICES.items():
            require_choice(name, getattr(self, name), allowed)
        named = re.fullmatch(SPLIT, self.split, re.ASCII) is not None
        require(named, "split", self.split, "a name such as grouped or fold:3")
        activated = self.activation is not None or not self.output_activation
        require(activated, "output_activation", self.output_activation, "false where no `activation` is named")
        for name in self.loss_params:
            require(name in known, "loss_params", name, "the name of a loss of this trial")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `TrialSpec.from_dict` reverses it."""
        return json.loads(json.dumps(vars(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrialSpec:
        """Rebuild a spec from `to_dict`."""
        return cls(**values)


_LOWEST = {
    **dict.fromkeys(("image_size", "epochs", "batch_size", "tick"), 1),
    **dict.fromkeys(("gamma0", "tau", "weight_decay", "schedule_power"), 0),
}
_CHOICES = {
    "fidelity": FIDELITIES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "selection": SELECTIONS,
}
