"""`import dmf`: what a person with a training loop of their own gets, and what they do not have to install."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
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


def test_the_readmes_examples_run() -> None:
    fusion, heads = programs("README.md")
    logits = torch.randn(2, 2, 8, 8, requires_grad=True)
    names = {"logits": logits, "target": torch.randint(0, 2, (2, 8, 8))}
    exec(fusion, names)
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0
    assert names["out"].weights.shape == names["out"].losses.shape == (3,)
    exec(heads, names)
    assert names["trunk"].weight.grad.abs().sum() > 0
    assert names["out"].weights == {"age": 0.5, "kind": 0.5}


def programs(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_the_example_of_the_page_on_loops_runs() -> None:
    """Two scales are one step of memory."""
    names: dict[str, Any] = {}
    exec(programs("docs/loops.md")[0], names)
    assert names["fusion"].weighting.memory.step == 1
    assert names["logits"].grad.isfinite().all()


@pytest.mark.parametrize("weighting", ["uncertainty", "mad", "torchjd:MGDA", "torchjd:STCH"])
def test_the_example_of_several_heads_runs_with_any_weighting(weighting: str) -> None:
    example = programs("docs/loops.md")[-1]
    names: dict[str, Any] = {}
    params = ", mu=0.1" if weighting == "torchjd:STCH" else ""
    heads = '["segmentation", "depth"]'
    exec(example.replace(f'"uncertainty", {heads}', f'"{weighting}", {heads}{params}'), names)
    assert list(names["history"]) == ["segmentation", "depth"]
    assert names["trunk"][0].weight.grad.abs().sum() > 0
    assert (names["history"]["depth"] == 0.5) == (weighting in ("uncertainty", "mad"))
