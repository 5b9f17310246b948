"""A filled table as text: two lines a row, ours and below it the printed value, in the layout of the paper."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import pandas as pd

from pipelines.pages.markdown import pipe_table
from pipelines.papers.wording import decimal
from pipelines.report.latex import escape_latex, table_environment
from pipelines.report.printed.sheet import Cell, Line, Sheet

NONE = "–"
EXPLAINED = (
    "Above: ours, mean ± sample standard deviation. Below: the printed value; in brackets ours minus printed in "
    "standard errors of the difference, where there are any; a printed value counts as exact unless the paper gives "
    "its deviation and how many trainings it is over. A letter marks a printed value that cannot be right."
)


def sheet_to_markdown(sheet: Sheet) -> str:
    """A pipe table; the heads of a column in one line, ours and the printed value in one cell."""
    heads = [*sheet.label_heads, *(" ".join(filter(None, heads)) for heads in sheet.heads)]
    rules = ["---"] * len(sheet.label_heads) + ["---:"] * len(sheet.heads)
    rows = [
        heads,
        rules,
        *([*_labels(line), *(_markdown(cell, sheet, line) for cell in line.cells)] for line in sheet.lines),
    ]
    marks = [f"<sup>{letter}</sup> {reason}" for letter, reason in sheet.mark_notes]
    notes = "\n\n".join([EXPLAINED, *sheet.notes, *marks])
    return f"### {sheet.caption}\n\n{pipe_table(rows)}\n\n{notes}\n"


def sheet_to_latex(sheet: Sheet) -> str:
    """A `table` environment, no wider than a line and no taller than a page; \\label is tab:<paper>-<number>."""
    columns = "l" * len(sheet.label_heads) + "".join(_alignment(sheet, place) for place in range(len(sheet.heads)))
    marks = [rf"\textsuperscript{{{letter}}}~{escape_latex(reason)}" for letter, reason in sheet.mark_notes]
    notes = " ".join([*map(escape_latex, (EXPLAINED, *sheet.notes)), *marks])
    return table_environment(
        sheet.name, sheet.caption, columns, [*_latex_heads(sheet)], _latex_body(sheet), note=notes, height=0.7
    )


def sheet_rows(sheet: Sheet) -> pd.DataFrame:
    """One row a cell, with numbers in the paper's unit and every reason why a printed value cannot be right."""
    return pd.DataFrame(
        {
            "table": sheet.name,
            "row": ", ".join(line.labels),
            "column": ", ".join(filter(None, heads)),
            "quoted": line.quoted,
            "ours": cell.measured.mean if cell.measured else cell.ours,
            "ours_std": cell.measured.std if cell.measured else math.nan,
            "trials": cell.measured.n if cell.measured else "",
            "printed": cell.number.text if cell.number else cell.theirs,
            "printed_std": cell.number.std if cell.number and cell.number.std is not None else math.nan,
            "difference": cell.difference,
            "standard_errors": cell.errors,
            "breaks": " ".join(cell.checks),
            "reasons": " ".join(one.reason for one in cell.breaks),
        }
        for line in sheet.lines
        for heads, cell in zip(sheet.heads, line.cells, strict=True)
    )


def _labels(line: Line) -> list[str]:
    return [*line.labels[:-1], f"{line.labels[-1]}, quoted" if line.quoted else line.labels[-1]]


def _errors(cell: Cell) -> str:
    return f"({decimal(cell.errors, 1, sign=True)})" if math.isfinite(cell.errors) else ""


def _markdown(cell: Cell, sheet: Sheet, line: Line) -> str:
    marks = "".join(f"<sup>{sheet.marks[check]}</sup>" for check in cell.checks)
    below = " ".join(filter(None, (f"{cell.theirs}{marks}", _errors(cell))))
    if line.quoted:
        return f"*{below}*"
    return "<br>".join([cell.ours or NONE, *([f"*{below}*"] if below else [])])


def _alignment(sheet: Sheet, place: int) -> str:
    """Numbers to the right, words to the left."""
    words = all(cell.measured is None and cell.number is None for cell in (line.cells[place] for line in sheet.lines))
    return "l" if words else "r"


def _latex_heads(sheet: Sheet) -> Iterator[str]:
    """One line a level, equal neighbours under one head; the columns of labels have theirs in the last."""
    levels, labels = len(sheet.heads[0]), len(sheet.label_heads)
    for level in range(levels):
        last = level == levels - 1
        cells = [escape_latex(head) if last else "" for head in sheet.label_heads]
        rules, at = [], labels + 1
        for _, group in itertools.groupby(sheet.heads, key=lambda heads: heads[: level + 1]):
            span = list(group)
            text = escape_latex(span[0][level])
            cells.append(text if last else rf"\multicolumn{{{len(span)}}}{{c}}{{{text}}}")
            if not last and text and len(span) > 1:
                rules.append(rf"\cmidrule(lr){{{at}-{at + len(span) - 1}}}")
            at += len(span)
        yield " & ".join(cells) + r" \\"
        yield from rules


def _latex_body(sheet: Sheet) -> Iterator[str]:
    above: Sequence[str] = ()
    for line in sheet.lines:
        if len(line.labels) > 1 and above and line.labels[0] != above[0]:
            yield r"\midrule"
        same = [one == other for one, other in zip(line.labels[:-1], above[:-1], strict=False)]
        repeated = [*same, False].index(False)
        labels = [escape_latex(label) for label in [*[""] * repeated, *_labels(line)[repeated:]]]
        printed = [_latex_printed(cell, sheet) for cell in line.cells]
        if line.quoted:
            yield " & ".join([*labels, *printed]) + r" \\"
        else:
            yield " & ".join([*labels, *(escape_latex(cell.ours) or "--" for cell in line.cells)]) + r" \\*"
            yield " & ".join([*[""] * len(labels), *printed]) + r" \\[2pt]"
        above = line.labels


def _latex_printed(cell: Cell, sheet: Sheet) -> str:
    marks = ",".join(sheet.marks[check] for check in cell.checks)
    text = rf"\textit{{{escape_latex(cell.theirs)}}}" + (rf"\textsuperscript{{{marks}}}" if marks else "")
    return rf"{{\scriptsize {text} {escape_latex(_errors(cell))}}}" if cell.theirs else ""
