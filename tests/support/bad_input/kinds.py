"""The list of kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.support.bad_input.place import Place


@dataclass(frozen=True)
class Kind:
    """One way in which input can be bad.

    Attributes:
        name: What is bad.
        command: The stage that meets it and the data set, as in `split scans`.
        expected: What the message must hold: first of all the file, then what is wrong.
        spoil: Makes a whole place bad.
    """

    name: str
    command: str
    expected: tuple[str, ...]
    spoil: Callable[[Place], None]

    def __str__(self) -> str:
        return f"{self.command}: {self.name}"


KINDS: dict[str, Kind] = {}


def add(name: str, command: str, expected: tuple[str, ...], spoil: Callable[[Place], None]) -> None:
    """List a kind."""
    kind = Kind(name.replace("_", " ").strip(), command, expected, spoil)
    assert str(kind) not in KINDS, f"{kind}: listed twice"
    KINDS[str(kind)] = kind


def bad(command: str, *expected: str) -> Callable[[Callable[[Place], None]], Callable[[Place], None]]:
    """List a kind that is named like the function which spoils a place:

    @bad("split scans", "data/splits/scans.csv", "not a table")
    def table_that_is_empty(place: Place) -> None:
        (place.data / "splits/scans.csv").write_text("")
    """

    def decorate(spoil: Callable[[Place], None]) -> Callable[[Place], None]:
        add(spoil.__name__, command, expected, spoil)
        return spoil

    return decorate
