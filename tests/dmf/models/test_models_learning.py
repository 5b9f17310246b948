"""The architectures of the papers learn: small ones find bright discs under noise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dmf.metrics import confusion_counts, summarise
from dmf.models import build_model

pytest.importorskip("timm")

pytestmark = pytest.mark.slow

SIDE = 32


def discs(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images (N, 3, 32, 32) in [0, 1] and masks; a disc has a radius of 6 to 9 pixels."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    centres = torch.randint(9, SIDE - 9, (count, 2, 1, 1), generator=generator)
    radii = torch.randint(6, 10, (count, 1, 1), generator=generator)
    masks = ((rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2 < radii**2).long()
    return 0.4 * masks[:, None] + 0.5 * torch.rand(count, 3, SIDE, SIDE, generator=generator), masks


@pytest.mark.parametrize(
    ("name", "params", "steps", "rate"),
    [
        (
            "transunet",
            {"width": 16, "blocks": (1, 1, 1), "dim": 32, "depth": 2, "heads": 4, "decoder": (32, 32, 16, 16)},
            60,
            3e-3,
        ),
        ("swin_unet", {"dim": 32, "depths": (2, 2), "heads": (2, 4), "window": 4}, 200, 3e-3),
        ("attention_unet", {"base_filters": 8, "depth": 2}, 40, 1e-2),
        ("rfe_unet:test_resnet", {"fine_filters": 8, "bottlenecks": 1}, 100, 3e-3),
    ],
)
def test_it_finds_discs_that_it_has_not_seen(name: str, params: dict[str, Any], steps: int, rate: float) -> None:
    (images, masks), (unseen, truth) = discs(64, seed=0), discs(16, seed=1)
    torch.manual_seed(0)
    model = build_model(name, 3, 2, image_size=SIDE, **params)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for step in range(steps):
        rows = torch.arange(8 * step, 8 * (step + 1)) % len(images)
        optimizer.zero_grad()
        cross_entropy(model(images[rows]), masks[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        counts = confusion_counts(model.eval()(unseen).argmax(1), truth, 2)
    assert summarise(counts, "pooled")["dice"] > 0.9


def test_compiled_it_learns_the_same() -> None:
    """By torch's default code generator; that every architecture can be traced is tested for all of them."""
    images, labels = discs(4, seed=0)[0], torch.tensor([0, 1, 0, 1])
    losses: dict[bool, list[float]] = {}
    for compiled in (False, True):
        torch.manual_seed(0)
        model = build_model("small_cnn", 3, 2, base_filters=2, blocks=1, hidden=4)
        network = torch.compile(model) if compiled else model
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        losses[compiled] = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = cross_entropy(network(images), labels)
            loss.backward()
            optimizer.step()
            losses[compiled].append(loss.item())
    assert losses[True] == pytest.approx(losses[False], rel=1e-3)
    assert losses[True][2] < losses[True][0]
