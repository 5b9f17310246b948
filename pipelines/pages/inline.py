"""Pages that are one file: pictures, data and scripts inside, and nothing that a browser may fetch."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

TYPES = {".png": "image/png", ".webp": "image/webp"}
LEVELS = 65534
"""Steps in which a series is kept; one more number stands for what is no number."""


def data_uri(content: bytes, suffix: str) -> str:
    """A picture's address that holds the picture."""
    return f"data:{TYPES[suffix]};base64,{base64.b64encode(content).decode()}"


def picture_uri(path: Path) -> str:
    """The same of a file."""
    return data_uri(path.read_bytes(), path.suffix)


def embedded(data: Any) -> Markup:
    """JSON for a `<script type="application/json">`: no text in it can end the element or begin a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """A Content-Security-Policy: these scripts and styles run, pictures are inside, and nothing is ever fetched."""
    allowed = {
        "default-src": ["'none'"],
        "script-src": [_hash(text) for text in scripts],
        "style-src": [_hash(text) for text in styles],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in allowed.items())


def packed(values: np.ndarray) -> list[Any]:
    """A series as [lowest, highest, text]: unsigned 16-bit numbers, evenly from lowest to highest, in base64.

    It comes back within 1/131068 of the range. What is not finite comes back as no number.
    """
    finite = np.isfinite(values)
    low, high = (float(choose(values[finite])) if finite.any() else 0.0 for choose in (np.min, np.max))
    steps = np.full(len(values), LEVELS + 1, dtype="<u2")
    steps[finite] = np.rint((values[finite] - low) / ((high - low) or 1.0) * LEVELS).astype("<u2")
    return [float(f"{low:.6g}"), float(f"{high:.6g}"), base64.b64encode(steps.tobytes()).decode()]


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
