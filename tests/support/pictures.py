"""Pictures that look like something, and masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def texture(seed: int, height: int = 72, width: int = 96) -> np.ndarray:
    """A smooth random picture with speckle on it; different seeds look different."""
    random = np.random.default_rng(seed)
    smooth = cv2.resize(random.uniform(20, 220, (8, 8)), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + random.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)


def disc(height: int = 72, width: int = 96) -> np.ndarray:
    """A mask of 0 and 255."""
    return cv2.circle(np.zeros((height, width), dtype=np.uint8), (width // 2, height // 2), 15, 255, -1)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
