"""What a person sets in params.yaml: the study, and how its data sets are split, resized and filtered."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from pipelines.datasets.duplicates import CANDIDATE
from pipelines.datasets.split_methods import METHODS
from tune_spaces.strict_yaml import StrictModel, did_you_mean, read_yaml, validate

Share = Annotated[float, Field(gt=0, lt=1)]


class SplitParams(StrictModel):
    """How cases are dealt into train, val and test.

    Attributes:
        method: A name in `pipelines.datasets.split_methods.METHODS`.
        fractions: Shares of train, val and test; they sum to 1.
        seed: Another seed, another split.
        folds: How many parts the k-fold column has; fold k is a test set, fold k + 1 its val.
        similarity: Correlation from which two images count as the same picture (see `pipelines.datasets.duplicates`).
    """

    method: str = "grouped"
    fractions: Annotated[tuple[Share, Share, Share], Field(strict=False)] = (0.7, 0.15, 0.15)
    seed: int = Field(default=0, ge=0)
    folds: int = Field(default=5, ge=3, le=100)
    similarity: float = Field(default=0.95, ge=CANDIDATE, le=1)

    @field_validator("method")
    @classmethod
    def _known(cls, method: str) -> str:
        if method not in METHODS:
            raise ValueError(f"no such method.{did_you_mean(method, METHODS)}")
        return method

    @field_validator("fractions")
    @classmethod
    def _whole(cls, fractions: tuple[float, float, float]) -> tuple[float, float, float]:
        if not math.isclose(sum(fractions), 1, abs_tol=1e-6):
            raise ValueError(f"train, val and test must sum to 1, these sum to {sum(fractions):g}")
        return fractions


class FilterParams(StrictModel):
    """The bilateral filter, equations (26) and (27) of the Dynamic Memory Fusion paper, which prints no values.

    Attributes:
        diameter: Of the round neighbourhood Ω, in pixels of the resized image; odd.
        sigma_space: σ_s, in pixels.
        sigma_range: σ_r, in grey levels of 0 to 255.
    """

    diameter: int = Field(default=9, ge=3, le=63)
    sigma_space: float = Field(default=3.0, gt=0)
    sigma_range: float = Field(default=25.0, gt=0)

    @field_validator("diameter")
    @classmethod
    def _odd(cls, diameter: int) -> int:
        if diameter % 2 == 0:
            raise ValueError("must be odd, so that the neighbourhood has a pixel at its centre")
        return diameter


class Params(StrictModel):
    """params.yaml. Every key but `study` has a default."""

    study: str
    split: SplitParams = SplitParams()
    filter: FilterParams = FilterParams()


def load_params(path: Path | str = "params.yaml") -> Params:
    """Read and validate params.yaml, which holds no anchors: DVC (3.67) does not follow them.

    Raises:
        ConfigError: naming the file, the key, the value found and what is allowed.
    """
    path = Path(path)
    return validate(path, read_yaml(path, anchors=False), Params)
