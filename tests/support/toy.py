"""Data sets small enough to train on within a second: bright squares on noise, to be found or to be told apart."""

from __future__ import annotations

import torch

from dmf.training.data import TrialData
from dmf.training.spec import TrialSpec

EVERYTHING = {
    "horizontal_flip": 0.5, "vertical_flip": 0.5, "contrast": 0.3, "brightness": 0.2, "gamma": 0.5, "rotation": 30.0,
    "scale": 0.2, "crop": 0.3, "noise": 0.1,
}  # fmt: skip
"""Every augmentation of pictures at once."""


def toy_data(images: int = 24, size: int = 16, seed: int = 0) -> TrialData:
    generator = torch.Generator().manual_seed(seed)
    masks = torch.zeros(images, size, size, dtype=torch.uint8)
    for mask in masks:
        top, left = torch.randint(1, size // 2, (2,), generator=generator).tolist()
        mask[top : top + size // 3, left : left + size // 3] = 1
    noise = torch.randint(0, 80, (images, 1, size, size), generator=generator)
    pictures = (noise + 120 * masks[:, None]).to(torch.uint8)
    return TrialData(pictures, masks, quarters(images), ("background", "lesion"))


def toy_labels(images: int = 24, size: int = 16, seed: int = 0) -> TrialData:
    """Classification: every third image is dark, every third bright, the others in between."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.arange(images) % 3).to(torch.uint8)
    noise = torch.randint(0, 60, (images, 1, size, size), generator=generator)
    pictures = (noise + 80 * labels[:, None, None, None]).to(torch.uint8)
    return TrialData(pictures, labels, quarters(images), ("dark", "grey", "bright"))


def toy_volumes(images: int = 8, depth: int = 8, size: int = 16, seed: int = 0) -> TrialData:
    """Squares that go through four slices of a volume."""
    flat = toy_data(images, size, seed)
    masks = torch.zeros(images, depth, size, size, dtype=torch.uint8)
    masks[:, 2:6] = flat.targets[:, None]
    noise = torch.randint(0, 80, (images, 1, depth, size, size), generator=torch.Generator().manual_seed(seed))
    return TrialData((noise + 120 * masks[:, None]).to(torch.uint8), masks, flat.rows, flat.classes)


def quarters(images: int) -> dict[str, torch.Tensor]:
    """Half of the images for training, a quarter each for validation and test."""
    bounds = {"train": (0, images // 2), "val": (images // 2, 3 * images // 4), "test": (3 * images // 4, images)}
    return {split: torch.arange(*bound) for split, bound in bounds.items()}


def toy_spec(**changes: object) -> TrialSpec:
    small = {"history_size": 4, "history_size_max": 12}
    values = {
        "dataset": "toy",
        "seed": 0,
        "model_params": {"base_filters": 4},
        "weighting_params": small,
        "image_size": 16,
        "epochs": 3,
        "batch_size": 4,
    }
    return TrialSpec(**{**values, **changes})  # type: ignore[arg-type]
