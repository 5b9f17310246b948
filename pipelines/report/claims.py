"""What the trials say about claims, as files beside the tables: Markdown, LaTeX, CSV of claims and of their tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.pages.markdown import pipe_table
from pipelines.papers.verdict import Verdict
from pipelines.papers.wording import HEADS, cell_table, claim_table, row_of
from pipelines.report.latex import breakable, escape_latex, row, table_environment

NAME = "claims"
CAPTION = (
    "Claims and what the trials say. A test is clear if p < .05, two-sided, Holm-corrected over the tests of a claim. "
    "A claim is supported if all its tests, or as many as it asks for, are clear and on its side; it is contradicted "
    "if so many are clear and against it that too few are left: one, where all have to hold. An F never contradicts; "
    "equivalence and printed differences are judged by intervals instead. Effect, interval and n (repeats) are those "
    "of the test that decides. The 95 % interval is not corrected: it may leave out 0 and its test be undecided."
)
_WIDTHS = {"Statement": 5.0, "Basis": 5.0, "Effect": 1.8}


def write_claims(found: Sequence[Verdict], folder: Path) -> None:
    """claims.md, claims.tex, claims.csv and claims_tests.csv."""
    (folder / f"{NAME}.md").write_text(to_markdown(found))
    (folder / f"{NAME}.tex").write_text(to_latex(found))
    for name, table in ((NAME, claim_table(found)), (f"{NAME}_tests", cell_table(found))):
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.8g", lineterminator="\n")


def to_markdown(found: Sequence[Verdict]) -> str:
    """A pipe table under its caption."""
    rows = [
        list(HEADS),
        ["---"] * len(HEADS),
        *([*row_of(verdict).values()] for verdict in found),
    ]
    return f"### Claims\n\n{CAPTION}\n\n{pipe_table(rows)}\n"


def to_latex(found: Sequence[Verdict]) -> str:
    """A `table` environment; \\label is tab:claims."""
    columns = "".join(rf"p{{{_WIDTHS[head]}cm}}" if head in _WIDTHS else "l" for head in HEADS)
    body = (row(map(breakable, row_of(verdict).values())) for verdict in found)
    return table_environment(NAME, CAPTION, columns, [row(map(escape_latex, HEADS))], body)
