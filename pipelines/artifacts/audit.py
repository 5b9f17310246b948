"""<root>/audit/<dataset>.json: which images the audit saw and which of them show the same picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.core.console import StageError
from pipelines.core.files import write_atomically
from pipelines.datasets.duplicates import Pair

REMEDY = "Make it with `dvc repro audit`."


class Duplicates(BaseModel):
    """The outcome of the one search for duplicates, which every later stage reads.

    Attributes:
        similarity: Correlation from which two images counted as the same picture, `split.similarity` of params.yaml.
        sha256: Of each image's file, by the name of the case.
        pairs: Near duplicates: two names and their correlation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    similarity: float
    sha256: Mapping[str, str]
    pairs: Sequence[tuple[str, str, float]]

    def among(self, names: Sequence[str]) -> list[Pair]:
        """The pairs by position in `names`, which must be the audited cases, in any order."""
        place = {name: index for index, name in enumerate(names)}
        pairs = [
            Pair(min(place[one], place[other]), max(place[one], place[other]), similarity)
            for one, other, similarity in self.pairs
        ]
        return sorted(pairs, key=lambda pair: (pair.first, pair.second))


def record_path(root: Path, dataset: str) -> Path:
    """Where the record of a data set lies."""
    return root / "audit" / f"{dataset}.json"


def write_duplicates(path: Path, duplicates: Duplicates) -> None:
    """Write atomically; the same record gives the same bytes."""
    content = duplicates.model_dump_json(indent=1).encode() + b"\n"

    def write(partial: Path) -> None:
        partial.write_bytes(content)

    write_atomically(path, write)


def read_duplicates(path: Path, names: Sequence[str], similarity: float) -> Duplicates:
    """Read what `write_duplicates` wrote about the cases called `names`, searched at `similarity`.

    Raises:
        StageError: if it is missing, damaged, about other cases, or was made with another similarity.
    """
    try:
        duplicates = Duplicates.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise StageError(f"{path} is missing. {REMEDY}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "(file)"
        raise StageError(f"{path}: `{key}`: {first['msg']}. {REMEDY}") from None
    if duplicates.similarity != similarity:
        raise StageError(
            f"{path}: audited at similarity {duplicates.similarity:g}, but `split.similarity` in params.yaml is "
            f"{similarity:g}. {REMEDY}"
        )
    if other := sorted(set(names) ^ set(duplicates.sha256)):
        verb = "was not audited" if other[0] in names else "was audited but is not there"
        raise StageError(f"{path}: {other[0]} {verb} ({len(other)} such images). {REMEDY}")
    return duplicates
