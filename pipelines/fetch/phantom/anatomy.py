"""A breast in the imaging plane: skin, subcutaneous fat, glandular tissue, fascia and pectoral muscle.

Echogenicity is in decibels relative to glandular tissue; the ordering (skin and fascia brightest, then gland, muscle,
fat, fluid) and the attenuation of soft tissue follow textbook values for B-mode imaging of the breast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.fetch.phantom.grid import Grid, Map

FAT, MUSCLE, SKIN, GEL = -13.0, -12.0, 4.0, -30.0


@dataclass(frozen=True)
class Tissue:
    """What the sound meets, on the cells of a grid."""

    scatter: Map
    """Strength of the scatterers, dB relative to glandular tissue."""
    mirror: Map
    """Amplitude that interfaces lying across the beam reflect in phase; glandular scatterers have 1."""
    attenuation: Map
    """Two-way attenuation beyond that of average soft tissue, dB per mm."""


@dataclass(frozen=True)
class Layers:
    """Depths of the interfaces along the probe, in millimetres (row vectors)."""

    skin: Map
    fat: Map
    gland: Map
    fascia: Map


def grow_layers(rng: np.random.Generator, grid: Grid) -> Layers:
    """Draw the interfaces. Fat meets gland in scallops, with crests where ligaments of Cooper attach."""
    skin = rng.uniform(1.2, 2.4) + 0.15 * grid.smooth_curve(rng, 8)
    slope = rng.normal(0, 0.06) * (grid.lateral - grid.extent / 2)
    scallops = 1.8 * np.abs(grid.smooth_curve(rng, 3.5)) - 1.4
    fat = skin + grid.extent * rng.uniform(0.08, 0.3) + rng.uniform(0.4, 1.2) * scallops + slope
    fat = np.maximum(fat, skin + 0.5)
    fascia = grid.extent * rng.uniform(0.66, 0.95) + 0.9 * grid.smooth_curve(rng, 9) + 1.5 * slope
    gland = fascia - np.maximum(0.3, rng.uniform(0.3, 3.0) + 0.8 * grid.smooth_curve(rng, 5))
    return Layers(skin, fat, np.maximum(gland, fat + 2), np.maximum(fascia, fat + 3))


def grow_tissue(rng: np.random.Generator, grid: Grid, layers: Layers) -> Tissue:
    """Fill the layers with tissue."""
    in_fat = between(grid, layers.skin, layers.fat) + between(grid, layers.gland, layers.fascia)
    in_gland = between(grid, layers.fat, layers.gland)
    in_muscle = between(grid, layers.fascia, np.full_like(layers.skin, 2 * grid.extent))
    in_skin = between(grid, np.full_like(layers.skin, 0.25), layers.skin)

    course = 0.3 * layers.fat + rng.normal(0, 0.14) * grid.lateral + rng.uniform(0.2, 1.2) * grid.smooth_curve(rng, 6)
    septa, across = ridges(grid, follow(grid, grid.smooth_field(rng, 1.2, 3.8), course), rng.uniform(0.12, 0.22))
    fibres, along = ridges(grid, follow(grid, grid.smooth_field(rng, 0.45, 4.5), layers.fascia), 0.14)
    lobules = follow(grid, grid.smooth_field(rng, 0.9, 2.4), course)
    streaks = follow(grid, grid.smooth_field(rng, 0.3, 2.6), course)
    uneven = grid.smooth_field(rng, 5, 7)

    fattiness = rng.uniform(-0.6, 0.9)
    islands = 1 / (1 + np.exp(-6 * (lobules - 1.2 + fattiness)))
    gland = FAT * 0.75 * islands + rng.uniform(1.5, 4.5) * streaks + 1.5 * uneven
    muscle = MUSCLE + 1.5 * streaks + 13 * fibres * along
    fat = FAT + 1.0 * uneven
    scatter = GEL + in_skin * (SKIN - GEL) + in_fat * (fat - GEL) + in_gland * (gland - GEL)
    scatter += in_muscle * (muscle - GEL)
    patchy = np.clip(0.7 + 0.6 * lobules, 0, 1.5)
    scatter += septa * patchy * (0.3 + 0.7 * across) * (in_fat * rng.uniform(8, 15) + in_gland * rng.uniform(1, 6))

    mirror = septa * patchy * across**4 * (in_fat * rng.uniform(0.2, 0.9) + 0.5 * in_gland)
    mirror *= np.clip(uneven + 0.5, 0, 2)
    glint = np.clip(0.5 + 0.5 * grid.smooth_curve(rng, 2.5), 0.05, 1.5)
    mirror += 1.2 * line(grid, layers.skin, 0.15) + rng.uniform(0.5, 2.0) * glint * line(grid, layers.fascia, 0.2)
    mirror += 1.5 * line(grid, np.full_like(layers.skin, 0.3), 0.12)
    attenuation = in_gland * rng.uniform(-0.05, 0.15) - 0.1 * in_fat + 0.1 * in_muscle + septa * across * 0.1
    return Tissue(scatter.astype(np.float32), mirror.astype(np.float32), attenuation.astype(np.float32))


def cast_shadows(rng: np.random.Generator, grid: Grid, tissue: Tissue, layers: Layers) -> Tissue:
    """Artefacts that a network must not take for lesions: poor contact, shadows of ligaments, ducts and vessels."""
    attenuation, scatter = tissue.attenuation.copy(), tissue.scatter.copy()
    if rng.random() < 0.3:
        edge = rng.choice([0.0, grid.extent]) + rng.normal(0, 1.0)
        lost = rng.uniform(6, 18) * np.exp(-0.5 * ((grid.lateral - edge) / rng.uniform(1.5, 4)) ** 2)
        attenuation += lost / 2 * (grid.depth < 2)
    for _ in range(rng.poisson(1.2)):
        where, width = rng.uniform(0, grid.extent), rng.uniform(0.3, 1.2)
        start = np.interp(where, grid.lateral[0], layers.fat[0]) + rng.uniform(-1, 3)
        profile = np.exp(-0.5 * ((grid.lateral - where) / width) ** 2)
        attenuation += rng.uniform(2, 6) * profile * np.exp(-0.5 * ((grid.depth - start) / 0.5) ** 2)
    for _ in range(rng.poisson(0.8)):
        where = rng.uniform(0, grid.extent)
        top = np.interp(where, grid.lateral[0], layers.fat[0])
        bottom = np.interp(where, grid.lateral[0], layers.gland[0])
        depth, tilt = rng.uniform(top, bottom), rng.normal(0, 0.25)
        u, v = grid.lateral - where, grid.depth - depth - tilt * (grid.lateral - where)
        duct = np.exp(-(((u / rng.uniform(0.7, 3.0)) ** 2 + (v / rng.uniform(0.4, 0.7)) ** 2) ** 2))
        scatter -= rng.uniform(8, 18) * duct
    return Tissue(scatter, tissue.mirror, attenuation)


def between(grid: Grid, top: Map, bottom: Map) -> Map:
    """1 between two interfaces, 0 elsewhere, with an edge of about a cell."""
    soft = grid.spacing
    return np.clip((grid.depth - top) / soft, 0, 1) * np.clip((bottom - grid.depth) / soft, 0, 1)


def line(grid: Grid, depth: Map, width: float) -> Map:
    """A thin reflector at `depth`, brightest where it lies across the beam."""
    slope = np.gradient(depth[0], grid.spacing)[None, :]
    return np.exp(-0.5 * ((grid.depth - depth) / width) ** 2) / (1 + 6 * slope**2)


def follow(grid: Grid, field: Map, interface: Map) -> Map:
    """Shift each column of a field so that its texture runs along an interface."""
    shift = np.round((interface - interface.mean()) / grid.spacing).astype(int)
    rows = (np.arange(field.shape[0])[:, None] - shift) % field.shape[0]
    return np.take_along_axis(field, rows, axis=0)


def ridges(grid: Grid, field: Map, width: float) -> tuple[Map, Map]:
    """Thin sheets along the zero level of a field, and how squarely each meets the beam (0 to 1)."""
    down, right = np.asarray(np.gradient(field, grid.spacing), np.float32)
    steepness = down**2 + right**2 + 1e-6
    across: Map = down**2 / steepness
    return np.exp(-0.5 * field**2 / (steepness * width**2)), across
