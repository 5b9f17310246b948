"""Tables of figures, and where they stand in `docs/audit.md`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Figures with a header, every cell already rounded and written out."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- figures: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)


def places(document: str) -> list[str]:
    """Names of the tables for which the document has a place."""
    return re.findall(r"<!-- figures: (\S+) -->", document)


def insert(document: str, name: str, table: Table) -> str:
    """The document with the table in its place.

    Raises:
        ValueError: if the document has no place, or more than one, for the table.
    """
    replaced, count = _block(name).subn(lambda match: f"{match[1]}{table.markdown()}\n{match[2]}", document)
    if count != 1:
        raise ValueError(f"Expected one `<!-- figures: {name} -->` ... `<!-- end -->`. Found {count}.")
    return replaced
