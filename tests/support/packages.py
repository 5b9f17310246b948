"""Packages of strangers for tests, installed as pip leaves them: source, and a folder of metadata beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from dmf import ACTIVATIONS, LOSSES, MODELS, WEIGHTINGS

LOSS = """
import torch
from torch.nn import functional as F
from dmf.losses import Loss
from .arithmetic import power

class Brier(Loss):
    '''Σ (p − y)^q over classes, its mean over pixels.'''

    def __init__(self, num_classes, *, ignore_index=None, exponent=2):
        super().__init__(num_classes, ignore_index=ignore_index)
        self.exponent = exponent

    def forward(self, logits, target):
        p = logits.softmax(1)
        y = F.one_hot(target.long(), self.num_classes).movedim(-1, 1)
        return power(p - y, self.exponent).sum(1).mean()

class Unrelated:
    value = 1
"""
ARITHMETIC = "def power(x, q):\n    return x.abs() ** q\n\ndef nobody_asks():\n    return 1\n"
PARTS = """
from torch import nn
from dmf.weightings.base import CarryingWeighting

class Tiny(nn.Conv2d):
    def __init__(self, in_channels, num_classes, *, side=3):
        super().__init__(in_channels, num_classes, side, padding=side // 2)

class Halves(CarryingWeighting):
    @property
    def sums_to(self):
        return 0.5 * self.num_losses

    def weigh_finite(self, losses):
        return losses.new_full((self.num_losses,), 0.5)

class Cube(nn.Module):
    def forward(self, x):
        return x**3

A_NUMBER = 3
"""
FILES = {"__init__.py": "", "losses.py": LOSS, "arithmetic.py": ARITHMETIC, "parts.py": PARTS, "broken.py": "x = = 1"}
OFFERED = """
[dmf.losses]
brier = {0}.losses:Brier
[dmf.weightings]
halves = {0}.parts:Halves
[dmf.models]
tiny = {0}.parts:Tiny
[dmf.activations]
cube = {0}.parts:Cube
"""


def install(
    site: Path, package: str, files: Mapping[str, str] = FILES, offered: str = OFFERED, version: str = "1.2"
) -> Path:
    """Put a package and its metadata into a folder of packages, as pip does; returns the package's folder."""
    folder = site / package
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    metadata = site / f"{package}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: {version}\n"
    )
    (metadata / "top_level.txt").write_text(f"{package}\n")
    (metadata / "entry_points.txt").write_text(offered.format(package))
    return folder


@contextmanager
def on_the_path(site: Path) -> Iterator[None]:
    """A folder of packages from which Python imports; afterwards neither Python nor a registry knows of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        for registry in (LOSSES, WEIGHTINGS, MODELS, ACTIVATIONS):
            patch.setitem(vars(registry), "_classes", {**registry})
        before = set(sys.modules)
        yield
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in {path.stem for path in site.iterdir()}:
                del sys.modules[name]
