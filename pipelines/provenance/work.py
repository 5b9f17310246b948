"""From a cell of a table to its trials, their data, and the commands for it."""

from __future__ import annotations

import itertools
from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev

import pandas as pd

from pipelines.artifacts.manifest import read_manifest
from pipelines.core.checksums import file_checksum
from pipelines.core.console import StageError, say
from pipelines.datasets.catalogue import known_datasets
from pipelines.trials.bundle import read_bundle, unpacked
from pipelines.trials.identity import plugins
from pipelines.trials.record import TrialRecord

LOCK = Path("requirements.lock")


def run(options: Namespace) -> None:
    report = options.reports / options.study
    with unpacked(report) as carried:
        records = {record.identifier: record for record in read_bundle(carried)}
    if options.cell:
        scores = cell(report, options)
        say(spell_cell(scores))
        chosen = [records[name] for name in scores["identifier"]]
    else:
        chosen = [record for record in records.values() if record.identifier.startswith(tuple(options.trials))]
        if not chosen or not options.trials:
            raise StageError(f"{report}: name a trial or --cell; the {len(records)} trials are {_some(records)}.")
    told = trial_lines(chosen), search_lines(chosen, report), data_lines(chosen, options.data), commands(chosen, report)
    for line in itertools.chain(*told):
        say(line)


def cell(report: Path, options: Namespace) -> pd.DataFrame:
    """The test scores behind one cell, a row a trial. Raises StageError if the report has no such cell."""
    scores = pd.read_csv(report / "tables" / "scores.csv", keep_default_na=False)
    scores = scores[scores["split"] == "test"]
    wanted = {"configuration": options.cell, "protocol": options.protocol, "metric": options.metric}
    for column, value in (wanted | ({"dataset": options.dataset} if options.dataset else {})).items():
        known = scores[column].unique()
        scores = scores[scores[column] == value]
        if scores.empty:
            raise StageError(f"{report}: no {column} {value!r}; there is {_some(known)}.")
    if len(datasets := scores["dataset"].unique()) > 1:
        raise StageError(f"--dataset is missing: the cell is there for {_some(datasets)}.")
    return scores


def spell_cell(scores: pd.DataFrame) -> str:
    """The number as a table prints it, and its parts."""
    values = scores["value"].astype(float).tolist()
    spread = f" ± {stdev(values):.6f}" if len(values) > 1 else ""
    first = scores.iloc[0]
    parts = "\n".join(f"  {row.identifier}  seed {row.seed}  {row.value}" for row in scores.itertuples())
    return (
        f"{first['metric']} ({first['protocol']}) of {first['configuration']} on {first['dataset']}: "
        f"{fmean(values):.6f}{spread} over {len(values)} trials\n{parts}"
    )


def trial_lines(records: Sequence[TrialRecord]) -> Iterable[str]:
    """What each trial was: code, data, place."""
    for record in records:
        ran = record.environment
        yield f"trial {record.identifier}: {record.configuration} · {record.spec.dataset} · seed {record.spec.seed}"
        yield f"  code: commit {record.code_version}, definitions {record.code_fingerprint}"
        yield from (f"  {line}" for line in plugin_lines(record))
        yield f"  data: {record.spec.split} split, images and rows {record.data_checksum}"
        yield (
            f"  ran on: {ran.device}, {ran.instruction_set}, {ran.threads} threads, {ran.precision}, "
            f"torch {ran.torch}, Python {ran.python}, {ran.platform}; from {record.started}, {record.seconds:.0f} s"
        )
        for adopted in record.adopted:
            yield f"  carried over from {adopted.was} by {adopted.by} at {adopted.at}: {adopted.why}"


def plugin_lines(record: TrialRecord) -> Iterable[str]:
    """Which components are of other packages, and where those are; they need not be here."""
    try:
        return plugins(record.spec)
    except StageError as error:
        return [f"plugin: not on this machine. {error}"]


def search_lines(records: Sequence[TrialRecord], report: Path) -> Iterable[str]:
    """Of tuned rows, which search chose their values, and by what."""
    path = report / "tables" / "search.csv"
    if not path.is_file():
        return
    won = pd.read_csv(path).query("won")
    for key in dict.fromkeys((r.spec.dataset, r.configuration, r.spec.split) for r in records):
        for row in won[(won[["dataset", "configuration", "split"]] == list(key)).all(axis=1)].itertuples():
            yield f"tuned on {key[0]}, {key[2]} split: values of proposal {row.number} of search {row.search}"
            yield f"  by {row.method}, validation {row.metric} {row.score:.4f}; all its proposals: {path}"


def data_lines(records: Sequence[TrialRecord], data: Path) -> Iterable[str]:
    """Sources, checksums, terms and citation of the data sets."""
    for name, record in {record.spec.dataset: record for record in records}.items():
        made = record.preparation
        yield f"data set {name}: {made.title}. {made.terms} {made.citation}".rstrip()
        yield f"  split by {made.split.model_dump(mode='json')}, filtered by {made.filter.model_dump(mode='json')}"
        if made.reduced:
            yield f"  reduced: {made.reduced}"
        try:
            for source in read_manifest(data, name).sources:
                yield f"  source: {source.file} from {source.address}, SHA-256 {source.sha256}"
        except StageError:
            for declared in known_datasets(data)[name].sources if name in known_datasets(data) else ():
                yield f"  source, not fetched here: {declared.model_dump(mode='json', exclude_none=True)}"


def commands(records: Sequence[TrialRecord], report: Path) -> Iterable[str]:
    """What to type, beside this checkout: the records are here, the code is that of their commit."""
    commits = dict.fromkeys(record.code_version.partition("+")[0] for record in records)
    if LOCK.is_file():
        yield f"packages: {LOCK}, SHA-256 {file_checksum(LOCK)} in this checkout"
    yield "to give it again:"
    for commit in commits:
        mine = [record for record in records if record.code_version.partition("+")[0] == commit]
        if any(record.code_version != commit for record in mine):
            yield f"  (trained on changes to {commit} that were not committed: expect other code)"
        place = f"../dmf-{commit}"
        yield f"  git worktree add {place} {commit} && cd {place} && make setup && dvc repro filter"
        named = " ".join(record.identifier for record in mine)
        yield f"  python -m pipelines.verify --study {report.name} --reports {report.parent.resolve()} {named}"


def _some(values: Iterable[object]) -> str:
    listed = [str(value) for value in values]
    return ", ".join(listed[:6]) + (f" and {len(listed) - 6} more" if len(listed) > 6 else "")
