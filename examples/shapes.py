"""What the programs share: discs in noise to find, a network that is trained in a second, options, and a last line."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import dmf

SIZE = 32


class Shapes(Dataset[tuple[Tensor, Tensor]]):
    """Bright discs in noise: images `(1, 32, 32)`, labels `(32, 32)` of 0 and 1; the same for the same seed."""

    def __init__(self, count: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        middle = 8 + (SIZE - 16) * torch.rand(count, 2, 1, 1, generator=generator)
        radius = 3 + 5 * torch.rand(count, 1, 1, generator=generator)
        rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
        inside = (rows - middle[:, 0]) ** 2 + (columns - middle[:, 1]) ** 2 <= radius**2
        noise = 0.5 * torch.randn(count, 1, SIZE, SIZE, generator=generator)
        self.images, self.labels = inside[:, None] + noise, inside.long()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]


def network() -> nn.Module:
    """Images `(B, 1, H, W)` to logits `(B, 2, H, W)`."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.GroupNorm(4, 8), nn.ReLU(),
        nn.Conv2d(8, 8, 5, padding=2), nn.GroupNorm(4, 8), nn.ReLU(),
        nn.Conv2d(8, 2, 1),
    )  # fmt: skip


def options(description: str | None) -> argparse.ArgumentParser:
    """Those of every program."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        "--epochs", type=int, default=4, help="train up to this one, from the checkpoint if there is one"
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/example"), help="where the checkpoint lies")
    parser.add_argument("--images", type=int, default=32, help="images to train with")
    parser.add_argument("--validation", type=int, default=8, help="images to validate with, after each epoch")
    return parser


def report(model: nn.Module, fusion: dmf.DynamicMemoryFusion, steps: int) -> None:
    """One line: Dice of the discs, named weights, steps of optimiser and memory, digests of network and memory."""
    images, labels = next(iter(DataLoader(Shapes(16, seed=2), 16)))
    model.eval()
    fusion.eval()
    with torch.no_grad():
        logits = model(images)
        weights = fusion(logits, labels).weights.tolist()
    dice = dmf.summarise(dmf.confusion_counts(logits.argmax(1), labels, 2))["dice"]
    named = ", ".join(f"{name} {weight:.4f}" for name, weight in zip(fusion.loss_names, weights, strict=True))
    remembered = int(fusion.get_buffer("weighting.memory.step"))
    learned = f"network {digest(model)}, memory {digest(fusion)}"
    print(f"dice {dice:.3f} | {named} | {steps} steps, {remembered} remembered | {learned}", flush=True)


def digest(module: nn.Module) -> str:
    """The same for the same state, bit for bit."""
    parts = (value.detach().cpu().numpy().tobytes() for value in module.state_dict().values())
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]
