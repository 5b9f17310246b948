"""Every Python program in docs/ runs, page by page, or says why it does not: `<!-- not run: reason -->`.

Those of README.md and CONTRIBUTING.md have tests of their own, in tests/dmf/test_front_door.py and beside this file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from pipelines.datasets.readers.images import load_image
from pipelines.trials.predictor import predictor_of
from tests.support.places import ROOT
from tests.support.toy import toy_data, toy_spec
from tests.support.trained import trained

BLOCK = re.compile(r"(?:^<!-- not run: (?P<reason>.+) -->\n)?^```python\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def programs(path: Path) -> list[str]:
    """Those that can be run, in their order."""
    return [found["code"] for found in BLOCK.finditer(path.read_text("utf-8")) if found["reason"] is None]


def run(path: Path) -> dict[str, Any]:
    """The names that a page's programs leave, each of which goes on where the one before ended."""
    names: dict[str, Any] = {}
    for number, program in enumerate(programs(path)):
        exec(compile(program, f"{path}, program {number}", "exec"), names)
    return names


@pytest.mark.parametrize("path", [path for path in PAGES if programs(path) and path.name != "export.md"], ids=named)
def test_programs_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(path)


def test_a_network_is_taken_elsewhere_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page prepares pictures as the platform does."""
    monkeypatch.chdir(tmp_path)
    trial = trained(tmp_path / "trials" / "quickstart" / "0123456789abcdef", toy_spec(epochs=1), toy_data())
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30), dtype=np.uint8)).save("picture.png")
    names = run(ROOT / "docs" / "export.md")
    assert names["mask"].shape == (16, 16)
    shown = predictor_of(trial.folder).prepared(load_image(Path("picture.png")))
    assert torch.equal(names["prepared"]("picture.png"), shown)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_yaml_can_be_read(path: Path) -> None:
    for text in re.findall(r"^```yaml\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        assert isinstance(yaml.safe_load(text), dict | list)
