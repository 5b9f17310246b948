"""Which trials a study needs, and which of them are done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from dmf.training.spec import TrialSpec
from pipelines.artifacts import arrays
from pipelines.artifacts.arrays import Preparation, PreparedData
from pipelines.artifacts.search_data import search_data
from pipelines.core.console import StageError
from pipelines.trials.identity import code_fingerprint, identifier
from pipelines.trials.record import Description, is_done
from pipelines.trials.tuning import SUFFIX, Tuning, read_tuning
from tune_spaces import Study
from tune_spaces.expand import Cell, expand
from tune_spaces.tuned import SEED, Search, Values, with_values


@dataclass(frozen=True)
class PlannedTrial:
    """A cell of the grid with its identity and its place on disk.

    Attributes:
        twins: The cells that its result stands for, too.
        proposal: Its number in a search, whose trials see no test image; None of all others.
        tuning: The search that chose its values, if its row is tuned.
    """

    identifier: str
    configuration: str
    spec: TrialSpec
    data_checksum: str
    code_fingerprint: str
    folder: Path
    preparation: Preparation
    twins: tuple[Cell, ...] = ()
    proposal: int | None = None
    tuning: Tuning | None = None

    @property
    def row(self) -> tuple[str, str]:
        """What a table shows as one row of all seeds: data set and configuration."""
        return self.spec.dataset, self.configuration

    @property
    def title(self) -> str:
        """What a person calls it."""
        which = f"seed {self.spec.seed}" if self.proposal is None else f"proposal {self.proposal}"
        return f"{self.configuration} · {self.spec.dataset} · {which}"

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


@dataclass(frozen=True)
class PlannedSearch:
    """A search of a tuned row with its identity: that of its ranges, its budget, the images that it sees, the code.

    Attributes:
        folder: Where the folders of its trials lie, beside those of other searches of the study.
        file: Where its result goes when it has ended.
    """

    search: Search
    identifier: str
    data_checksum: str
    code_fingerprint: str
    preparation: Preparation
    folder: Path
    file: Path

    @property
    def ended(self) -> Tuning | None:
        """What it found; None while it has not ended."""
        return read_tuning(self.file)

    def is_of(self, cell: Cell) -> bool:
        """Whether its winner is what a cell of a tuned row waits for."""
        base = self.search.base
        return (cell.configuration, cell.spec.dataset, cell.spec.split) == (
            self.search.configuration,
            base.dataset,
            base.split,
        )

    def trial(self, number: int, values: Values) -> PlannedTrial:
        """That of a proposal."""
        spec = self.search.proposal(values)
        name = identifier(spec, self.data_checksum, self.code_fingerprint)
        return PlannedTrial(
            *(name, self.search.configuration, spec, self.data_checksum, self.code_fingerprint, self.folder / name),
            self.preparation,
            proposal=number,
        )


@dataclass(frozen=True)
class Outline:
    """What is known of a study's plan so far.

    Attributes:
        trials: Those whose values are known, in the order in which they run.
        searches: All that its tuned rows need.
        waiting: Cells of tuned rows whose search has not ended.
    """

    trials: list[PlannedTrial]
    searches: list[PlannedSearch]
    waiting: list[Cell]


def plan(study: Study, data: Path, trials: Path) -> list[PlannedTrial]:
    """Every trial of a study, in the order in which they run; those of searches are none of them.

    Raises:
        StageError: if a data set is not prepared at the size of a trial, or does not have its split; if a search has
            not ended, whose winner is still to be trained.
    """
    known = outline(study, data, trials)
    if known.waiting:
        titles = [one.search.title for one in known.searches if one.ended is None]
        raise StageError(
            f"{len(titles)} of the {len(known.searches)} searches of {study.name} have not ended, so that "
            f"{len(known.waiting)} trials of tuned rows are not known yet ({'; '.join(titles)}). Run the grid, which "
            f"goes on with them: `python -m pipelines.grid --study {study.name}`."
        )
    return known.trials


def outline(study: Study, data: Path, trials: Path) -> Outline:
    """`plan` as far as it goes while searches have not ended. Raises StageError for data that are not prepared."""
    cells = expand(study).cells
    sizes = sorted({(cell.spec.dataset, cell.spec.image_size) for cell in cells})
    prepared = {key: arrays.load(data, *key) for key in sizes}
    digest_of = cache(lambda dataset, size, split, filtered: prepared[dataset, size].digest(split, filtered))
    searched = cache(lambda *key: search_data(prepared[key[:2]], *key[2:]).digest)
    results = trials.resolve() / study.name  # workers have another working directory
    searches: dict[tuple[str, ...], PlannedSearch] = {}
    ended: dict[tuple[str, ...], Tuning | None] = {}
    planned, waiting = [], []
    for cell in cells:
        spec, tuning = cell.spec, None
        if cell.tuned is not None:
            key = cell.configuration, spec.dataset, spec.split
            if key not in searches:
                searches[key] = _search(cell, prepared[spec.dataset, spec.image_size], searched, results)
                ended[key] = searches[key].ended
            if (tuning := ended[key]) is None:
                waiting.append(cell)
                continue
            spec = with_values(spec, tuning.winner.values)
        digest = digest_of(spec.dataset, spec.image_size, spec.split, spec.filtered)
        fingerprint = code_fingerprint(spec)
        name = identifier(spec, digest, fingerprint)
        made = prepared[spec.dataset, spec.image_size].meta.preparation
        place = name, cell.configuration, spec, digest, fingerprint, results / name, made, cell.twins
        planned.append(PlannedTrial(*place, tuning=tuning))
    return Outline(planned, [*searches.values()], waiting)


def _search(cell: Cell, prepared: PreparedData, digest: Callable[..., str], results: Path) -> PlannedSearch:
    assert cell.tuned is not None
    search = Search(cell.configuration, replace(cell.spec, seed=SEED), cell.tuned)
    base = search.base
    checksum = digest(base.dataset, base.image_size, base.split, base.filtered)
    fingerprint = code_fingerprint(base)
    told = json.dumps([identifier(base, checksum, fingerprint), cell.tuned.to_dict()], sort_keys=True)
    name = hashlib.sha256(told.encode()).hexdigest()[:16]
    folder = results.with_name(f"{results.name}.search")
    file = results / f"{name}{SUFFIX}"
    return PlannedSearch(search, name, checksum, fingerprint, prepared.meta.preparation, folder, file)
