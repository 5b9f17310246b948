"""Tables as text: LaTeX for the paper, Markdown for the repository, CSV for the next programme."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from pipelines.pages.markdown import pipe_table
from pipelines.report.latex import PREAMBLE, escape_latex, row, table_environment
from pipelines.report.names import printed
from pipelines.report.tables import Entry, Line, Table

LABELS = 68
"""Characters that the labels of a row share in a LaTeX table; a longer label is broken."""

MODEL = re.compile(r"(\d+)\.(\d+)(?: ± (\d+)\.(\d+))?")


def to_latex(table: Table) -> str:
    """A `table` environment with siunitx columns; \\label is tab:<dataset>_<protocol>."""
    columns = [_Column([line.entries[place] for line in table.lines]) for place in range(len(table.metrics))]
    heads = [escape_latex(printed(axis)) for axis in table.axes]
    for metric, column in zip(table.metrics, columns, strict=True):
        heads += [f"{{{escape_latex(metric.label)}}}", *([""] if column.marked else [])]
    body: list[str] = []
    for number, line in enumerate(table.lines):
        if line.opens and number:
            body.append(r"\midrule" if line.baseline else r"\addlinespace")
        cells = [_latex_label(label, LABELS // len(table.axes)) for label in labels_to_print(line)]
        for column, entry in zip(columns, line.entries, strict=True):
            cells += [column.cell(entry), *([rf"\textsuperscript{{{entry.mark}}}"] if column.marked else [])]
        body.append(row(cells))
    spec = "l" * len(table.axes) + "".join(column.spec for column in columns)
    return table_environment(table.name, table.caption, spec, [row(heads)], body)


class _Column:
    """How a column of numbers is aligned: its widest mean and spread decide.

    siunitx takes no number that is bold or underlined in part, so these stand in braces with the digits that they lack
    left blank; marks have a column of their own.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        shown = [MODEL.fullmatch(str(entry)) for entry in entries]
        self.whole = max((len(one[1]) for one in shown if one), default=1)
        self.spread = max((len(one[3]) for one in shown if one and one[3]), default=0)
        self.marked = any(entry.mark for entry in entries)

    @property
    def spec(self) -> str:
        uncertainty = f"({self.spread + 2})" if self.spread else ""
        return f"S[table-format={self.whole}.2{uncertainty}]" + r"@{\,}l" * self.marked

    def cell(self, entry: Entry) -> str:
        found = MODEL.fullmatch(str(entry))
        if not found:
            return f"{{{escape_latex(str(entry))}}}"
        mean, std = entry.shown
        if not (entry.best or entry.second):
            return rf"{mean} \pm {std}" if std else mean
        blank = rf"\phantom{{{'0' * (self.whole - len(found[1]))}}}" if self.whole > len(found[1]) else ""
        number = mean
        if std:
            gap = rf"\phantom{{{'0' * (self.spread - len(found[3]))}}}" if self.spread > len(found[3]) else ""
            number = rf"{mean} \pm {gap}{std}"
        after = rf"\phantom{{{{}} \pm {'0' * self.spread}.00}}" if self.spread and not std else ""
        styled = rf"\mathbf{{{number}}}" if entry.best else rf"\underline{{{number}}}"
        return rf"{{${blank}{styled}{after}$}}"


def to_latex_document(tables: Sequence[Table], more: Sequence[str] = ()) -> str:
    """A document that typesets all tables, and files of other names: `pdflatex all_tables.tex`."""
    inputs = "\n".join(rf"\input{{{name}.tex}}" for name in [*(table.name for table in tables), *more])
    return f"{PREAMBLE}\\begin{{document}}\n{inputs}\n\\end{{document}}\n"


def to_markdown(table: Table) -> str:
    """A pipe table under its caption, best means in bold, second ones underlined."""
    heads = [printed(axis) for axis in table.axes] + [metric.label for metric in table.metrics]
    rule = ["---"] * len(table.axes) + ["---:"] * len(table.metrics)
    rows = [[*line.labels, *map(_markdown_entry, line.entries)] for line in table.lines]
    return f"### {table.title}\n\n{table.caption}\n\n{pipe_table([heads, rule, *rows])}\n"


def _markdown_entry(entry: Entry) -> str:
    styled = f"**{entry}**" if entry.best else f"<u>{entry}</u>" if entry.second else str(entry)
    return f"{styled}<sup>{entry.mark}</sup>" if "/" in entry.mark else styled + entry.mark.replace("*", "\\*")


def labels_to_print(line: Line) -> list[str]:
    """Labels that the row above does not have already."""
    shown = [""] * line.repeated + list(line.labels[line.repeated :])
    return [*shown[:-1], f"{shown[-1]} (baseline)" if line.baseline else shown[-1]]


def _latex_label(label: str, width: int) -> str:
    """A label longer than `width` characters in lines of its own."""
    lines = textwrap.wrap(label, width, break_long_words=False, break_on_hyphens=False)
    text = r" \\ ".join(escape_latex(line) for line in lines)
    return rf"\begin{{tabular}}[t]{{@{{}}l@{{}}}}{text}\end{{tabular}}" if len(lines) > 1 else text
