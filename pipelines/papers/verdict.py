"""From a claim and finished trials to a verdict: supported, contradicted, undecided, or not tested and why."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import Literal

from pipelines.datasets.catalogue import load_catalogue
from pipelines.papers.claim import Claim, claims_of
from pipelines.papers.evidence import Evidence, Selector, Truth
from pipelines.papers.inference import ALPHA, holm
from pipelines.papers.kinds import Cell, NotTested, Outcome, Quantity
from pipelines.papers.kinds.base import described
from pipelines.papers.measures import MEASURES, Record, scale_of, score
from tune_spaces import Study


@dataclass(frozen=True)
class Verdict:
    """What trials say about a claim.

    Attributes:
        reason: How many tests say what; or why nothing was tested.
        cell: The test that decides: the weakest of those that support it, the clearest of those that contradict it, or
            the one that is farthest from being decided. None for "not tested".
        cells: Every test, each with its state.
        notes: What a reader must know beside: a stand-in's data, what is missing.
    """

    claim: Claim
    study: str
    outcome: Outcome
    reason: str
    cell: Cell | None = None
    cells: tuple[Cell, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def needed(self) -> int | None:
        """Repeats with which `cell` would be clear in 80 of 100 studies of its effect and spread, at its level.

        The level is that of Bonferroni over the tests that could be made, where they are corrected. None if it takes
        too many, or if nobody can tell.
        """
        if self.cell is None or self.cell.needed is None:
            return None
        made = len(self.cells) - self.counts[Outcome.NOT_TESTED]
        return self.cell.needed(ALPHA / made if self.claim.correction == "holm" else ALPHA)

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many tests ended how."""
        return {outcome: sum(cell.state is outcome for cell in self.cells) for outcome in Outcome}


def verdicts(
    study: Study, records: Sequence[Record], baseline: str = "", truths: Mapping[str, Truth] | None = None
) -> list[Verdict]:
    """One verdict for every claim that a study is evidence for, the papers' claims first.

    Args:
        records: The study's finished trials, in its order.
        baseline: Name of the baseline's configuration.
        truths: True masks by data set, for claims about the shape of lesions.
    """
    evidence = Evidence(tuple(records), baseline, truths or {})
    return [judge(claim, study.name, evidence) for claim in claims_of(study)]


def untested(study: Study, reason: str) -> list[Verdict]:
    """The verdicts of a study without trials."""
    return [Verdict(claim, study.name, Outcome.NOT_TESTED, reason) for claim in claims_of(study)]


def judge(claim: Claim, study: str, evidence: Evidence) -> Verdict:
    """Test one claim on the trials of one study."""
    try:
        evidence, notes, complete = _restrict(claim, study, evidence)
        cells = claim.test.cells(evidence, quantities(claim, evidence))
        if not cells:
            raise NotTested("no trials to compare")
    except NotTested as error:
        return Verdict(claim, study, Outcome.NOT_TESTED, str(error))
    if lacking := _absent(claim, evidence) or _uncovered(claim, evidence, cells):
        notes, complete = [*notes, lacking], False
    verdict = decide(claim, study, cells)
    if verdict.outcome is Outcome.SUPPORTED and not complete:
        verdict = dataclasses.replace(
            verdict, outcome=Outcome.UNDECIDED, reason=f"{verdict.reason}, but not all of it could be tested"
        )
    return dataclasses.replace(verdict, notes=tuple(notes))


def decide(claim: Claim, study: str, cells: Sequence[Cell]) -> Verdict:
    """Correct the cells for their number, give each its state, and count."""
    cells = _with_states(cells, claim.correction)
    states = [cell.state for cell in cells]
    if all(state is Outcome.NOT_TESTED for state in states):
        reasons = dict.fromkeys(cell.reason for cell in cells)
        return Verdict(claim, study, Outcome.NOT_TESTED, "; ".join(reasons), cells=cells)
    outcomes = {_combine([cell for cell in cells if cell.dataset == name], claim.test.need) for name in _names(cells)}
    if Outcome.CONTRADICTED in outcomes:
        outcome = Outcome.CONTRADICTED
    else:
        outcome = Outcome.SUPPORTED if outcomes == {Outcome.SUPPORTED} else Outcome.UNDECIDED
    need = claim.test.need
    return Verdict(claim, study, outcome, _count(cells, need), _deciding(cells, outcome, need), cells)


def quantities(claim: Claim, evidence: Evidence) -> list[Quantity]:
    """What the claim looks at in each trial.

    Raises:
        NotTested: if the trials have no such score.
    """
    if not evidence.records:
        raise NotTested("no trial fits the claim")
    if claim.measure is not None:
        return [Quantity(claim.measure.replace("_", " "), MEASURES[claim.measure], "")]
    known = evidence.records[0].test
    for wanted in claim.protocol:
        if protocols := [name for name in known if fnmatchcase(name, wanted)]:
            break
    else:
        raise NotTested(f"the trials have no scores under the protocol {' or '.join(claim.protocol)}")
    if unknown := [metric for metric in claim.metrics if metric not in known[protocols[0]]]:
        raise NotTested(f"the protocol {protocols[0]} has no score {', '.join(unknown)}")
    return [
        Quantity(
            name=f"{metric} ({protocol})",
            value=score(protocol, metric),
            unit="px" if scale_of(metric) == 1 else "points",
            selecting=score(protocol, metric, validation=True),
            protocol=protocol,
            metric=metric,
        )
        for protocol in protocols
        for metric in claim.metrics
    ]


