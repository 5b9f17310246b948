"""Lesions: what distinguishes benign from malignant in B-mode is drawn from the BI-RADS descriptors.

Benign: oval or gently lobulated, wider than tall, circumscribed, little attenuation (enhancement behind), thin shadows
from refraction at the edges, or a cyst without echoes. Malignant: irregular or spiculated, often taller than wide,
attenuating (shadow behind), with an echogenic halo and sometimes calcifications.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.fetch.phantom.anatomy import Layers, Tissue
from pipelines.fetch.phantom.grid import Grid, Map


@dataclass(frozen=True)
class Lesion:
    """A lesion's outline in polar form and its acoustic properties."""

    malignant: bool
    width: float
    """Half width, mm."""
    height: float
    """Half height, mm."""
    tilt: float
    """Angle of the long axis, radians."""
    waves: NDArray[np.float64]
    """Relative amplitude, phase of each angular harmonic of the outline, from the second on; (harmonics, 2)."""
    spikes: NDArray[np.float64]
    """Relative length, direction, sharpness of each spicule; (spicules, 3)."""
    contrast: float
    """Echogenicity below the surrounding tissue, dB."""
    attenuation: float
    """Two-way attenuation beyond soft tissue's, dB per mm; negative values leave enhancement behind."""
    rim: float
    """Brightness of the wall (benign) or the halo (malignant), dB."""
    calcified: bool


def draw_lesion(rng: np.random.Generator, malignant: bool) -> Lesion:
    """A lesion of either kind; half sizes from 1.7 to 8.5 mm, small ones more often."""
    size = float(np.clip(rng.lognormal(np.log(5.2 if malignant else 4.4), 0.38), 1.7, 8.5))
    return draw_malignant(rng, size) if malignant else draw_benign(rng, size)


def draw_benign(rng: np.random.Generator, size: float) -> Lesion:
    """A fibroadenoma or, three times in ten, a cyst."""
    cyst = rng.random() < 0.3
    aspect = rng.uniform(0.45, 0.85)
    return Lesion(
        malignant=False,
        width=size * aspect**-0.5,
        height=size * aspect**0.5,
        tilt=rng.normal(0, 0.22),
        waves=draw_waves(rng, 0.12, 3),
        spikes=np.empty((0, 3)),
        contrast=rng.uniform(28, 40) if cyst else rng.uniform(6.5, 17),
        attenuation=rng.uniform(-1.4, -0.6) if cyst else rng.uniform(-0.8, 0.1),
        rim=rng.uniform(0, 7),
        calcified=not cyst and bool(rng.random() < 0.05),
    )


def draw_malignant(rng: np.random.Generator, size: float) -> Lesion:
    """A carcinoma with spicules; the larger it is, the less it attenuates per millimetre."""
    aspect = rng.uniform(0.85, 1.45)
    spicules = rng.integers(3, 9)
    length, direction = rng.uniform(0.05, 0.4, spicules), rng.uniform(0, 2 * np.pi, spicules)
    return Lesion(
        malignant=True,
        width=size * aspect**-0.5,
        height=size * aspect**0.5,
        tilt=rng.normal(0, 0.3),
        waves=draw_waves(rng, 0.26, 11),
        spikes=np.stack([length, direction, rng.uniform(8, 60, spicules)], axis=1),
        contrast=rng.uniform(8, 20),
        attenuation=rng.uniform(0.25, 1.9) * (5 / size) ** 0.5,
        rim=rng.uniform(0, 9),
        calcified=bool(rng.random() < 0.3),
    )


def draw_waves(rng: np.random.Generator, strength: float, count: int) -> NDArray[np.float64]:
    """Amplitudes that fall with the order, and phases, of `count` angular harmonics from the second on."""
    orders = np.arange(2, 2 + count)
    return np.stack([rng.normal(0, strength / orders), rng.uniform(0, 2 * np.pi, count)], axis=1)


def other_view(rng: np.random.Generator, lesion: Lesion) -> Lesion:
    """The same lesion after the probe was turned: another section, the same tissue."""
    waves = lesion.waves + np.stack([np.zeros(len(lesion.waves)), rng.normal(0, 0.5, len(lesion.waves))], axis=1)
    return replace(
        lesion,
        width=lesion.width * rng.uniform(0.8, 1.1),
        height=lesion.height * rng.uniform(0.9, 1.1),
        tilt=-lesion.tilt,
        waves=waves,
    )


