"""Whether a grid loses anything: whatever may break is broken while it runs. See `benchmarks.chaos.script`."""

from __future__ import annotations

from benchmarks.chaos.compare import differences
from benchmarks.chaos.script import main, tables

__all__ = ["differences", "main", "tables"]
