"""What the weightings and the auxiliary schedule do in each fidelity, over a whole training."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness.tables import Table
from dmf.fidelity import FIDELITIES
from dmf.schedule import AuxiliarySchedule
from dmf.weightings import RULES, build_weighting

ORACLE = Path(__file__).resolve().parents[2] / "tests/oracles/dmf_reference.json"
EPOCHS, BATCH = 100, 32
# Training images at 70 % of each of the paper's data sets.
TRAINING_IMAGES = {"BUSI": 453, "BUSC": 175, "BUS Synthetic": 350}


def trace(steps: int = 1500) -> Tensor:
    """Cross-entropy, IoU and Dice losses of a made-up training: falling together, with noise, partly in common."""
    generator = np.random.default_rng(0)
    course = np.exp(-np.arange(steps) / 400)[:, None] * [0.70, 0.75, 0.55] + [0.05, 0.20, 0.12]
    noise = 0.03 * generator.standard_normal((steps, 1)) + 0.01 * generator.standard_normal((steps, 3))
    return torch.tensor(course + noise, dtype=torch.float32)


def weights(losses: Tensor, name: str, fidelity: str, **params: int) -> Tensor:
    """The weights (steps, N) by which a weighting multiplies the losses."""
    weighting = build_weighting(name, losses.shape[1], fidelity, **params)
    with torch.no_grad():
        return torch.stack([weighting(step) for step in losses])


def _collapse(name: str, losses: Tensor, **params: int) -> list[list[str]]:
    rows = []
    for fidelity in FIDELITIES:
        history = weights(losses, "bayesian", fidelity, **params)
        above = (history.amax(1) > 0.99).nonzero()
        first = str(int(above[0])) if len(above) else "never"
        final = ", ".join(f"{weight:.3f}" for weight in history[-1].tolist())
        rows.append([name, fidelity, first, f"{(history.amax(1) > 0.99).double().mean():.0%}", final])
    return rows


COLLAPSE = ["trace", "fidelity", "first step with a weight > 0.99", "share of steps", "last weights"]


def collapse() -> Table:
    """When one weight of `bayesian` has all but taken everything."""
    return Table(COLLAPSE, _collapse("made up", trace()))


def collapse_oracle() -> Table:
    """The same on the loss traces on which the notebook was run."""
    rows = []
    for case in json.loads(ORACLE.read_text())["weights"]:
        if case["method"] == "bayes":
            sizes = {key: case[key] for key in ("history_size", "history_size_max")}
            name = f"{case['kind']}, warm-up {case['history_size']}"
            rows += _collapse(name, torch.tensor(case["losses"]), **sizes)
    return Table(COLLAPSE, rows)


def median() -> Table:
    """MAD of short histories with both medians, then what that changes in the weights."""
    rows = []
    for values in ([1, 2, 4, 8, 16], [1, 2, 4, 8], [1, 1, 1, 5, 5, 5, 5]):
        memory = torch.tensor([values], dtype=torch.float64)
        found = []
        for fidelity in ("paper", "reference"):
            rules = RULES[fidelity]()
            found.append(f"{rules.mad(rules.normalise(memory)).item():.3f}")
        rows.append([f"MAD of {', '.join(map(str, values))}, normalised", *found])
    losses = trace()
    paper, reference = (weights(losses, "mad", fidelity) for fidelity in ("paper", "reference"))
    gap = (paper - reference).abs()
    rows.append(["largest weight of `mad`, made-up trace", f"{paper.max():.4f}", f"{reference.max():.4f}"])
    rows.append(["difference of the weights, largest and mean", "", f"{gap.max():.4f}, {gap.mean():.4f}"])
    return Table(["", "paper", "reference"], rows)


def constant() -> Table:
    """Weights when the third of three losses never moves."""
    losses = trace(300)
    losses[:, 2] = 0.5
    rows = [
        [f"`{name}`", *(", ".join(f"{w:.3f}" for w in weights(losses, name, f)[-1].tolist()) for f in FIDELITIES)]
        for name in ("variance", "mad", "bayesian")
    ]
    return Table(["weighting", *FIDELITIES], rows)


def warm_up() -> Table:
    """The first step (from 0) whose weights are not the initial ones, for the warm-up that was asked for."""
    rows = []
    for asked in (10, 30, 50):
        first = []
        for fidelity in FIDELITIES:
            history = weights(trace(200), "variance", fidelity, history_size=asked)
            first.append(str(int((history - 1 / 3).abs().amax(1).gt(1e-4).nonzero()[0])))
        rows.append([str(asked), *first])
    return Table(["history_size", *FIDELITIES], rows)


def attached() -> Table:
    """The factor of each loss's gradient, beside the weight that the notebook reports."""
    losses = trace(300)
    rows = []
    for name in ("variance", "mad", "bayesian"):
        nominal, weighting = weights(losses, name, "reference"), build_weighting(name, 3, "reference")
        effective = torch.stack([weighting.combine(step).weights for step in losses])
        factor = effective[:, 0]
        gap = (effective - nominal).abs()
        reversed_ = (factor < 0).double().mean()
        rows.append([f"`{name}`", f"{gap.max():.3f}", f"{factor.min():.3f} to {factor.max():.3f}", f"{reversed_:.1%}"])
    header = ["weighting", "largest difference from the weight", "cross-entropy's factor", "steps on which it is < 0"]
    return Table(header, rows)


def auxiliary_share() -> Table:
    """γ over a training of 100 epochs, and the auxiliary term's share of the weights, γ / (γ + 1)."""
    rows = []
    for name, images in TRAINING_IMAGES.items():
        steps = EPOCHS * math.ceil(images / BATCH)
        for fidelity in ("paper", "stable"):
            schedule = AuxiliarySchedule(fidelity=fidelity, total_steps=steps)
            gamma = torch.stack([schedule() for _ in range(steps)])
            share = gamma / (gamma + 1)
            label = "paper, reference" if fidelity == "paper" else fidelity
            ends = [f"{gamma[0]:.2f} to {gamma[-1]:.2f}", f"{share.mean():.0%}", f"{share[-1]:.0%}"]
            rows.append([name, str(steps), label, str(len(set(gamma.tolist()))), *ends])
    header = ["data set", "steps", "fidelity", "values of γ", "γ, first to last", "mean share", "share at the end"]
    return Table(header, rows)
