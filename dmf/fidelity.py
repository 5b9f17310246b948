"""The three fidelities: which reading of the papers is computed (docs/audit.md).

`paper` is the equations as printed, `reference` the authors' own code to the letter, `stable` a repair of where the
equations break down. A loss, a weighting or a schedule that knows no such difference is the same in all three.
"""

from __future__ import annotations

FIDELITIES = ("paper", "reference", "stable")
PAPER, REFERENCE, STABLE = FIDELITIES
