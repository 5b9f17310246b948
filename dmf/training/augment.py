"""Augmentation on the training device, a batch at a time: what happens to an image depends on nothing but itself.

Every draw is a function of (seed, epoch, number of the image). So runs that differ in losses, weighting or batch size
see the same pictures, and an epoch can be resumed without the state of a generator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from dmf import draws
from dmf.checks import invalid, refuse_unknown

Images = UInt8[Tensor, "b C *spatial"]
Targets = UInt8[Tensor, " b *spatial"]
Mirrored = dict[int, Bool[Tensor, " b"]]  # for an axis, which images are mirrored along it


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What is done to training images, in this order; everything is off by default. Intensities are in [0, 1].

    Flips, rotation and scaling move masks along (nearest pixel); what comes from outside the image is 0, background.
    Volumes are rotated and scaled in the plane of their last two axes, since their slices may lie further apart.

    Args:
        horizontal_flip, vertical_flip, depth_flip: Probability of mirroring the last axis, the one before, and that of
            the slices of a volume.
        contrast: Largest change c of the factor, drawn from [1 - c, 1 + c], by which intensities go away from the
            image's mean.
        brightness: Largest amount b that is added, drawn from [-b, b].
        gamma: g: intensities are raised to a power from 1 / (1 + g) to 1 + g, its logarithm drawn evenly.
        rotation: Largest angle in degrees, drawn from [-rotation, rotation].
        scale: Largest change s of the size of what is seen, drawn from [1 - s, 1 + s].
        noise: Gaussian noise is added of a standard deviation drawn from [0, noise].

    After contrast and brightness, and after noise, intensities are clipped to [0, 1].

    Raises:
        ValueError: for a value out of its range.
    """

    horizontal_flip: float = 0.0
    vertical_flip: float = 0.0
    depth_flip: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0
    gamma: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        limits = {"gamma": math.inf, "rotation": 180.0, "scale": 0.9}
        for field in fields(self):
            value, limit = getattr(self, field.name), limits.get(field.name, 1.0)
            if not isinstance(value, int | float) or not 0 <= value <= limit or not math.isfinite(value):
                upper = f"from 0 to {limit:g}" if math.isfinite(limit) else "a number of at least 0"
                raise invalid(field.name, value, upper, of="the augmentation")

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Augmentation:
        """Build from plain values; an unknown name raises a ValueError that lists the known ones."""
        refuse_unknown("The augmentation", values, (field.name for field in fields(cls)))
        return cls(**values)


# One column of draws for each setting, in the order of the class: adding one at the end leaves the others' draws.
_COLUMNS = {field.name: column for column, field in enumerate(fields(Augmentation))}
_FLIPS = {"horizontal_flip": -1, "vertical_flip": -2, "depth_flip": -3}


