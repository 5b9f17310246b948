"""`python -m benchmarks.chaos`."""

from __future__ import annotations

from benchmarks.chaos.script import main

main()
