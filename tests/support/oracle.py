"""Numbers of others that ours must equal: `tests/oracles/`."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tests.support.places import ROOT


@cache
def notebook() -> dict[str, list[dict[str, Any]]]:
    """What the DMF authors' notebook computes: cases of `weights` and of `metrics` (`tests/oracles/README.md`)."""
    oracle: dict[str, list[dict[str, Any]]] = json.loads((ROOT / "tests/oracles/dmf_reference.json").read_text())
    return oracle
