"""Run the library's programs in pages of the documentation, on nothing but it: `python examples.py README.md ...`."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dmf

for page in map(Path, sys.argv[1:]):
    for program in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        logits = torch.randn(2, 2, 16, 16, requires_grad=True)
        names: dict[str, Any] = {"logits": logits, "target": torch.randint(0, 2, (2, 16, 16))}
        exec(program, names)
        modules = (value for value in names.values() if isinstance(value, torch.nn.Module))
        leaves = [names["logits"], *(parameter for module in modules for parameter in module.parameters())]
        gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
        if not gradients or not all(gradient.isfinite().all() for gradient in gradients):
            sys.exit(f"{page}: its program gives gradients that are not finite.")
        versions = f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}"
        place = Path(dmf.__file__).parent
        print(f"{page.name}: {names['out'].total.item():.4f} by dmf {dmf.__version__} in {place}, {versions}")
