"""Small fusions, batches for them, and whether two of their steps are the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dmf.fusion import DynamicMemoryFusion, FusionOutput

BASE = ["cross_entropy", "iou", "dice"]
SHORT: dict[str, Any] = {"variance": {"history_size": 2, "history_size_max": 4}, "mad": {"history_size": 2}}


def batches(steps: int = 8, size: int = 8) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(steps, 4, 2, size, size, generator=generator)
    target = torch.randint(0, 2, (steps, 4, size, size), generator=generator)
    return list(zip(logits, target, strict=True))


def fused(weighting: str = "mad", **changes: Any) -> DynamicMemoryFusion:
    torch.manual_seed(0)
    arguments = {"auxiliary": "cb_dice", "tick": 1, "weighting_params": SHORT.get(weighting, {}), **changes}
    return DynamicMemoryFusion(BASE, weighting, **arguments)


def leaves(steps: int = 8) -> list[tuple[Tensor, Tensor]]:
    return [(logits.requires_grad_(), target) for logits, target in batches(steps)]


def same(one: FusionOutput, other: FusionOutput) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
