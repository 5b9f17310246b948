"""MLflow mirrors the Parquet files: every value, every trial once, whatever happened before."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from dmf.training.diagnostics import Finding
from dmf.training.spec import TrialSpec
from pipelines.datasets.params import FilterParams, SplitParams
from pipelines.trials.columns import EpochColumns, HistoryColumns
from pipelines.trials.failure import Failure, clear_failure, write_failure
from pipelines.trials.mirror import BATCH, TRACKING_ERRORS, Mirror, origin_of
from pipelines.trials.mirroring import bring_level, following
from pipelines.trials.tracking import tag_study
from pipelines.trials.unfinished import Progress, Unfinished, unfinished_folder
from tests.support.commands import wait_for
from tests.support.grids import planned_trial, syncs_of
from tests.support.records import begun, record_of_planned

STEPS_PER_EPOCH = 200


SPEC = TrialSpec(dataset="phantom", seed=3, losses=("dice", "iou"), auxiliary=None)
EPOCHS = 4
PLANNED = planned_trial("a1b2", "variance · focal", SPEC, Path("trials") / "mine")
DESCRIPTION = PLANNED.describe("mine", "abc123")


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """The folder of a finished trial of 4 epochs."""
    folder = tmp_path / "trials" / "a1b2"
    folder.mkdir(parents=True)
    steps = np.arange(EPOCHS * STEPS_PER_EPOCH)
    history = {"step": steps, "epoch": steps // STEPS_PER_EPOCH, "total": np.exp(-steps / 90.0)}
    history |= dict.fromkeys(HistoryColumns.of(SPEC.losses)[1:], 5.0)
    pd.DataFrame(history).to_parquet(folder / "history.parquet", index=False)
    epochs = {"epoch": range(EPOCHS), "train_total": 1.0, "val/dice": [0.1, 0.2, 0.4, 0.3]}
    epochs |= dict.fromkeys(EpochColumns.digests, "0" * 32)
    pd.DataFrame(epochs).to_parquet(folder / "epochs.parquet", index=False)
    record = record_of_planned(
        PLANNED,
        steps_per_epoch=STEPS_PER_EPOCH,
        test={"reference": {"dice": 0.5}, "per_image": {"dice": 0.25}, "per_image@noise=0.1": {"dice": 0.125}},
        diagnostics=(Finding("weight_collapse", 7, "All weight on dice.", "dice"),),
    )
    (folder / "trial.json").write_text(record.to_json())
    return folder


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return store_in(tmp_path)


def store_in(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def runs(uri: str) -> list:
    client = MlflowClient(uri)
    return client.search_runs([client.get_experiment_by_name("mine").experiment_id])


def test_a_trial_becomes_one_run_that_holds_everything(trial: Path, uri: str) -> None:
    assert Mirror("mine", uri, "here").level(trial.parent) == 1
    (run,) = runs(uri)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "variance · focal · phantom · seed 3"
    some = {"dataset": "phantom", "seed": "3", "losses": '["dice", "iou"]', "auxiliary": "null", "precision": "fp32"}
    assert some.items() < run.data.params.items()
    prepared = run.data.params.keys() - SPEC.to_dict().keys()
    assert {name.partition(".")[0] for name in prepared} == {"split", "filter"}
    assert run.data.tags["identifier"] == "a1b2"
    assert run.data.tags["code_version"] == "abc123"
    ran_on = {"torch": "2.15.0", "device": "CPU", "instruction_set": "AVX2", "precision": "fp32"}
    assert ran_on.items() < run.data.tags.items()
    assert run.data.tags["diagnostics.weight_collapse.dice"] == "All weight on dice."
    assert run.data.metrics["test/per_image/dice"] == 0.25
    assert run.data.metrics["test/per_image noise:0.1/dice"] == 0.125
    client = MlflowClient(uri)
    history = pd.read_parquet(trial / "history.parquet")
    assert history.size > BATCH, "the history must need more than one request"
    mirrored = sorted(client.get_metric_history(run.info.run_id, "total"), key=lambda metric: metric.step)
    assert [metric.value for metric in mirrored] == history["total"].tolist()
    dice = sorted(client.get_metric_history(run.info.run_id, "val/dice"), key=lambda metric: metric.step)
    assert [(metric.step, metric.value) for metric in dice] == [(199, 0.1), (399, 0.2), (599, 0.4), (799, 0.3)]
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("phantom", "data")
    assert json.loads(given.dataset.profile)["split"] == "default"
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"history.parquet", "trial.json"}


def test_runs_of_two_splits_are_told_apart(trial: Path, uri: str) -> None:
    """`dvc exp run -S split.seed=1`: the parameter is called as it is there."""
    other = trial.with_name("c3d4")
    shutil.copytree(trial, other)
    made = PLANNED.preparation.model_copy(update={"split": SplitParams(seed=1), "filter": FilterParams(diameter=5)})
    planned = dataclasses.replace(PLANNED, identifier="c3d4", preparation=made)
    (other / "trial.json").write_text(record_of_planned(planned, steps_per_epoch=STEPS_PER_EPOCH).to_json())
    Mirror("mine", uri, "here").level(trial.parent)
    found = {run.data.tags["identifier"]: run.data.params for run in runs(uri)}
    assert [found[name]["split.seed"] for name in ("a1b2", "c3d4")] == ["0", "1"]
    assert [found[name]["filter.diameter"] for name in ("a1b2", "c3d4")] == ["9", "5"]
    assert found["a1b2"]["split.fractions"] == "[0.7, 0.15, 0.15]"
    assert found["a1b2"]["image_size"] == found["c3d4"]["image_size"]


def test_seeds_and_folds_of_a_configuration_have_one_tag_to_group_by(trial: Path, uri: str) -> None:
    for number, part in enumerate(({"seed": 4}, {"split": "fold:2"})):
        spec = dataclasses.replace(SPEC, **part)
        planned = dataclasses.replace(PLANNED, identifier=f"c{number}", spec=spec)
        shutil.copytree(trial, trial.with_name(planned.identifier))
        record = record_of_planned(planned, steps_per_epoch=STEPS_PER_EPOCH)
        (trial.with_name(planned.identifier) / "trial.json").write_text(record.to_json())
    Mirror("mine", uri, "here").level(trial.parent)
    assert [run.data.tags["row"] for run in runs(uri)] == 3 * ["variance · focal · phantom"]


def test_the_experiment_opens_on_columns_that_there_are(trial: Path, uri: str) -> None:
    Mirror("mine", uri, "here").level(trial.parent)
    (run,) = runs(uri)
    tags = MlflowClient(uri).get_experiment_by_name("mine").tags
    view = json.loads(tags["mlflow.sharedViewState.scores"])
    held = {"params": run.data.params, "tags": run.data.tags, "metrics": run.data.metrics}
    columns = [re.fullmatch(r"(\w+)\.`(.+)`", column).groups() for column in view["selectedColumns"]]
    there = [name for kind, name in columns if kind in held and name in held[kind]]
    assert there == ["test/per_image/dice", "seed", "configuration", "precision", "device"]
    charts = json.loads(tags["mlflow.sharedViewState.weights"])["chartsSearchFilter"]
    assert {name for name in run.data.metrics if name.startswith(charts)} == {"weight/dice", "weight/iou"}


def test_a_second_pass_adds_nothing(trial: Path, uri: str) -> None:
    mirror = Mirror("mine", uri, "here")
    passes = [mirror.level(trial.parent), mirror.level(trial.parent), Mirror("mine", uri, "here").level(trial.parent)]
    assert passes == [1, 0, 0]
    assert len(runs(uri)) == 1


def in_training(trial: Path, epochs: int) -> Unfinished:
    """The trial after some saved epochs, before its folder is in place."""
    unfinished = Unfinished(unfinished_folder(trial))
    unfinished.folder.mkdir(parents=True, exist_ok=True)
    history, table = (pd.read_parquet(trial / f"{kind}.parquet") for kind in ("history", "epochs"))
    for epoch in range(epochs):
        for kind, rows in (("history", history), ("epochs", table)):
            unfinished.write_rows(kind, epoch, rows[rows["epoch"] == epoch])
    progress = Progress(
        epochs_done=epochs, steps_per_epoch=STEPS_PER_EPOCH, attempts=[begun(torch="2.14.0")], description=DESCRIPTION
    )
    unfinished.write_progress(progress)
    return unfinished


def values(uri: str, name: str = "total") -> list[float]:
    client = MlflowClient(uri)
    (run,) = runs(uri)
    points = sorted(client.get_metric_history(run.info.run_id, name), key=lambda metric: metric.step)
    assert [point.step for point in points] == list(range(len(points))), "each step once"
    return [point.value for point in points]


def test_a_trial_in_training_is_followed_epoch_by_epoch_and_each_value_is_there_once(
    trial: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.trials.mirror.PATIENCE", 0)
    done = (trial / "trial.json").rename(trial / "later.json")
    total = pd.read_parquet(trial / "history.parquet")["total"].tolist()
    mirror = Mirror("mine", uri, "here")
    for epochs in (1, 2, 2, 3):
        unfinished = in_training(trial, epochs)
        assert mirror.level(trial.parent) == 0
        assert values(uri) == total[: epochs * STEPS_PER_EPOCH]
    unfinished.remove()
    done.rename(trial / "trial.json")
    assert mirror.level(trial.parent) == 1
    assert values(uri) == total
    (run,) = runs(uri)
    assert (run.info.status, run.data.tags["torch"]) == ("FINISHED", "2.15.0")


def test_a_record_that_cannot_be_read_is_told_once_and_keeps_no_other_from_the_mirror(
    trial: Path, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    older = trial.with_name("0a1b")
    older.mkdir()
    (older / "trial.json").write_text('{"identifier": "0a1b", "summary": {}}')
    mirror = Mirror("mine", uri, "here")
    for _ in range(2):
        mirror.level(trial.parent)
    assert [run.data.tags["identifier"] for run in runs(uri)] == ["a1b2"]
    said = capsys.readouterr().out
    assert said.count("MLflow does without one trial") == 1
    assert "0a1b/trial.json is damaged or not a trial's file (it says no version" in said


def test_what_a_killed_mirror_left_is_made_anew(trial: Path, uri: str) -> None:
    done = (trial / "trial.json").rename(trial / "later.json")
    in_training(trial, 2)
    Mirror("mine", uri, "here").level(trial.parent)
    done.rename(trial / "trial.json")
    assert Mirror("mine", uri, "here").level(trial.parent) == 1
    assert [run.info.status for run in runs(uri)] == ["FINISHED"]
    assert values(uri) == pd.read_parquet(trial / "history.parquet")["total"].tolist()


def test_a_run_that_was_made_twice_as_an_answer_was_lost_is_there_once(trial: Path, uri: str) -> None:
    Mirror("mine", uri, "here").level(trial.parent)
    (run,) = runs(uri)
    MlflowClient(uri).create_run(run.info.experiment_id, tags={"identifier": trial.name, "origin": "here"})
    assert Mirror("mine", uri, "here").level(trial.parent) == 0
    assert [left.info.run_id for left in runs(uri)] == [run.info.run_id]


def test_folders_of_trials_that_share_a_server_leave_each_others_runs_alone(trial: Path, uri: str) -> None:
    """Two checkouts, or two people, with the same study: the one's running trial is not the other's leftover."""
    results, theirs = trial.parent, Mirror("mine", uri, "there")
    unfinished = Unfinished(unfinished_folder(results / "c3d4"))
    running = theirs.run_of(DESCRIPTION, [begun()])
    unfinished.folder.mkdir(parents=True)
    assert Mirror("mine", uri, "here").level(results) == 1
    assert {(run.data.tags["origin"], run.info.status) for run in runs(uri)} == {
        ("there", "RUNNING"),
        ("here", "FINISHED"),
    }
    theirs.send_rows(running, pd.read_parquet(trial / "history.parquet"), pd.read_parquet(trial / "epochs.parquet"))
    assert Mirror("mine", uri, "there").missing(results) == [trial]
    assert Mirror("mine", uri, "here").missing(results) == []


def test_a_folder_of_trials_keeps_its_name_wherever_it_is_moved(tmp_path: Path) -> None:
    (tmp_path / "trials").mkdir()
    name = origin_of(tmp_path / "trials")
    assert re.fullmatch(r"[0-9a-f]{32}", name)
    (tmp_path / "trials").rename(tmp_path / "moved")
    assert origin_of(tmp_path / "moved") == name
    assert origin_of(tmp_path) != name


def test_a_failure_is_marked_once_and_replaced_by_the_result_of_a_later_attempt(trial: Path, uri: str) -> None:
    done = (trial / "trial.json").rename(trial / "later.json")
    write_failure(trial, DESCRIPTION, Failure("divergence", "TrainingDiverged: `dice` is not finite"))
    for _ in range(2):
        Mirror("mine", uri, "here").level(trial.parent)
        (run,) = runs(uri)
        assert (run.info.status, run.data.tags["failure"]) == ("FAILED", "divergence")
        assert run.data.tags["error"] == "TrainingDiverged: `dice` is not finite"
    clear_failure(trial)
    done.rename(trial / "trial.json")
    Mirror("mine", uri, "here").level(trial.parent)
    assert [run.info.status for run in runs(uri)] == ["FINISHED"]


def test_a_server_that_is_away_is_said_and_the_next_sync_catches_up(
    trial: Path, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    results = trial.parent.rename(trial.parent.with_name("mine"))
    assert not bring_level(results, "http://127.0.0.1:9")  # the discard port: nobody answers
    assert "python -m pipelines.sync --study mine" in capsys.readouterr().out
    assert bring_level(results, uri)
    assert [run.info.status for run in runs(uri)] == ["FINISHED"]


@pytest.mark.parametrize("finished", [True, False])
def test_a_deleted_experiment_is_filled_anew(
    trial: Path, uri: str, finished: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its name stays taken, so that every later pass failed, and "it will catch up" was said of what never could."""
    done = trial / "trial.json"
    if not finished:
        done = done.rename(trial / "later.json")
        in_training(trial, 2)
    Mirror("mine", uri, origin_of(trial.parent.parent)).level(trial.parent)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("mine").experiment_id
    client.delete_experiment(experiment)
    assert not tag_study("mine", uri, {"note": "x"})
    done.rename(trial / "trial.json")
    assert bring_level(trial.parent.rename(trial.parent.with_name("mine")), uri)
    assert "experiment mine had been deleted. It is there again" in " ".join(capsys.readouterr().out.split())
    assert client.get_experiment_by_name("mine").experiment_id == experiment
    (run,) = runs(uri)
    assert run.info.status == "FINISHED"
    assert len(values(uri)) == EPOCHS * STEPS_PER_EPOCH
    assert tag_study("mine", uri, {"note": "x"})


