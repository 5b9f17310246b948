"""Numbers in print."""

from __future__ import annotations

import math

from pipelines.papers.wording import decimal


def number(value: float, digits: int = 2, sign: bool = False) -> str:
    """With so many decimals, without a minus before zero; `n/a` for what is no number."""
    return decimal(value, digits, sign=sign) if math.isfinite(value) else "n/a"


def p_value(value: float) -> str:
    return "n/a" if not math.isfinite(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"
