"""Where things lie."""

import re
import socket
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""


def free_port() -> int:
    """One of this machine on which nobody listens, on any of its addresses."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def params_of(study: str) -> str:
    """params.yaml with this study, whatever the one is that the repository is set to just now."""
    return re.sub(r"^study: \S+", f"study: {study}", (ROOT / "params.yaml").read_text(), count=1, flags=re.MULTILINE)
