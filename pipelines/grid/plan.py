"""Which trials a study needs, and which of them are done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dmf.fingerprint import code_fingerprint
from dmf.spec import TrialSpec
from pipelines import arrays
from pipelines.records import is_done
from tune_spaces import Study
from tune_spaces.expand import expand


@dataclass(frozen=True)
class PlannedTrial:
    """A cell of the grid with its identity and its place on disk."""

    identifier: str
    configuration: str
    spec: TrialSpec
    data_checksum: str
    code_fingerprint: str
    folder: Path

    @property
    def done(self) -> bool:
        return is_done(self.folder)


def plan(study: Study, data: Path, trials: Path) -> list[PlannedTrial]:
    """Every trial of a study, in the order in which they run.

    Raises:
        StageError: if a data set is not prepared or does not have the split of a trial.
    """
    cells = expand(study).cells
    prepared = {name: arrays.load(data, name) for name in study.datasets}
    for dataset, split in sorted({(cell.spec.dataset, cell.spec.split) for cell in cells}):
        prepared[dataset].rows(split)
    planned = []
    for cell in cells:
        checksum, fingerprint = prepared[cell.spec.dataset].checksum, code_fingerprint(cell.spec)
        identifier = cell.spec.identifier(checksum, fingerprint)
        folder = trials.resolve() / study.name / identifier  # workers have another working directory
        planned.append(PlannedTrial(identifier, cell.configuration, cell.spec, checksum, fingerprint, folder))
    return planned
