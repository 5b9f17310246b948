"""Training a sample again, and taking the others over."""

from __future__ import annotations

import getpass
import random
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.artifacts import arrays
from pipelines.core.console import StageError, say
from pipelines.core.files import flush_folder, link_or_copy, replaced
from pipelines.trials.plan import PlannedTrial, outline
from pipelines.trials.record import DONE, Adoption, TrialRecord, now, read_trial
from pipelines.trials.unfinished import Unfinished, unfinished_folder
from pipelines.verify.compare import Outcome
from pipelines.verify.data import require_intact
from pipelines.verify.trial import tell, verify
from tune_spaces import Study, load_study


@dataclass(frozen=True)
class Candidate:
    """A finished trial of other code, and the trial of today that it could stand for."""

    record: TrialRecord
    planned: PlannedTrial

    @property
    def change(self) -> tuple[str, str]:
        """From which code to which."""
        return self.record.code_fingerprint, self.planned.code_fingerprint


def run(options: Namespace) -> None:
    if options.sample < 1:
        raise StageError(f"--sample is {options.sample}, expected at least 1: nothing is taken over unseen.")
    taken = [0, 0]
    for planned in passes(load_study(options.study), options.data, options.trials):
        found = candidates(planned, finished_elsewhere(planned))
        taken = [taken[0] + len(found), taken[1] + carry(found, options)]
    if not taken[0]:
        say(f"{options.study}: no finished trial differs from a missing one in its code alone. Nothing to do.")
    else:
        say(f"{taken[0]} trials taken over under today's identifiers, in {options.trials}; {taken[1]} trained again")


def passes(study: Study, data: Path, trials: Path) -> Iterator[list[PlannedTrial]]:
    """What may be taken over: the trials of searches that have not ended, which end when those are, then the others."""
    proposals: list[PlannedTrial] = []
    while going := [one for one in outline(study, data, trials).searches if one.ended is None]:
        from pipelines.grid.tuning import conclude, proposed  # with Ray, which nothing else here has a use for

        before, proposals = proposals, [trial for one in going for trial in proposed(one)]
        if len(proposals) == len(before):
            say(f"{len(going)} searches have not ended: {'; '.join(one.search.title for one in going)}")
            break
        yield proposals
        for one in going:
            conclude(one, proposed(one))
    if known := outline(study, data, trials).trials:
        yield known


def carry(found: Sequence[Candidate], options: Namespace) -> int:
    """Train a sample again, and take all over if it came out the same. Returns the size of the sample."""
    sample = draw(found, options.sample)
    if found:
        say(f"{len(found)} trials of other code; {len(sample)} of them are trained again")
    for candidate in sample:
        require_same(candidate, options.data)
    trained = tuple(candidate.record.identifier for candidate in sample)
    said = {"by": getpass.getuser(), "at": now(), "why": options.why, "sample": trained}
    for candidate in found:
        take_over(candidate, Adoption(was=candidate.record.identifier, **said))
    return len(sample)


def finished_elsewhere(planned: Sequence[PlannedTrial]) -> list[TrialRecord]:
    """Records of finished trials beside the planned that are none of them."""
    known, folder = {trial.identifier for trial in planned}, planned[0].folder.parent
    paths = sorted(path.parent for path in folder.glob(f"*/{DONE}") if path.parent.name not in known)
    records = []
    for path in paths:
        try:
            records.append(read_trial(path))
        except StageError as error:
            say(f"left alone: {error}")
    return records


def candidates(planned: Sequence[PlannedTrial], records: Iterable[TrialRecord]) -> list[Candidate]:
    """For each planned trial that is not done, the newest record of the same spec on the same data."""
    newest: dict[tuple[str, str], TrialRecord] = {}
    for record in sorted(records, key=lambda one: one.started):
        newest[str(record.spec), record.data_checksum] = record
    missing = [trial for trial in planned if not trial.done]
    pairs = [(newest.get((str(trial.spec), trial.data_checksum)), trial) for trial in missing]
    return [Candidate(record, trial) for record, trial in pairs if record is not None]


def draw(found: Sequence[Candidate], size: int) -> list[Candidate]:
    """So many of each change of code, the same ones at every call."""
    chance = random.Random(0)
    groups: dict[tuple[str, str], list[Candidate]] = {}
    for candidate in found:
        groups.setdefault(candidate.change, []).append(candidate)
    return [one for group in groups.values() for one in chance.sample(group, min(size, len(group)))]


def require_same(candidate: Candidate, data: Path) -> None:
    """Train a trial again. Raises StageError unless it is the record bit for bit, in the same environment."""
    spec = candidate.record.spec
    require_intact(arrays.load(data, spec.dataset, spec.image_size))
    comparison = verify(candidate.record, data, None)
    tell(comparison)
    if comparison.outcome is not Outcome.IDENTICAL:
        raise StageError(
            f"Trial {candidate.record.identifier} does not come out the same with today's code, as the lines above "
            "say. Nothing was taken over. Run the grid: it trains these trials anew."
        )


def take_over(candidate: Candidate, adoption: Adoption) -> None:
    """Put a copy of the record in the place of the planned trial; its files are linked where the disk can."""
    record, planned = candidate.record, candidate.planned
    adopted = record.model_copy(
        update={
            "identifier": planned.identifier,
            "configuration": planned.configuration,
            "code_fingerprint": planned.code_fingerprint,
            "adopted": (*record.adopted, adoption),
        }
    )
    unfinished = Unfinished(unfinished_folder(planned.folder))
    with unfinished.lock():
        with replaced(planned.folder, beside=planned.folder.parent.parent) as partial:
            for file in record.folder.iterdir():
                if file.name != DONE:
                    link_or_copy(file, partial / file.name)
            (partial / DONE).write_text(adopted.to_json())
            flush_folder(partial)
        unfinished.remove()
