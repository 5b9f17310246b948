"""Tables as text: LaTeX for the paper, Markdown for the repository, CSV for the next programme."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipelines.report.names import printed
from pipelines.report.tables import Entry, Line, Table

PACKAGES = "booktabs,adjustbox"
"""What LaTeX needs to typeset a table."""
LABELS = 68
"""Characters that the labels of a row share in a LaTeX table; a longer label is broken."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "†": r"$\dagger$",
    "§": r"\S{}",
    "γ": r"$\gamma$",
    "τ": r"$\tau$",
}


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    return "".join(_LATEX.get(character, character) for character in text)


def to_latex(table: Table) -> str:
    """A `table` environment, no wider than a line and no taller than a page; \\label is tab:<dataset>_<protocol>."""
    columns = "l" * len(table.axes) + "r" * len(table.metrics)
    heads = [printed(axis) for axis in table.axes] + [metric.label for metric in table.metrics]
    body: list[str] = []
    for number, line in enumerate(table.lines):
        if line.opens and number:
            body.append(r"\midrule" if line.baseline else r"\addlinespace")
        labels = [_latex_label(label, LABELS // len(table.axes)) for label in labels_to_print(line)]
        cells = labels + [_latex_entry(entry) for entry in line.entries]
        body.append(" & ".join(cells) + r" \\")
    return "\n".join(
        [
            rf"% Needs \usepackage{{{PACKAGES}}}. Written by pipelines.report; edits are lost.",
            r"\begin{table}[htbp]",
            r"\centering",
            rf"\caption{{{escape_latex(table.caption)}}}",
            rf"\label{{tab:{table.name}}}",
            r"\footnotesize\vspace{4pt}",
            r"\setlength{\tabcolsep}{3pt}",
            r"\begin{adjustbox}{max width=\linewidth, max totalheight=0.8\textheight}",
            rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
            r"\toprule",
            " & ".join(escape_latex(head) for head in heads) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{adjustbox}",
            r"\end{table}",
            "",
        ]
    )


def to_latex_document(tables: Sequence[Table], more: Sequence[str] = ()) -> str:
    """A document that typesets all tables, and files of other names: `pdflatex all_tables.tex`."""
    inputs = "\n".join(rf"\input{{{name}.tex}}" for name in [*(table.name for table in tables), *more])
    return (
        "\\documentclass[a4paper]{article}\n\\usepackage[margin=20mm]{geometry}\n"
        f"\\usepackage{{{PACKAGES}}}\n\\begin{{document}}\n{inputs}\n\\end{{document}}\n"
    )


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Eight significant digits; what is no number as `nan`."""
    table.to_csv(path, index=False, float_format="%.8g", na_rep="nan", lineterminator="\n")


def to_markdown(table: Table) -> str:
    """A pipe table under its caption, best means in bold."""
    heads = [printed(axis) for axis in table.axes] + [metric.label for metric in table.metrics]
    rule = ["---"] * len(table.axes) + ["---:"] * len(table.metrics)
    rows = [
        [*line.labels, *(f"**{entry}**" if entry.best else str(entry) for entry in line.entries)]
        for line in table.lines
    ]
    lines = [_pipe(heads), _pipe(rule), *(_pipe([cell.replace("|", "\\|") for cell in row]) for row in rows)]
    return f"### {table.title}\n\n{table.caption}\n\n" + "\n".join(lines) + "\n"


def labels_to_print(line: Line) -> list[str]:
    """Labels that the row above does not have already."""
    shown = [""] * line.repeated + list(line.labels[line.repeated :])
    return [*shown[:-1], f"{shown[-1]} (baseline)" if line.baseline else shown[-1]]


def _latex_label(label: str, width: int) -> str:
    """A label longer than `width` characters in lines of its own."""
    lines = textwrap.wrap(label, width, break_long_words=False, break_on_hyphens=False)
    text = r" \\ ".join(escape_latex(line) for line in lines)
    return rf"\begin{{tabular}}[t]{{@{{}}l@{{}}}}{text}\end{{tabular}}" if len(lines) > 1 else text


def _pipe(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _latex_entry(entry: Entry) -> str:
    mean, std = entry.shown
    number = rf"{mean} \pm {std}" if std else mean if mean != "n/a" else r"\mathrm{n/a}"
    return rf"$\mathbf{{{number}}}$" if entry.best else f"${number}$"
