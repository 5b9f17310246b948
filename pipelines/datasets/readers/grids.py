"""Where the voxels of a volume lie in the body: size, spacing and directions, and turning one grid onto another's axes.

Places are in millimetres towards the patient's left, back and head (DICOM's axes, LPS), as in ITK.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from pipelines.core.console import StageError
from pipelines.datasets.readers.images import size_text

SHEAR = 0.01
"""Cosine of the angle between two axes up to which they count as at right angles."""

FARTHEST = 1e9
"""Millimetres that nothing is away, nor the inverse of any voxel's size."""

NEAREST = 0.499
"""Voxels by which two grids may be apart: nearer than half of one, each voxel's nearest has the same index."""

UPRIGHT = np.eye(3)
"""Directions of the body's own axes."""

Triple = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Grid:
    """The voxels of a volume.

    Attributes:
        size: How many by the order in which they are stored, fastest axis first: width, height, depth.
        spacing: Millimetres from one to the next along each axis.
        origin: Where the centre of the first one lies.
        directions: A column for each axis, of length 1 and at right angles.
    """

    size: Triple
    spacing: Float64[np.ndarray, 3]
    origin: Float64[np.ndarray, 3]
    directions: Float64[np.ndarray, "3 3"]

    @property
    def steps(self) -> Float64[np.ndarray, "3 3"]:
        """A column for each axis: the way from one voxel to the next."""
        return self.directions * self.spacing

    def __str__(self) -> str:
        spacing, origin = (", ".join(f"{value:.6g}" for value in values) for values in (self.spacing, self.origin))
        directions = ", ".join(f"{value:.4g}" for value in (self.directions + 0.0).ravel())
        return (
            f"{size_text(self.size[::-1])} voxels (depth x height x width), spacing ({spacing}), origin ({origin}), "
            f"direction ({directions})"
        )


@dataclass(frozen=True)
class Turn:
    """Which stored axis becomes the first, second and third, and which of those then run backwards."""

    order: Triple
    flipped: tuple[bool, bool, bool]


AS_STORED = Turn((0, 1, 2), (False, False, False))


def grid_of(path: Path, size: Triple, steps: Float64[np.ndarray, "3 3"], origin: Float64[np.ndarray, 3]) -> Grid:
    """The grid that a header states by the `steps` along its axes.

    Axes that are almost at right angles are set right: the nearest orthogonal matrix, from the polar decomposition.

    Raises:
        StageError: naming the file, if steps are no numbers or 0, or the grid is sheared.
    """
    if not is_plausible(steps, origin) or not (np.abs(steps).max(axis=0) > 1 / FARTHEST).all():
        raise StageError(
            f"{path}: the header says that steps from voxel to voxel are {_numbers(steps)} mm, and the first one lies "
            f"at {_numbers(origin)}. Expected numbers, and no step of 0. Correct the header."
        )
    spacing = np.linalg.norm(steps, axis=0)
    cosines = steps / spacing
    cosines[np.abs(cosines) < 1e-12] = 0
    shear = np.abs(cosines.T @ cosines - np.eye(3)).max()
    if shear > SHEAR:
        raise StageError(
            f"{path}: the axes of its voxels are not at right angles (cosine {shear:.3g}, at most {SHEAR} is taken for "
            "rounding). Resample it to a grid with right angles."
        )
    left, _, right = np.linalg.svd(cosines)
    return Grid(size, spacing, origin, left @ right if shear > 1e-6 else cosines)


def in_space(
    steps: Float64[np.ndarray, "N N"], origin: Float64[np.ndarray, " N"]
) -> tuple[Float64[np.ndarray, "3 3"], Float64[np.ndarray, 3]]:
    """Steps and origin of 2, 3 or 4 axes in the three of space: a picture lies across the body; time is left out."""
    inside, kept = np.eye(3), min(3, len(steps))
    inside[:kept, :kept] = steps[:kept, :kept]
    return inside, np.concatenate([origin, np.zeros(1)])[:3]


def is_plausible(*places: Float64[np.ndarray, ...]) -> bool:
    """Whether all of them are numbers of millimetres that can be."""
    return all(bool((np.abs(one) < FARTHEST).all()) for one in places)


def turn_towards(grid: Grid, directions: Float64[np.ndarray, "3 3"]) -> Turn:
    """The permutation and flips of a grid's axes that bring them nearest to `directions`, the closest pair first."""
    cosines = directions.T @ grid.directions
    closeness = np.abs(cosines)
    order = [0, 0, 0]
    for _ in range(3):
        wanted, stored = divmod(int(closeness.argmax()), 3)
        order[wanted] = stored
        closeness[wanted], closeness[:, stored] = -1, -1
    first, second, third = order
    flipped = [bool(cosines[wanted, stored] < 0) for wanted, stored in enumerate(order)]
    return Turn((first, second, third), (flipped[0], flipped[1], flipped[2]))


def turned(grid: Grid, turn: Turn) -> Grid:
    """The same places in another order."""
    order = list(turn.order)
    size = (grid.size[order[0]], grid.size[order[1]], grid.size[order[2]])
    backwards = np.array(turn.flipped)
    last = (np.array(size) - 1) * backwards
    origin = grid.origin + grid.steps[:, order] @ last
    return Grid(size, grid.spacing[order], origin, grid.directions[:, order] * np.where(backwards, -1.0, 1.0))


def turned_voxels(voxels: Float32[np.ndarray, ...], turn: Turn) -> Float32[np.ndarray, ...]:
    """Voxels (D, H, W, C) of a grid in the order of `turned`."""
    axes = [2 - axis for axis in reversed(turn.order)]
    backwards = tuple(axis for axis, flip in enumerate(reversed(turn.flipped)) if flip)
    return np.flip(voxels.transpose(*axes, 3), backwards)


def same_voxels(one: Grid, other: Grid) -> bool:
    """Whether each voxel's nearest in the other grid has the same index: at all eight corners, and so everywhere."""
    if one.size != other.size:
        return False
    corners = np.array(list(product(*((0, length - 1) for length in one.size))))
    places = corners @ other.steps.T + other.origin
    apart = np.linalg.solve(one.steps, (places - one.origin).T).T - corners
    return bool(np.abs(apart).max() < NEAREST)


def _numbers(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values.ravel()) + ")"
