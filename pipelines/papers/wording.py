"""Verdicts as rows of text and of numbers: what the console, the page and the tables all print."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipelines.papers.inference import MOST
from pipelines.papers.kinds import Cell
from pipelines.papers.verdict import Verdict

NONE = "–"
HEADS = ("Claim", "Statement", "Verdict", "Effect", "95 % interval", "n", "n for 80 % power", "Basis")


def row_of(verdict: Verdict) -> dict[str, str]:
    """One line a claim, by `HEADS`."""
    cell, claim = verdict.cell, verdict.claim
    values = (
        claim.id,
        f"{claim.statement} ({claim.place})" if claim.place else claim.statement,
        str(verdict.outcome),
        effect_text(cell) if cell else "",
        interval_text(cell) if cell else "",
        str(cell.n) if cell else "",
        needed_text(verdict) if cell else "",
        basis(verdict),
    )
    return dict(zip(HEADS, values, strict=True))


def basis(verdict: Verdict) -> str:
    """Why: how many tests say what, which one decides, and what a reader must know beside."""
    parts = [verdict.reason, *([verdict.cell.label] if verdict.cell else []), *verdict.notes]
    return "; ".join(parts)


def effect_text(cell: Cell) -> str:
    """Such as: +5.00 points; F 12.1; 0.31 (a measure of the course)."""
    if cell.unit == "F":
        return f"F {cell.effect:.3g}"
    return f"{_number(cell.effect, cell)} {cell.unit}".strip()


def interval_text(cell: Cell) -> str:
    """Such as: +3.10 to +6.90; nothing for an F, which has no interval."""
    if not (math.isfinite(cell.low) and math.isfinite(cell.high)):
        return ""
    return f"{_number(cell.low, cell)} to {_number(cell.high, cell)}"


def needed_text(verdict: Verdict) -> str:
    """Repeats for 80 % power, where so many could be trained; a dash where nobody can tell."""
    if verdict.needed is not None:
        return f"{verdict.needed:,}"
    return f"> {MOST:,}" if verdict.cell and verdict.cell.needed else NONE


def decimal(value: float, digits: int = 2, *, sign: bool = False) -> str:
    """A finite number with so many decimals, and a plus if there is to be a `sign`; no minus before zero."""
    return f"{round(value, digits) + 0.0:{'+' if sign else ''}.{digits}f}"


def claim_table(found: Sequence[Verdict]) -> pd.DataFrame:
    """One row a claim, numbers as numbers, for CSV."""
    return pd.DataFrame([{**_claim(one), **_test(one.cell), **_outcome(one)} for one in found])


def cell_table(found: Sequence[Verdict]) -> pd.DataFrame:
    """One row a test of a claim, for CSV."""
    rows = [{"claim": one.claim.id, **_test(cell), "state": str(cell.state)} for one in found for cell in one.cells]
    return pd.DataFrame(rows, columns=["claim", *_TEST, "state"])


def tags(found: Sequence[Verdict]) -> dict[str, str]:
    """What MLflow's experiment is told: `claim/<id>`, verdict and effect."""

    def text(one: Verdict) -> str:
        if (cell := one.cell) is None:
            return f"{one.outcome}: {one.reason}"
        return f"{one.outcome}: {effect_text(cell)}, 95 % interval {interval_text(cell) or 'none'}, n = {cell.n}"

    return {f"claim/{one.claim.id}": text(one) for one in found}


_TEST = ("test", "effect", "low", "high", "unit", "p", "n")


def _test(cell: Cell | None) -> Mapping[str, Any]:
    values = (cell.label, cell.effect, cell.low, cell.high, cell.unit, cell.p, cell.n) if cell else [None] * len(_TEST)
    return dict(zip(_TEST, values, strict=True))


def _claim(verdict: Verdict) -> dict[str, str]:
    claim = verdict.claim
    return {"claim": claim.id, "study": verdict.study, "place": claim.place, "statement": claim.statement}


def _outcome(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": str(verdict.outcome),
        "needed": verdict.needed,
        "tests": len(verdict.cells),
        **{f"tests_{outcome.name.lower()}": number for outcome, number in verdict.counts.items()},
        "basis": verdict.reason,
        "notes": "; ".join(verdict.notes),
    }


def _number(value: float, cell: Cell) -> str:
    if cell.unit in ("points", "px", "%"):
        return decimal(value, sign=True)
    return f"{value + 0.0:.3g}"
