"""The kinds of test that a claim may name under `test: {kind: ...}`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipelines.papers.kinds.base import Cell, Kind, NotTested, Outcome, Quantity
from pipelines.papers.kinds.contrasts import Difference, Fusion, Gain, Holds
from pipelines.papers.kinds.rows import Anova, Equivalent, First, Slope
from pipelines.papers.kinds.trials import Correlation, Proportion, Spread, Threshold

AnyKind = Annotated[
    Difference
    | Holds
    | Fusion
    | Gain
    | First
    | Equivalent
    | Anova
    | Slope
    | Threshold
    | Proportion
    | Spread
    | Correlation,
    Field(discriminator="kind"),
]

__all__ = ["AnyKind", "Cell", "Kind", "NotTested", "Outcome", "Quantity"]
