"""Judging a study on disk, and the table of verdicts."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from pathlib import Path

from rich.table import Table

from pipelines.artifacts import arrays
from pipelines.core.console import StageError, say, show
from pipelines.papers.claim import paper_claims
from pipelines.papers.evidence import Truth
from pipelines.papers.kinds import Outcome
from pipelines.papers.verdict import Verdict, untested, verdicts
from pipelines.papers.wording import HEADS, row_of, tags
from pipelines.trials.finished import read_trials
from pipelines.trials.mirror import TRACKING_ERRORS
from pipelines.trials.plan import plan
from pipelines.trials.tracking import shown, tag_study, tracking_uri
from tune_spaces import Study, load_study
from tune_spaces.expand import expand

_STYLES = dict(zip(Outcome, ("green", "red", "yellow", "dim"), strict=True))


def run(options: Namespace) -> None:
    names = options.study or list(dict.fromkeys(name for claim in paper_claims() for name in claim.study))
    for name in names:
        study = load_study(name)
        found = judge_study(study, options.data, options.trials)
        if not found:
            say(f"{name}: no claim is about it. docs/claims.md says how to write one.")
            continue
        show(verdict_table(study, found))
        counts = Counter(one.outcome for one in found)
        say(f"{name}: " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome]))
        _tell_mlflow(name, found)


def judge_study(study: Study, data: Path, trials: Path) -> list[Verdict]:
    """The verdicts of a study on disk; all "not tested" where its data or a trial are missing."""
    try:
        records = read_trials(plan(study, data, trials))
    except StageError as error:
        return untested(study, " ".join(str(error).split("\n")[0].rstrip(":").split()))
    truths = {}
    for name in study.datasets:
        prepared = arrays.load(data, name, study.image_sizes(name)[-1])
        if prepared.meta.task == "segmentation":
            truths[name] = Truth(tuple(prepared.cases["image"]), prepared.targets)
    return verdicts(study, records, expand(study).baseline, truths)


def verdict_table(study: Study, found: list[Verdict]) -> Table:
    """One row a claim."""
    table = Table(title=f"{study.name}: {study.title}", title_justify="left", show_lines=True)
    for head in HEADS:
        table.add_column(head, justify="right" if head.startswith("n") else "left", overflow="fold")
    for one in found:
        table.add_row(*row_of(one).values(), style=_STYLES[one.outcome])
    return table


def _tell_mlflow(study: str, found: list[Verdict]) -> None:
    try:
        if tag_study(study, tracking_uri(), tags(found)):
            say(f"MLflow: verdicts are tags of the experiment {study}")
    except TRACKING_ERRORS as error:
        say(f"MLflow was not told, because it is away: {shown(str(error))}")
