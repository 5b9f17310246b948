"""The plane of the simulation and the random fields on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Map = NDArray[np.float32]
"""One value per cell of the imaging plane, (depth, lateral)."""

CELLS = 256
"""Cells per side of the imaging plane; an image has half as many pixels per side."""


@dataclass(frozen=True)
class Grid:
    """A square imaging plane of `extent` millimetres, rows in depth and columns along the probe."""

    extent: float

    @property
    def spacing(self) -> float:
        """Size of a cell in millimetres."""
        return self.extent / CELLS

    @cached_property
    def depth(self) -> Map:
        """Depth of each row in millimetres, a column vector."""
        return ((np.arange(CELLS, dtype=np.float32) + 0.5) * self.spacing)[:, None]

    @cached_property
    def lateral(self) -> Map:
        """Position of each column along the probe in millimetres, a row vector."""
        return ((np.arange(CELLS, dtype=np.float32) + 0.5) * self.spacing)[None, :]

    def smooth_field(self, rng: np.random.Generator, depth_mm: float, lateral_mm: float) -> Map:
        """A periodic Gaussian field of mean 0 and variance 1 with the given correlation lengths in millimetres."""
        white = rng.standard_normal((CELLS, CELLS), dtype=np.float32)
        vertical = np.fft.fftfreq(CELLS, self.spacing)[:, None] * depth_mm
        horizontal = np.fft.rfftfreq(CELLS, self.spacing)[None, :] * lateral_mm
        response = np.exp(-2 * np.pi**2 * (vertical**2 + horizontal**2)).astype(np.float32)
        response[0, 0] = 0
        field: Map = fft.irfft2(fft.rfft2(white) * response, s=white.shape)
        return field / field.std()

    def smooth_curve(self, rng: np.random.Generator, lateral_mm: float) -> Map:
        """A Gaussian curve along the probe, mean 0 and variance 1; not periodic. A row vector."""
        white = rng.standard_normal(2 * CELLS)
        frequency = np.fft.rfftfreq(2 * CELLS, self.spacing) * lateral_mm
        response = np.exp(-2 * np.pi**2 * frequency**2)
        response[0] = 0
        curve = np.fft.irfft(np.fft.rfft(white) * response)
        return (curve[:CELLS] / curve.std()).astype(np.float32)[None, :]

    def spread(self, values: NDArray[np.complex64], width_mm: Map) -> NDArray[np.complex64]:
        """Blur each row laterally by a Gaussian whose standard deviation in millimetres depends on the row.

        The sum over a row is kept. `width_mm` is a column vector.
        """
        padded = np.pad(values, ((0, 0), (0, CELLS // 4)), mode="reflect")
        frequency = np.fft.fftfreq(padded.shape[1], self.spacing).astype(np.float32)[None, :]
        response = np.exp(-2 * np.pi**2 * (frequency * width_mm) ** 2).astype(np.float32)
        blurred: NDArray[np.complex64] = fft.ifft(fft.fft(padded, axis=1) * response, axis=1)
        return blurred[:, :CELLS]
