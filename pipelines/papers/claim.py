"""A claim: a sentence with a place, and the test on trial records that decides it. Read from `claims/*.yaml`.

A study's own file may hold claims of its own under `claims:`; they are written alike and need no `study`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.papers.evidence import known_fields
from pipelines.papers.kinds import AnyKind
from pipelines.papers.measures import MEASURES
from tune_spaces import ConfigError, Study
from tune_spaces.strict_yaml import StrictModel, did_you_mean, read_yaml, validate

FOLDER = Path(__file__).parent / "claims"
SMALL = "_small"


class Claim(StrictModel):
    """One claim.

    Attributes:
        id: Such as `dmf-1`.
        statement: What is claimed, in a sentence.
        place: Where: table, figure, section.
        study: The paper's study or studies, whose trials are evidence. Their `_small` variants stand in for them.
        stand_ins: Other studies that do.
        datasets: Those the claim is about; all of the study's if left out. A small variant stands in with its own.
        protocol: Of the scores; the first of several that the trials have. `*` stands for any text, for noise levels.
        metrics: Scores; each is tested.
        measure: In the place of protocol and metrics, something about the course of training (`MEASURES`).
        where: Which trials count, by selectors of spec fields (`Evidence.where`).
        prefer: Which of trials that differ in one field only counts (`Evidence.preferring`).
        test: The kind of test and its arguments.
        correction: "holm" over all cells of the claim, or "none".
    """

    id: str = Field(pattern=r"^[\w.-]+$")
    statement: str = Field(min_length=1)
    place: str = ""
    study: list[str] = Field(min_length=1)
    stand_ins: list[str] = Field(default_factory=list)
    datasets: list[str] = Field(default_factory=list)
    protocol: list[str] = Field(default_factory=list)
    metrics: list[str] = Field(default_factory=list)
    measure: str | None = None
    where: dict[str, Any] = Field(default_factory=dict)
    prefer: list[dict[str, Any]] = Field(default_factory=list)
    test: AnyKind
    correction: Literal["holm", "none"] = "holm"

    @field_validator("study", "stand_ins", "protocol", "metrics", "datasets", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _measures_something(self) -> Claim:
        if self.measure is None and not (self.protocol and self.metrics):
            raise ValueError("give `protocol` and `metrics`, or `measure`")
        if self.measure is not None and self.measure not in MEASURES:
            raise ValueError(f"no measure is called {self.measure!r}.{did_you_mean(self.measure, MEASURES)}")
        for name in _named(self):
            if name.partition(".")[0] not in known_fields():
                raise ValueError(f"no field of a trial is called {name!r}.{did_you_mean(name, known_fields())}")
        return self

    def is_about(self, study: str) -> bool:
        """Whether a study's trials are evidence."""
        return study.removesuffix(SMALL) in self.study or study in (*self.study, *self.stand_ins)

    def is_papers_own(self, study: str) -> bool:
        """Whether it is the paper's study and not a stand-in for it."""
        return study in self.study


@cache
def paper_claims() -> tuple[Claim, ...]:
    """Every claim of the four papers, by file and in the files' order.

    Raises:
        ConfigError: naming file, claim and mistake.
    """
    claims = [claim for path in sorted(FOLDER.glob("*.yaml")) for claim in _read(path)]
    _refuse_duplicates(FOLDER, claims)
    return tuple(claims)


def claims_of(study: Study) -> list[Claim]:
    """The papers' claims that a study's trials are evidence for, then the study's own.

    Raises:
        ConfigError: for a claim that is no claim.
    """
    own = [
        validate(study.path, {"study": [study.name], **content}, Claim, within=f"claims.{number}")
        for number, content in enumerate(study.claims)
    ]
    found = [claim for claim in paper_claims() if claim.is_about(study.name)] + own
    _refuse_duplicates(study.path, found)
    return found


def _read(path: Path) -> Iterable[Claim]:
    content = read_yaml(path)
    claims = content.pop("claims", None)
    if not isinstance(claims, list):
        raise ConfigError(f"{path}: key `claims` must be a list of claims.")
    for number, claim in enumerate(claims):
        if not isinstance(claim, Mapping):
            raise ConfigError(f"{path}: key `claims.{number}` must be a mapping. Found {claim!r}.")
        yield validate(path, {**content, **claim}, Claim, within=f"claims.{number}")


def _refuse_duplicates(path: Path, claims: Iterable[Claim]) -> None:
    names = [claim.id for claim in claims]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{path}: two claims are called {', '.join(twice)}. Rename one.")


def _named(claim: Claim) -> set[str]:
    """Every field that the claim's selectors name."""
    return {name for selector in (claim.where, *claim.prefer, *claim.test.sides) for name in selector}