def place(rng: np.random.Generator, grid: Grid, layers: Layers, lesion: Lesion) -> tuple[float, float]:
    """A centre (depth, lateral) in millimetres at which the lesion lies between skin and muscle, within the plane."""
    reach = 1.15 * lesion.width
    lateral = rng.uniform(min(reach, grid.extent / 2), max(grid.extent - reach, grid.extent / 2))
    column = int(lateral / grid.spacing)
    top = float(layers.skin[0, column]) + 1.1 * lesion.height + 0.8
    top = min(top, grid.extent - 1.1 * lesion.height)
    bottom = max(float(layers.gland[0, column]) - 0.9 * lesion.height, top + 0.5)
    middle = min(max(float(layers.fat[0, column]) + 0.8 * lesion.height, top), bottom)
    return float(rng.triangular(top, middle, bottom + 1e-3)), float(lateral)


def signed_distance(grid: Grid, layers: Layers, lesion: Lesion, centre: tuple[float, float]) -> Map:
    """Approximate distance to the outline in millimetres, negative inside; a lesion ends at the skin."""
    v, u = grid.depth - centre[0], grid.lateral - centre[1]
    cos, sin = math.cos(lesion.tilt), math.sin(lesion.tilt)
    along, across = u * cos + v * sin, v * cos - u * sin
    angle = np.arctan2(across / lesion.height, along / lesion.width)
    outline = np.ones_like(angle)
    for order, (amplitude, phase) in enumerate(lesion.waves.tolist(), start=2):
        outline += amplitude * np.cos(order * angle + phase)
    for length, direction, sharpness in lesion.spikes.tolist():
        outline += length * np.exp(sharpness * (np.cos(angle - direction) - 1))
    outline = np.maximum(outline, 0.35)
    relative = np.hypot(along / lesion.width, across / lesion.height)
    radius = np.hypot(along, across) / np.maximum(relative, 1e-3)
    beneath = (relative - outline) * radius
    return np.maximum(beneath, layers.skin - grid.depth).astype(np.float32)


def insert(rng: np.random.Generator, grid: Grid, tissue: Tissue, lesion: Lesion, distance: Map) -> Tissue:
    """Put a lesion into tissue, where `distance` is below 0."""
    near = (distance > 0) & (distance < 2.5)
    surroundings = float(np.mean(tissue.scatter[near])) if near.any() else 0.0
    body = surroundings - lesion.contrast + (2.2 if lesion.malignant else 1.0) * grid.smooth_field(rng, 0.8, 1.0)
    blur = 0.45 if lesion.malignant else 0.2
    share = 1 / (1 + np.exp(np.clip(distance / (blur / 2), -30, 30)))
    scatter = tissue.scatter * (1 - share) + body * share
    attenuation = tissue.attenuation * (1 - share) + lesion.attenuation * share

    down, right = np.gradient(distance, grid.spacing)
    across = down**2 / (down**2 + right**2 + 1e-6)
    mirror = tissue.mirror * (1 - share)
    if lesion.malignant:
        uneven = 0.6 + 0.4 * grid.smooth_field(rng, 1.5, 1.5)
        scatter += lesion.rim * uneven * np.exp(-0.5 * ((distance - 0.9) / 0.9) ** 2)
    else:
        wall = np.exp(-0.5 * ((distance - 0.15) / 0.18) ** 2)
        scatter += lesion.rim * wall * (0.25 + 0.75 * across)
        mirror += 0.12 * lesion.rim * wall * across**3
        attenuation += 5.0 * wall * (1 - across) ** 10
    if lesion.calcified:
        rows, columns = np.nonzero(distance < -0.5)
        for chosen in rng.integers(0, max(len(rows), 1), rng.integers(2, 7)) if len(rows) else []:
            mirror[rows[chosen], columns[chosen]] += rng.uniform(5, 14)
            attenuation[rows[chosen], columns[chosen]] += rng.uniform(2, 8)
    return Tissue(scatter.astype(np.float32), mirror.astype(np.float32), attenuation.astype(np.float32))