def _restrict(claim: Claim, study: str, evidence: Evidence) -> tuple[Evidence, list[str], bool]:
    """The trials that count, what to note about them, and whether they are all that the claim is about."""
    notes: list[str] = []
    images = {name: _images_of(name) for name in evidence.datasets}
    missing = [name for name in claim.datasets if name not in images.values()]
    there = [name for name, source in images.items() if source in claim.datasets]
    own = claim.is_papers_own(study)
    if own and claim.datasets and not there:
        raise NotTested(f"no trials on {', '.join(claim.datasets)}")
    if there:
        evidence = evidence.where({"dataset": there})
    if missing:
        used, asked = ", ".join(evidence.datasets), ", ".join(missing)
        notes.append(f"without {asked}" if there else f"on {used} in the place of {asked}")
    chosen = evidence.where(claim.where)
    if not chosen.records:
        raise NotTested(f"no trial has {described(claim.where)}")
    return chosen.preferring(claim.prefer), notes, not (own and missing)


@cache
def _images_of(dataset: str) -> str:
    """The data set whose images these are, cut otherwise perhaps: patches of volumes, say."""
    entry = load_catalogue().get(dataset)
    return (entry and entry.sources_of) or dataset


def _absent(claim: Claim, evidence: Evidence) -> str:
    """What of the compared sides no trial has, or none on some data set, such as a loss that the study does not try."""
    apart = [evidence.where({"dataset": dataset}) for dataset in evidence.datasets]
    parts = [evidence] if claim.test.spans_datasets else apart
    found: dict[str, list[str]] = {}
    for part in parts:
        for one in (one for side in claim.test.sides for one in _alternatives(side)):
            if not part.where(one).records:
                found.setdefault(described(one), []).append(", ".join(part.datasets))
    words = [one if len(on) == len(parts) else f"{one} on {', '.join(on)}" for one, on in sorted(found.items())]
    return f"no trials have {'; '.join(words)}" if words else ""


def _alternatives(side: Selector) -> Iterator[Selector]:
    """Each member of a selector's lists by itself; a selector without any as it is."""
    lists = {name: wanted for name, wanted in side.items() if isinstance(wanted, list)}
    lists = {name: wanted for name, wanted in lists.items() if name != "losses" or isinstance(wanted[0], list)}
    if not lists:
        yield side
    for name, wanted in lists.items():
        yield from ({name: one} for one in wanted)


def _uncovered(claim: Claim, evidence: Evidence, cells: Sequence[Cell]) -> str:
    """Data sets on which nothing could be compared."""
    without = set() if claim.test.spans_datasets else set(evidence.datasets) - set(_names(cells))
    return f"nothing to compare on {', '.join(sorted(without))}" if without else ""


def _with_states(cells: Sequence[Cell], correction: Literal["holm", "none"]) -> tuple[Cell, ...]:
    raw = [math.nan if cell.state else cell.p for cell in cells]
    corrected = holm(raw) if correction == "holm" else raw
    return tuple(_with_state(cell, p) for cell, p in zip(cells, corrected, strict=True))


def _with_state(cell: Cell, p: float) -> Cell:
    if cell.state:
        return cell
    clear = Outcome.SUPPORTED if cell.favour else Outcome.CONTRADICTED
    return dataclasses.replace(cell, p=p, state=clear if p < ALPHA else Outcome.UNDECIDED)


def _combine(cells: Sequence[Cell], need: int | None) -> Outcome:
    """All cells, or `need` of them; nothing is clear where there are fewer."""
    need = len(cells) if need is None else need
    if need > len(cells):
        return Outcome.UNDECIDED
    supporting, against = (sum(c.state is o for c in cells) for o in (Outcome.SUPPORTED, Outcome.CONTRADICTED))
    if supporting >= need:
        return Outcome.SUPPORTED
    return Outcome.CONTRADICTED if against > len(cells) - need else Outcome.UNDECIDED


def _deciding(cells: Sequence[Cell], outcome: Outcome, need: int | None) -> Cell:
    """What `Verdict.cell` says."""
    if outcome is not Outcome.UNDECIDED:
        chosen = [cell for cell in cells if cell.state is outcome]
        return (max if outcome is Outcome.SUPPORTED else min)(chosen, key=lambda cell: cell.p)
    tested = [cell for cell in cells if cell.state is not Outcome.NOT_TESTED]
    undecided = [cell for cell in tested if cell.state is Outcome.UNDECIDED] or tested
    against = [] if need is not None else [cell for cell in undecided if not cell.favour]
    # One clear cell against it decides a claim about every cell; else all that are open have to become clear.
    return min(against, key=lambda cell: cell.p) if against else max(undecided, key=lambda cell: cell.p)


def _count(cells: Sequence[Cell], need: int | None) -> str:
    fewest = min(sum(cell.dataset == name for cell in cells) for name in _names(cells))
    return _states(cells) + (f", fewer than the {need} needed on a data set" if need and fewest < need else "")


def _states(cells: Sequence[Cell]) -> str:
    if len(cells) == 1:
        return "one test"
    words = {
        Outcome.SUPPORTED: "support it",
        Outcome.CONTRADICTED: "contradict it",
        Outcome.UNDECIDED: "are undecided",
        Outcome.NOT_TESTED: "could not be made",
    }
    found = [(sum(cell.state is outcome for cell in cells), words[outcome]) for outcome in Outcome]
    return f"of {len(cells)} tests " + ", ".join(f"{n} {text}" for n, text in found if n)


def _names(cells: Iterable[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.dataset for cell in cells))
