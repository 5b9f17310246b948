"""Where the images and masks of a data set of one's own lie, in a pattern that the catalogue gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from pipelines.core.files import is_left_behind
from pipelines.datasets.readers.folders import PICTURES, VOLUMES, composed, stem_of
from tune_spaces.strict_yaml import StrictModel

DATA = (*PICTURES, *VOLUMES)
FIELD = re.compile(r"\{([a-z]+)\}")
Pattern = Annotated[str, Field(pattern=r"^[^/\\].*[^/\\]$|^[^/\\]$")]
Fields = Mapping[str, str]


class Layout(StrictModel):
    """Paths from the data set's folder on, without suffix: `images/{label}/{name}` and `masks/{label}/{name}_mask`.

    Attributes:
        image: A field in braces stands for any text without a slash, twice the same for the same text, `*` for any that
            does not matter. `{label}`, `{patient}` and `{side}` (train, val, test) say what they are; other fields,
            such as `{name}`, only tell images apart. Several patterns are the modalities of one image, as channels.
        mask: Its fields are some of the image's; the mask of an image has the same. With `*` there may be several.
    """

    image: Annotated[tuple[Pattern, ...], Field(min_length=1, strict=False)]
    mask: Pattern | None = None

    @field_validator("image", mode="before")
    @classmethod
    def _one_is_a_list_too(cls, image: object) -> object:
        return (image,) if isinstance(image, str) else image

    @model_validator(mode="after")
    def _fields_agree(self) -> Layout:
        for pattern in (*self.image, self.mask or ""):
            if re.search(r"[{}]", FIELD.sub("", pattern)):
                raise ValueError(f"{pattern!r}: a field is small letters in braces, as in images/{{label}}/{{name}}")
            if other := set(FIELD.findall(pattern)) - self.fields:
                raise ValueError(f"{pattern!r}: {{{min(other)}}} does not occur in {self.image[0]!r}")
        return self

    @property
    def fields(self) -> set[str]:
        """Of the first image pattern."""
        return set(FIELD.findall(self.image[0]))


def tops(root: Path) -> Iterator[Path]:
    """`root`, and the lone folders in it, one in the other, that hold everything."""
    yield root
    while True:
        there = (path for path in root.iterdir() if not is_left_behind(path.name))
        children = [path for path in there if path.is_dir() or path.name.lower().endswith(DATA)]
        if len(children) != 1 or not children[0].is_dir():
            return
        yield (root := children[0])


def data_files(root: Path) -> list[Path]:
    """All pictures and volumes below `root`, relative to it, sorted; not in folders that systems leave behind."""
    below = (path.relative_to(root) for path in root.rglob("*") if path.name.lower().endswith(DATA))
    return sorted(path for path in below if not any(map(is_left_behind, path.parts)) and (root / path).is_file())


def bare(path: Path) -> str:
    """A path as patterns see it: without suffix, composed, with slashes."""
    return composed((path.parent / stem_of(path)).as_posix())


def compiled(pattern: str) -> Callable[[str], Fields | None]:
    """The fields of a bare path that fits a pattern."""
    seen: set[str] = set()

    def part(text: str) -> str:
        if not (field := FIELD.fullmatch(text)):
            return ".*".join(map(re.escape, text.split("*"))).replace(".*", "[^/]*")
        name = field[1]
        again = name in seen
        seen.add(name)
        return f"(?P={name})" if again else f"(?P<{name}>[^/]+?)"

    expression = re.compile("".join(map(part, re.split(r"(\{[a-z]+\})", composed(pattern)))))

    def fields(path: str) -> Fields | None:
        found = expression.fullmatch(path)
        return found.groupdict() if found else None

    return fields


def filled(pattern: str, fields: Fields) -> str:
    """The pattern with its fields filled in."""
    return FIELD.sub(lambda field: fields[field[1]], pattern)


def names_of(pattern: str) -> set[str]:
    """The names of a pattern's fields."""
    return set(FIELD.findall(pattern))
