"""What values in masks mean: from the catalogue's `classes` and `values` to class indices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Integer, UInt8

from pipelines.core.console import StageError

IGNORE = "ignore"
"""What `values` calls pixels of which nobody says what they are."""

VOID = 255
"""Such a pixel's class index: it counts nowhere, neither in losses nor in scores."""

NUMBER, COLOUR = re.compile(r"-?\d{1,5}"), re.compile(r"#[0-9a-f]{6}")
LISTED = 8

Values = Integer[np.ndarray, "*spatial"]


@dataclass(frozen=True)
class Meaning:
    """What a catalogue entry says about the values in its masks.

    Attributes:
        classes: Names in the order of their index.
        values: The name of a class, or `ignore`, by what is stored: a whole number, or a colour such as #ff0000. None
            for two classes of which nobody said more: 0 is the first, the other value the second.
    """

    classes: tuple[str, ...] = ("background", "foreground")
    values: Mapping[str, str] | None = None

    @cached_property
    def by_colour(self) -> bool:
        """Whether it speaks of colours."""
        return bool(self.values) and all(map(COLOUR.fullmatch, self.values or ()))

    @cached_property
    def table(self) -> Mapping[int, int]:
        """Class index by number, or by colour as the number that its hexadecimal digits are."""
        return {
            int(key[1:], 16) if self.by_colour else int(key): VOID if name == IGNORE else self.classes.index(name)
            for key, name in (self.values or {}).items()
        }

    @property
    def has_void(self) -> bool:
        """Whether pixels may be of no class."""
        return IGNORE in (self.values or {}).values()

    def indices(self, path: Path, stored: Values, *, lossy: bool = False) -> UInt8[np.ndarray, "*spatial"]:
        """The class index of each pixel or voxel, by `table`.

        Raises:
            StageError: naming the values that the table lacks, how many pixels hold them, and the first one's place.
        """
        found, places = np.unique(stored, return_inverse=True)
        if unlisted := [value for value in found.tolist() if value not in self.table]:
            where = stored == unlisted[0]
            place = ", ".join(map(str, np.argwhere(where)[0].tolist()))
            raise StageError(
                f"{path}: expected the `values` of the catalogue, {self.listed(list(self.table))}. Found "
                f"{self.listed(unlisted)} in {np.count_nonzero(np.isin(stored, unlisted)):,} pixels, the first at "
                f"({place}). {_advice(lossy)}Add what is found to `values`, as a class or as {IGNORE}, or correct the "
                "mask."
            )
        return np.array([self.table[value] for value in found.tolist()], np.uint8)[places].reshape(stored.shape)

    def refusal(self, path: Path, found: Sequence[int], *, coloured: bool = False, lossy: bool = False) -> StageError:
        """What to say of a mask whose values nobody explained, with the key that does."""
        keys = [f'"{_hex(value)}"' if coloured else str(value) for value in found]
        names = [*self.classes, *[IGNORE] * len(keys)]
        example = ", ".join(f"{key}: {name}" for key, name in zip(keys[:LISTED], names, strict=False))
        expected = (
            f"a mask of {self.classes[0]} (0) and {self.classes[1]} (one other value) was expected"
            if len(self.classes) == 2
            else f"a mask of {', '.join(self.classes)} was expected"
        )
        return StageError(
            f"{path}: {expected}. Found {_several(keys)}. {_advice(lossy)}Say in the catalogue what they mean, for "
            f"instance `values: {{{example}}}`, {IGNORE} for pixels that shall count nowhere."
        )

    def text(self, value: int) -> str:
        """A value as the catalogue has it."""
        return _hex(value) if self.by_colour else str(value)

    def listed(self, values: Sequence[int]) -> str:
        """Several of them."""
        return _several([self.text(value) for value in values])


def foreground(mask: UInt8[np.ndarray, "*S"]) -> Bool[np.ndarray, "*S"]:
    """What is annotated as something: neither background nor void."""
    return (mask != 0) & (mask != VOID)


def normalised(values: Mapping[object, str]) -> dict[str, str]:
    """`values` with its keys as texts, of which each value has one.

    Raises:
        ValueError: for a key that is neither a number nor a colour, that is there twice, or for both kinds at once.
    """
    texts = [str(key).strip().lower() for key in values]
    if wrong := [text for text in texts if not NUMBER.fullmatch(text) and not COLOUR.fullmatch(text)]:
        raise ValueError(f"keys must be whole numbers such as 255, or colours such as '#ff0000', not {wrong[0]!r}")
    if len({text.startswith("#") for text in texts}) > 1:
        raise ValueError("keys must be all numbers or all colours")
    if len({text if text.startswith("#") else int(text) for text in texts}) < len(texts):
        raise ValueError("a value is there twice; remove one")
    plain = (text if text.startswith("#") else str(int(text)) for text in texts)
    return dict(zip(plain, values.values(), strict=True))


def check_names(values: Mapping[str, str], classes: Sequence[str]) -> None:
    """Raises ValueError unless `values` names all classes and nothing but them and `ignore`."""
    if IGNORE in classes:
        raise ValueError(f"pixels that count nowhere are called {IGNORE}; rename the class of that name")
    if unknown := sorted(set(values.values()) - {*classes, IGNORE}):
        raise ValueError(f"{unknown[0]!r} is neither one of `classes`, {', '.join(classes)}, nor {IGNORE}; correct it")
    if absent := [name for name in classes if name not in values.values()]:
        raise ValueError(f"no value means {absent[0]}, which is one of `classes`; add one")


def _advice(lossy: bool) -> str:
    return "Lossy formats such as JPEG keep no labels: save it as PNG. " if lossy else ""


def _hex(colour: int) -> str:
    return f"#{colour:06x}"


def _several(texts: Sequence[str]) -> str:
    return ", ".join(texts[:LISTED]) + (f" and {len(texts) - LISTED} more" if len(texts) > LISTED else "")
