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

    Flips, rotation, scaling and cropping move masks along (nearest pixel); what comes from outside the image is 0,
    background. Volumes are turned and cropped in the plane of their last two axes, since their slices may lie further
    apart.

    Args:
        horizontal_flip, vertical_flip, depth_flip: Probability of mirroring the last axis, the one before, and that of
            the slices of a volume.
        contrast: Largest change c of the factor, drawn from [1 - c, 1 + c], by which intensities go away from the
            image's mean.
        brightness: Largest amount b that is added, drawn from [-b, b].
        gamma: g: intensities are raised to a power from 1 / (1 + g) to 1 + g, its logarithm drawn evenly.
        saturation: Largest change s of the factor, drawn from [1 - s, 1 + s], by which colours go away from their grey.
        hue: h up to 0.5: colours are turned about the grey axis by a share of the full circle drawn from [-h, h]. Both
            in Y'IQ (see `turn_colours`), of images with three channels, red, green and blue.
        rotation: Largest angle in degrees, drawn from [-rotation, rotation].
        scale: Largest change s of the size of what is seen, drawn from [1 - s, 1 + s].
        crop: Largest share c of a side that is cut off: a window of the image, its sides a share of the image's drawn
            from [1 - c, 1] and its place drawn evenly, is enlarged to the size of the image (bilinear).
        noise: Gaussian noise is added of a standard deviation drawn from [0, noise].

    After contrast and brightness, after saturation and hue, and after noise, intensities are clipped to [0, 1].

    Raises:
        ValueError: for a value out of its range.
    """

    horizontal_flip: float = 0.0
    vertical_flip: float = 0.0
    depth_flip: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0
    gamma: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    crop: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        limits = {"gamma": math.inf, "hue": 0.5, "rotation": 180.0, "scale": 0.9, "crop": 0.9}
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


# One column of draws each; adding one at the end leaves the others' draws.
_DRAWN = (
    *(
        "horizontal_flip",
        "vertical_flip",
        "depth_flip",
        "contrast",
        "brightness",
        "gamma",
        "rotation",
        "scale",
        "noise",
    ),
    *("crop", "crop_row", "crop_column", "saturation", "hue"),
)
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
        even = dict(zip(_DRAWN, self.drawn(rows).unbind(1), strict=True))
        mirrored: Mirrored = {
            axis: even[name] < probability for name, axis in _FLIPS.items() if (probability := getattr(settings, name))
        }
        turning = bool(settings.rotation or settings.scale or settings.crop)
        on_the_way: Mirrored = {axis: mirrored.pop(axis) for axis in (-1, -2) if turning and axis in mirrored}
        images, targets = _flipped(images, targets, mirrored)
        pictures = self._intensities(images, even)
        if settings.saturation or settings.hue:
            factor = 1 + settings.saturation * _signed(even["saturation"])
            pictures = turn_colours(pictures, factor, 2 * math.pi * settings.hue * _signed(even["hue"]))
        if turning:
            pictures, targets = self._turn(pictures, targets, even, on_the_way)
        if settings.noise:
            pictures = add_noise(pictures, (settings.noise * even["noise"]).float(), self._seed, rows)
        return pictures, targets

    def drawn(self, rows: Int[Tensor, " b"]) -> Float[Tensor, "b n"]:
        """What decides about images in this epoch: float64 in (0, 1), a column for each thing that may be done."""
        return draws.uniform(self._seed, rows[:, None], torch.arange(len(_DRAWN), device=rows.device))

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
        """Mirror in the plane, rotate and scale about the centre, then crop: one look-up for each pixel."""
        angle = math.radians(self.settings.rotation) * _signed(even["rotation"])
        size = 1 + self.settings.scale * _signed(even["scale"])
        window = 1 - self.settings.crop * even["crop"][:, None]
        place = {-1: even["crop_column"][:, None], -2: even["crop_row"][:, None]}
        axes = {axis: _window(pictures.shape[axis], window, place[axis]) for axis in (-1, -2)}
        grid = _grid(angle, size, mirrored, axes[-1], axes[-2])
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


def turn_colours(
    pictures: Float[Tensor, "b 3 *spatial"], factor: Float[Tensor, "b 1"], angle: Float[Tensor, "b 1"]
) -> Float[Tensor, "b 3 *spatial"]:
    """Saturation times `factor` and hue turned by `angle` (radians), in Y'IQ; clipped to [0, 1].

    Y = .30 R + .59 G + .11 B, I = .74 (R - Y) - .27 (B - Y) and Q = .48 (R - Y) + .41 (B - Y), as Python's colorsys
    has them. Y stays; (I, Q) is turned and lengthened. The inverse is one 3x3 matrix an image, taken by products and
    sums, whose last bits do not depend on the size of the batch.

    Raises:
        ValueError: for images that have not three channels.
    """
    if pictures.shape[1] != 3:
        raise ValueError(
            "Parameters `saturation` and `hue` of the augmentation need images with 3 channels, red, green and blue. "
            f"Found {pictures.shape[1]}; use `brightness` and `contrast`."
        )
    shape = (-1, *[1] * (pictures.ndim - 2))
    red, green, blue = pictures.unbind(1)
    luma = 0.30 * red + 0.59 * green + 0.11 * blue
    i, q = 0.74 * (red - luma) - 0.27 * (blue - luma), 0.48 * (red - luma) + 0.41 * (blue - luma)
    cosine, sine = ((factor * f(angle)).float().view(shape) for f in (torch.cos, torch.sin))
    i, q = cosine * i - sine * q, sine * i + cosine * q
    determinant = 0.74 * 0.41 + 0.27 * 0.48
    red, blue = luma + (0.41 * i + 0.27 * q) / determinant, luma + (0.74 * q - 0.48 * i) / determinant
    green = (luma - 0.30 * red - 0.11 * blue) / 0.59
    return torch.stack([red, green, blue], 1).clamp_(0, 1)


def _window(length: int, share: Float[Tensor, "b 1"], place: Float[Tensor, "b 1"]) -> Float[Tensor, "b {length}"]:
    """Where the pixels of a cropped axis lie, in pixels from the image's centre.

    Their distances are shrunk to `share`, the first lies on the first of the image (`place` 0), the last on the last
    (1), or in between.
    """
    pixels = torch.arange(length, device=share.device) - (length - 1) / 2
    return pixels * share + (place - 0.5) * (1 - share) * (length - 1)


def _grid(
    angle: Float[Tensor, "b 1"],
    size: Float[Tensor, "b 1"],
    mirrored: Mirrored,
    x: Float[Tensor, "b W"],
    y: Float[Tensor, "b H"],
) -> Float[Tensor, "b H W 2"]:
    """Where each pixel of the turned image comes from, in `grid_sample`'s coordinates of pixel centres.

    `x` and `y` are its pixels' distances from the centre. By products and sums alone, not by a matrix product, whose
    last bits depend on the size of the batch. The two coordinates lie in planes of their own, which is quicker to write
    and to read than pairs of them.
    """
    cosine, sine = ((f(angle) / size).float()[:, None] for f in (torch.cos, torch.sin))
    width, height = x.shape[1], y.shape[1]
    x, y = x.float()[:, None, :], y.float()[:, :, None]
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
