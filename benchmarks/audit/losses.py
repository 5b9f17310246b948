"""What the losses of the notebook compute, beside the paper's equations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness.tables import Table
from dmf import DynamicMemoryFusion
from dmf.fidelity import PAPER, REFERENCE
from dmf.losses import build_loss

NAMES = ("cross_entropy", "iou", "dice", "tversky", "focal", "cb_dice")
BASE = ("cross_entropy", "iou", "dice")
FIDELITIES = (PAPER, REFERENCE)


def batch() -> tuple[Tensor, Tensor]:
    """Logits of a network that is on its way, for eight images with a round lesion each."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    radii = torch.linspace(6, 16, 8)[:, None, None]
    target = ((rows - 32) ** 2 + (columns - 32) ** 2 < radii**2).long()
    hint = F.one_hot(target, 2).movedim(-1, 1)
    return hint + torch.randn(hint.shape, generator=generator), target


def _gradient(value: Tensor, logits: Tensor) -> Tensor | None:
    return torch.autograd.grad(value, logits, allow_unused=True)[0] if value.requires_grad else None


def _norm(gradient: Tensor | None) -> str:
    return "none" if gradient is None else f"{gradient.norm().item():.5f}"


def gradients() -> Table:
    """Value and norm of the gradient with respect to the logits, of each loss in both fidelities."""
    logits, target = batch()
    rows = []
    for name in NAMES:
        row = [f"`{name}`"]
        for fidelity in FIDELITIES:
            leaf = logits.clone().requires_grad_()
            value = build_loss(name, 2, fidelity=fidelity)(leaf, target)
            row += [f"{value.item():.4f}", _norm(_gradient(value, leaf))]
        rows.append(row)
    return Table(["loss", "paper: value", "gradient", "reference: value", "gradient"], rows)


def direction() -> Table:
    """How far the gradient of the fused total points away from that of cross-entropy alone."""
    logits, target = batch()
    alone = logits.clone().requires_grad_()
    expected = _gradient(F.cross_entropy(alone, target), alone)
    assert expected is not None
    rows = []
    for auxiliary in (None, "tversky", "focal", "cb_dice"):
        row = ["none" if auxiliary is None else f"`{auxiliary}`"]
        for fidelity in FIDELITIES:
            leaf = logits.clone().requires_grad_()
            fusion = DynamicMemoryFusion(BASE, "fixed", auxiliary, fidelity=fidelity)
            found = _gradient(fusion(leaf, target).total, leaf)
            assert found is not None
            row.append(f"{F.cosine_similarity(found.flatten(), expected.flatten(), dim=0).item():.4f}")
        rows.append(row)
    return Table(["auxiliary loss", "paper: cosine", "reference: cosine"], rows)


def focal() -> Table:
    """Equation (19) and the notebook's expression, as a network grows more certain of what it sees."""
    logits, target = batch()
    cases = {
        "logits as above": logits,
        "three times as large": 3 * logits,
        "background everywhere": torch.tensor([4.0, 0.0]).view(1, 2, 1, 1).expand_as(logits),
    }
    rows = [
        [name, *(f"{build_loss('focal', 2, fidelity=f)(case, target).item():.4f}" for f in FIDELITIES)]
        for name, case in cases.items()
    ]
    return Table(["prediction", "paper (19)", "reference"], rows)


def class_weights() -> Table:
    """Class weights by equation (22) and by the sentence below it."""
    rows = []
    for ratios in ((0.94, 0.06), (0.90, 0.08, 0.02), (0.70, 0.15, 0.10, 0.05)):
        ratio = torch.tensor(ratios)
        for name, weights in (("1 / ratio, equation (22)", 1 / ratio), ("1 - ratio, the prose", 1 - ratio)):
            shares = (weights / weights.sum()).tolist()
            rows.append([", ".join(f"{r:.2f}" for r in ratios), name, ", ".join(f"{share:.3f}" for share in shares)])
    return Table(["class ratios", "weights by", "weights"], rows)