def test_an_experiment_that_is_deleted_while_a_mirror_runs_is_filled_by_its_next_pass(trial: Path, uri: str) -> None:
    mirror = Mirror("mine", uri, "here")
    client = MlflowClient(uri)
    client.delete_experiment(mirror.experiment)
    with pytest.raises(TRACKING_ERRORS):
        mirror.level(trial.parent)
    assert Mirror("mine", uri, "here").level(trial.parent) == 1
    assert [run.info.status for run in runs(uri)] == ["FINISHED"]


def test_a_follower_that_is_killed_has_a_successor_and_none_outlives_the_grid(trial: Path, uri: str) -> None:
    with following(trial.parent, uri):
        wait_for(lambda: syncs_of(os.getpid()))
        (first,) = syncs_of(os.getpid())
        first.kill()
        wait_for(lambda: first not in syncs_of(os.getpid()) and syncs_of(os.getpid()))
    assert syncs_of(os.getpid()) == []


def test_a_store_whose_making_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    """MLflow stops at such a file for ever: a column that it wants to add is there already."""
    made = tmp_path / ".mlflow.db.partial"
    with sqlite3.connect(made) as connection:
        connection.execute("CREATE TABLE metrics (key VARCHAR(250), value FLOAT, run_uuid VARCHAR(32), step BIGINT)")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mirror = Mirror("study", uri, "here")
    assert MlflowClient(uri).get_experiment(mirror.experiment).name == "study"
    assert not [*tmp_path.glob(f"{made.name}*")], "Neither it nor its journal is left."