class Augmenter:
    """Applies an `Augmentation` to batches; without a setting it only makes floats of them.

    Nothing in a call waits for the device, and what changes from epoch to epoch is a tensor, so a call can be part of a
    CUDA graph.

    Args:
        settings: What to do.
        device: Where the batches are.
    """

    def __init__(self, settings: Augmentation, device: torch.device) -> None:
        self.settings = settings
        self._seed = torch.zeros((), dtype=torch.int64, device=device)

    def begin(self, seed: int) -> None:
        """Draw from this seed from now on: every epoch has one of its own."""
        self._seed.fill_(seed)

    def __call__(
        self, images: Images, targets: Targets, rows: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b C *spatial"], Targets]:
        """The batch as the network sees it: images as float32 in [0, 1], targets moved along.

        Args:
            images: UInt8, of the data.
            targets: UInt8, of the data.
            rows: The images' numbers in the data.
        """
        settings = self.settings
        if settings == Augmentation():
            return as_float(images), targets
        drawn = draws.uniform(self._seed, rows[:, None], torch.arange(len(_COLUMNS), device=rows.device))
        even = {name: drawn[:, column] for name, column in _COLUMNS.items()}
        mirrored: Mirrored = {
            axis: even[name] < probability for name, axis in _FLIPS.items() if (probability := getattr(settings, name))
        }
        turning = bool(settings.rotation or settings.scale)
        on_the_way: Mirrored = {axis: mirrored.pop(axis) for axis in (-1, -2) if turning and axis in mirrored}
        images, targets = _flipped(images, targets, mirrored)
        pictures = self._intensities(images, even)
        if turning:
            pictures, targets = self._turn(pictures, targets, even, on_the_way)
        if settings.noise:
            pictures = add_noise(pictures, (settings.noise * even["noise"]).float(), self._seed, rows)
        return pictures, targets

    def _intensities(self, images: Images, even: dict[str, Tensor]) -> Float[Tensor, "b C *spatial"]:
        """Contrast, brightness and gamma by a table of 256 intensities for each image."""
        settings = self.settings
        if not (settings.contrast or settings.brightness or settings.gamma):
            return as_float(images)
        flat = images.flatten(1).long()
        table = torch.arange(256, dtype=torch.float64, device=images.device)[None] / 255
        if settings.contrast:
            mean = flat.sum(1)[:, None] / (255 * flat.shape[1])
            table = (table - mean) * (1 + settings.contrast * _signed(even["contrast"])) + mean
        table = (table + settings.brightness * _signed(even["brightness"])).clamp(0, 1)
        if settings.gamma:
            table = table ** (1 + settings.gamma) ** _signed(even["gamma"])
        return table.float().gather(1, flat).view(images.shape)

    def _turn(
        self, pictures: Float[Tensor, "b C *spatial"], targets: Targets, even: dict[str, Tensor], mirrored: Mirrored
    ) -> tuple[Float[Tensor, "b C *spatial"], Targets]:
        """Mirror in the plane, then rotate and scale about the centre: one look-up for each pixel."""
        angle = math.radians(self.settings.rotation) * _signed(even["rotation"])
        size = 1 + self.settings.scale * _signed(even["scale"])
        grid = _grid(angle, size, mirrored, *pictures.shape[-2:])
        pictures = _sampled(pictures, grid, "bilinear")
        if targets.ndim > 1:
            targets = _sampled(targets.float(), grid, "nearest").to(torch.uint8)
        return pictures, targets


def as_float(images: Images) -> Float[Tensor, "b C *spatial"]:
    """Intensities 0 to 255 as float32 in [0, 1]."""
    return images.float().div_(255)


def add_noise(
    pictures: Float[Tensor, "b C *spatial"],
    deviations: Float[Tensor, " b"],
    seed: Int[Tensor, ""],
    rows: Int[Tensor, " b"],
) -> Float[Tensor, "b C *spatial"]:
    """Gaussian noise of the given standard deviations, by a draw of (seed, row), clipped to [0, 1]."""
    values = draws.noise(seed, rows, pictures[0].numel())
    return values.mul_(deviations[:, None]).view(pictures.shape).add_(pictures).clamp_(0, 1)


def _signed(even: Float[Tensor, " b"]) -> Float[Tensor, "b 1"]:
    """From (0, 1) to (-1, 1)."""
    return (2 * even - 1)[:, None]


def _flipped(images: Images, targets: Targets, mirrored: Mirrored) -> tuple[Images, Targets]:
    for axis, chosen in mirrored.items():
        if images.ndim + axis < 2:
            raise ValueError("Parameter `depth_flip` of the augmentation needs volumes. Found flat images.")
        images = torch.where(_per_image(chosen, images), images.flip(axis), images)
        if targets.ndim > 1:
            targets = torch.where(_per_image(chosen, targets), targets.flip(axis), targets)
    return images, targets


def _per_image(chosen: Tensor, images: Tensor) -> Tensor:
    return chosen.view(-1, *[1] * (images.ndim - 1))


def _grid(
    angle: Float[Tensor, "b 1"], size: Float[Tensor, "b 1"], mirrored: Mirrored, height: int, width: int
) -> Float[Tensor, "b H W 2"]:
    """Where each pixel of the turned image comes from, in `grid_sample`'s coordinates of pixel centres.

    By products and sums alone, not by a matrix product, whose last bits depend on the size of the batch. The two
    coordinates lie in planes of their own, which is quicker to write and to read than pairs of them.
    """
    cosine, sine = ((f(angle) / size).float()[:, None] for f in (torch.cos, torch.sin))
    x, y = (torch.arange(n, device=angle.device) - (n - 1) / 2 for n in (width, height))
    x, y = x[None, None, :], y[None, :, None]
    unit_x, unit_y = (2 / n * _direction(axis, mirrored) for axis, n in ((-1, width), (-2, height)))
    planes = torch.empty(2, len(angle), height, width, device=angle.device)
    torch.add(x * (unit_x * cosine), y * (unit_x * sine), out=planes[0])
    torch.add(y * (unit_y * cosine), x * (-unit_y * sine), out=planes[1])
    return planes.permute(1, 2, 3, 0)


def _direction(axis: int, mirrored: Mirrored) -> Float[Tensor, "b 1 1"] | float:
    """-1 for images that are mirrored along the axis, 1 for the others."""
    return 1 - 2 * mirrored[axis].float()[:, None, None] if axis in mirrored else 1.0


def _sampled(values: Float[Tensor, "b *channels H W"], grid: Float[Tensor, "b H W 2"], mode: str) -> Tensor:
    """All channels and slices through one grid."""
    planes = values.view(len(values), -1, *values.shape[-2:])
    return F.grid_sample(planes, grid, mode=mode, padding_mode="zeros", align_corners=False).view(values.shape)
