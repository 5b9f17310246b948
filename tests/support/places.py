"""Where things lie."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""


def params_of(study: str) -> str:
    """params.yaml with this study, whatever the one is that the repository is set to just now."""
    return re.sub(r"^study: \S+", f"study: {study}", (ROOT / "params.yaml").read_text(), count=1, flags=re.MULTILINE)
