"""What the trials say about claims, as files beside the tables: Markdown, LaTeX, CSV of claims and of their tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.papers.verdict import Verdict
from pipelines.papers.wording import HEADS, cell_table, claim_table, row_of
from pipelines.report.writers import PACKAGES, escape_latex

NAME = "claims"
CAPTION = (
    "Claims and what the trials say: supported or contradicted if the 95 % interval of each test, Holm-corrected over "
    "the tests of a claim, lies on one side; effect, interval and n (repeats) are those of the test that decides."
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
        *([text.replace("|", "\\|") for text in row_of(v).values()] for v in found),
    ]
    return f"### Claims\n\n{CAPTION}\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def to_latex(found: Sequence[Verdict]) -> str:
    """A `table` environment, no wider than a line and no taller than a page; \\label is tab:claims."""
    columns = "".join(rf"p{{{_WIDTHS[head]}cm}}" if head in _WIDTHS else "l" for head in HEADS)
    body = [" & ".join(map(_breakable, row_of(verdict).values())) + r" \\" for verdict in found]
    lines = [
        rf"% Needs \usepackage{{{PACKAGES}}}. Written by pipelines.report; edits are lost.",
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{escape_latex(CAPTION)}}}",
        rf"\label{{tab:{NAME}}}",
        r"\footnotesize\vspace{4pt}",
        r"\setlength{\tabcolsep}{3pt}",
        r"\begin{adjustbox}{max width=\linewidth, max totalheight=0.8\textheight}",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        " & ".join(escape_latex(head) for head in HEADS) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{adjustbox}",
        r"\end{table}",
        "",
    ]
    return "\n".join(lines)


def _breakable(text: str) -> str:
    """Escaped, and long names of configurations may be broken at their separators."""
    return escape_latex(text).replace("+", r"+\allowbreak{}").replace(r"\_", r"\_\allowbreak{}")
