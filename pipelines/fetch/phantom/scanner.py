"""From tissue to a B-mode image: scatterers, point-spread function, attenuation, envelope, log compression.

The echo of a scatterer of amplitude a at depth z and lateral position x is `a h(z - z', x - x') exp(-4 pi i f z / c)`
in complex baseband, that is, after the carrier f has been mixed down. h is a Gaussian pulse in depth and a Gaussian
beam laterally, narrowest at the focus: `w(z) = w0 sqrt(1 + ((z - z_f) / z_r)^2)`. With many scatterers in a resolution
cell the magnitude of the sum is Rayleigh distributed: fully developed speckle (Goodman, Statistical properties of
laser speckle patterns, 1975; Wagner et al., Statistics of speckle in ultrasound B-scans, 1983).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.fetch.phantom.anatomy import Tissue
from pipelines.fetch.phantom.grid import CELLS, Grid, Map

SOUND = 1.54
"""Speed of sound in soft tissue, mm per microsecond."""
PULSE, BEAM = 0.75, 1.5
"""Standard deviations of the pulse in depth and of the beam at its focus, wavelengths."""


@dataclass(frozen=True)
class Settings:
    """The knobs of the scanner."""

    frequency: float
    """Centre frequency, MHz."""
    focus: float
    """Depth of the transmit focus, mm."""
    dynamic_range: float
    """Decibels between black and white."""
    gain: float
    """Decibels added before compression."""
    slope: float
    """Error of the time-gain compensation, dB per mm."""
    noise: float
    """Electronic noise at the deepest row, dB relative to glandular speckle."""
    looks: int
    """Sub-bands whose envelopes are averaged (frequency compounding), which calms the speckle."""


def turn_knobs(rng: np.random.Generator, grid: Grid) -> Settings:
    """Settings as operators leave them."""
    return Settings(
        frequency=rng.uniform(6, 9),
        focus=grid.extent * rng.uniform(0.3, 0.7),
        dynamic_range=rng.uniform(50, 60),
        gain=rng.normal(0, 2.5),
        slope=rng.normal(-0.2, 0.13),
        noise=rng.uniform(-34, -22),
        looks=int(rng.integers(1, 4)),
    )


def acquire(rng: np.random.Generator, grid: Grid, tissue: Tissue, settings: Settings) -> NDArray[np.uint8]:
    """One B-mode image, (CELLS / 2, CELLS / 2)."""
    widening = np.sqrt(1 + ((grid.depth - settings.focus) / (0.45 * grid.extent)) ** 2)
    left = transmit(grid, tissue, BEAM * SOUND / settings.frequency * widening)
    compensation = 10 ** (settings.slope * grid.depth / 20)
    hiss = 10 ** ((settings.noise - 14 * (1 - grid.depth / grid.extent)) / 20)
    depth = grid.depth + grid.spacing * rng.random((CELLS, CELLS), dtype=np.float32)
    amplitude = rng.standard_normal((CELLS, CELLS), dtype=np.float32) * 10 ** (tissue.scatter / 20)
    envelope: Map = np.zeros((CELLS, CELLS), np.float32)
    for look in range(settings.looks):
        wavelength = SOUND / (settings.frequency * (1 + 0.15 * (look - (settings.looks - 1) / 2)))
        echoes = left * (amplitude * np.exp(-4j * np.pi / wavelength * depth) + tissue.mirror)
        pulse, beam = PULSE * wavelength, BEAM * wavelength * widening
        pulsed = ndimage.gaussian_filter1d(echoes, pulse / grid.spacing, axis=0)
        received = grid.spread(pulsed, beam) * np.sqrt(4 * np.pi * beam * pulse) / grid.spacing
        envelope += np.abs(compensation * received + hiss * circular_normal(rng))
    return display((envelope / settings.looks).astype(np.float32), settings)


def transmit(grid: Grid, tissue: Tissue, beam: Map) -> Map:
    """Amplitude left of the sound on its way down and up; shadows soften as the aperture sees around their cause."""
    lost = np.cumsum(tissue.attenuation, axis=0, dtype=np.float32) * grid.spacing
    softened = grid.spread(lost.astype(np.complex64), beam + 0.01 * grid.depth).real
    return np.power(10, -softened / 20).astype(np.float32)


def circular_normal(rng: np.random.Generator) -> NDArray[np.complex64]:
    """Complex white noise of unit power."""
    parts = rng.standard_normal((2, CELLS, CELLS), dtype=np.float32)
    return (parts[0] + 1j * parts[1]) / math.sqrt(2)


def display(envelope: Map, settings: Settings) -> NDArray[np.uint8]:
    """Log compression to 8 bits, glandular tissue at about 60 % grey, averaged to the pixels of the screen."""
    level = 20 * np.log10(np.maximum(envelope, 1e-9)) + settings.gain
    grey = 0.6 + level / settings.dynamic_range
    pixels = np.clip(grey, 0, 1).reshape(CELLS // 2, 2, CELLS // 2, 2).mean(axis=(1, 3))
    return np.round(255 * pixels).astype(np.uint8)
