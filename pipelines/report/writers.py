"""Tables as text: LaTeX for the paper, Markdown for the repository."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.report.names import printed
from pipelines.report.tables import Entry, Line, Table

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
    "γ": r"$\gamma$",
    "τ": r"$\tau$",
}


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    return "".join(_LATEX.get(character, character) for character in text)


def to_latex(table: Table) -> str:
    """A `table` environment that needs the package booktabs only; \\label is tab:<dataset>_<protocol>."""
    columns = "l" * len(table.axes) + "r" * len(table.metrics)
    heads = [printed(axis) for axis in table.axes] + [metric.label for metric in table.metrics]
    body: list[str] = []
    for number, line in enumerate(table.lines):
        if line.opens and number:
            body.append(r"\midrule" if line.baseline else r"\addlinespace")
        cells = [escape_latex(label) for label in labels_to_print(line)] + [_latex_entry(e) for e in line.entries]
        body.append(" & ".join(cells) + r" \\")
    return "\n".join(
        [
            "% Needs \\usepackage{booktabs}. Written by pipelines.report; edits are lost.",
            r"\begin{table}[htbp]",
            r"\centering",
            rf"\caption{{{escape_latex(table.caption)}}}",
            rf"\label{{tab:{table.name}}}",
            r"\footnotesize\vspace{4pt}",
            r"\setlength{\tabcolsep}{3pt}",
            rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
            r"\toprule",
            " & ".join(escape_latex(head) for head in heads) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def to_latex_document(tables: Sequence[Table]) -> str:
    """A document that typesets all tables, for a look at them: `pdflatex all_tables.tex`."""
    inputs = "\n".join(rf"\input{{{table.name}.tex}}" for table in tables)
    return (
        "\\documentclass[a4paper]{article}\n\\usepackage[margin=20mm]{geometry}\n"
        f"\\usepackage{{booktabs}}\n\\begin{{document}}\n{inputs}\n\\end{{document}}\n"
    )


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
    """Outer labels only where a block opens."""
    *outer, inner = line.labels
    return [*(label if line.opens else "" for label in outer), f"{inner} (baseline)" if line.baseline else inner]


def _pipe(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _latex_entry(entry: Entry) -> str:
    mean, std = entry.shown
    number = rf"{mean} \pm {std}" if std else mean if mean != "n/a" else r"\mathrm{n/a}"
    return rf"$\mathbf{{{number}}}$" if entry.best else f"${number}$"
