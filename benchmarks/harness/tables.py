"""Tables of figures: for a terminal, and in their places in a document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.core.files import write_atomically


@dataclass(frozen=True)
class Table:
    """Figures with a header, every cell already rounded and written out."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], columns: str) -> Table:
        """A row for each of `rows`.

        Args:
            columns: Titles, and how the figures are written: "size: {size} | ms: {seconds:.1f}". A cell is empty if
                the row does not have its figure, or has it as None.
        """
        titles, forms = zip(*(column.split(": ", 1) for column in columns.split(" | ")), strict=True)
        return cls(titles, [[_cell(form, row) for form in forms] for row in rows])

    def noted(self, *cells: str) -> Table:
        """With a last row that says how to read the others."""
        return Table(self.header, [*self.rows, [*cells, *[""] * (len(self.header) - len(cells))]])

    def markdown(self) -> str:
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def text(self) -> str:
        """In columns: the first flush left, the others right."""
        lines = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(_padded(line, widths)).rstrip() for line in lines)


def plainly(results: Mapping[str, Any]) -> dict[str, Table]:
    """What was measured as it lies in the results: lists of rows, and names with a figure each."""
    found = {title: value for title, value in results.items() if title not in ("machine", "setting")}
    parts = {title: value for title, value in found.items() if isinstance(value, list | dict)}
    alone = {title: value for title, value in found.items() if title not in parts}
    return {title: _plain(value) for title, value in {**parts, "": alone}.items() if value}


def load(results: Mapping[str, Any]) -> str:
    """How many processes wanted the machine: 2 where nothing else ran on two cores."""
    return f"load of the machine: {results['machine'].get('load', 'unknown')}"


def places(document: str) -> list[str]:
    """Names of the tables for which the document has a place."""
    return re.findall(r"<!-- figures: (\S+) -->", document)


def insert(document: str, name: str, table: Table) -> str:
    """The document with the table in its place.

    Raises:
        ValueError: if the document has no place, or more than one, for the table.
    """
    block = re.compile(rf"(<!-- figures: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    replaced, count = block.subn(lambda match: f"{match[1]}{table.markdown()}\n{match[2]}", document)
    if count != 1:
        raise ValueError(f"Expected one `<!-- figures: {name} -->` ... `<!-- end -->`. Found {count}.")
    return replaced


def rewrite(path: Path, tables: Mapping[str, Table]) -> None:
    """Put tables into their places in a document on disk."""
    document = path.read_text(encoding="utf-8")
    for name, table in tables.items():
        document = insert(document, name, table)
    save(path, document)


def save(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""

    def write(partial: Path) -> None:
        partial.write_text(text, encoding="utf-8")

    write_atomically(path, write)


def _cell(form: str, row: Mapping[str, Any]) -> str:
    try:
        return form.format_map({name: value for name, value in row.items() if value is not None})
    except KeyError:
        return ""


def _plain(value: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> Table:
    if isinstance(value, Mapping):
        return Table(["", ""], [[name, _written(figure)] for name, figure in value.items()])
    names = dict.fromkeys(name for row in value for name in row)
    header = [name.replace("_", " ") for name in names]
    return Table(header, [[_written(row.get(name)) for name in names] for row in value])


def _written(figure: object) -> str:
    return f"{figure:.4g}" if isinstance(figure, float) else "" if figure is None else str(figure)


def _padded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(line, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
