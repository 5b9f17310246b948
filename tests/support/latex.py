"""Documents typeset for real, where there is a LaTeX that knows the packages."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def _installed() -> bool:
    if shutil.which("tectonic"):
        return True
    if not (shutil.which("pdflatex") and shutil.which("kpsewhich")):
        return False
    return subprocess.run(["kpsewhich", "siunitx.sty", "adjustbox.sty"], capture_output=True).stdout.count(b"\n") == 2


needs_latex = pytest.mark.skipif(not _installed(), reason="no LaTeX with siunitx and adjustbox installed")


def typeset(folder: Path, name: str, *, times: int = 1) -> str:
    """Typeset `name`.tex and give what LaTeX said; nothing may be wrong, or stand over the edge of a page."""
    command = [shutil.which("tectonic")] if shutil.which("tectonic") else ["pdflatex", "-interaction=nonstopmode"]
    for _ in range(times):
        ran = subprocess.run([*map(str, command), f"{name}.tex"], cwd=folder, capture_output=True)
        said = ran.stdout.decode(errors="replace")
        assert ran.returncode == 0, said
    assert "Overfull" not in said
    assert "Float too large" not in said
    assert (folder / f"{name}.pdf").stat().st_size > 10_000
    return said
