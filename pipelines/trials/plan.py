"""Which trials a study needs, and which of them are done."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dmf.training.spec import TrialSpec
from pipelines.artifacts import arrays
from pipelines.artifacts.arrays import Preparation
from pipelines.trials.identity import code_fingerprint, identifier
from pipelines.trials.record import Description, is_done
from tune_spaces import Study
from tune_spaces.expand import Cell, expand


@dataclass(frozen=True)
class PlannedTrial:
    """A cell of the grid with its identity and its place on disk; `twins` are the cells that its result stands for,
    too."""

    identifier: str
    configuration: str
    spec: TrialSpec
    data_checksum: str
    code_fingerprint: str
    folder: Path
    preparation: Preparation
    twins: tuple[Cell, ...] = ()

    @property
    def row(self) -> tuple[str, str]:
        """What a table shows as one row of all seeds: data set and configuration."""
        return self.spec.dataset, self.configuration

    @property
    def title(self) -> str:
        """What a person calls it."""
        return f"{self.configuration} · {self.spec.dataset} · seed {self.spec.seed}"

    @property
    def done(self) -> bool:
        return is_done(self.folder)

    def describe(self, study: str, code_version: str) -> Description:
        """What goes on record about it, however it ends."""
        return Description(
            identifier=self.identifier,
            study=study,
            configuration=self.configuration,
            spec=self.spec,
            data_checksum=self.data_checksum,
            preparation=self.preparation,
            code_fingerprint=self.code_fingerprint,
            code_version=code_version,
        )


def plan(study: Study, data: Path, trials: Path) -> list[PlannedTrial]:
    """Every trial of a study, in the order in which they run.

    Raises:
        StageError: if a data set is not prepared at the size of a trial, or does not have its split.
    """
    cells = expand(study).cells
    sizes = sorted({(cell.spec.dataset, cell.spec.image_size) for cell in cells})
    prepared = {key: arrays.load(data, *key) for key in sizes}
    preparations = {key: opened.meta.preparation for key, opened in prepared.items()}
    digest_of = cache(lambda dataset, size, split, filtered: prepared[dataset, size].digest(split, filtered))
    planned = []
    results = trials.resolve() / study.name  # workers have another working directory
    for cell in cells:
        spec = cell.spec
        digest = digest_of(spec.dataset, spec.image_size, spec.split, spec.filtered)
        fingerprint = code_fingerprint(spec)
        name = identifier(spec, digest, fingerprint)
        made = preparations[spec.dataset, spec.image_size]
        folder = results / name
        planned.append(PlannedTrial(name, cell.configuration, spec, digest, fingerprint, folder, made, cell.twins))
    return planned
