"""`import dmf`: what a person with a training loop of their own gets, and what they do not have to install."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import torch

import dmf
from tests.support.places import ROOT

PLATFORM = ("ray", "mlflow", "dvc", "pandas", "pyarrow", "pydantic", "timm", "segmentation_models_pytorch", "torchjd")


def test_importing_it_loads_nothing_of_the_platform() -> None:
    code = f"import sys, dmf; print([name for name in {PLATFORM} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    assert all(hasattr(dmf, name) for name in dmf.__all__)


def test_the_readmes_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    logits = torch.randn(2, 2, 8, 8, requires_grad=True)
    names = {"logits": logits, "target": torch.randint(0, 2, (2, 8, 8))}
    exec(example, names)
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0
    assert names["out"].weights.shape == names["out"].losses.shape == (3,)


def test_the_example_of_the_page_on_loops_runs() -> None:
    """Two scales are one step of memory."""
    page = (ROOT / "docs" / "loops.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["fusion"].weighting.memory.step == 1
    assert names["logits"].grad.isfinite().all()
