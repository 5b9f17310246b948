"""A trial's record: what is written is read, all of it, and what is of another make is refused by name."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from dmf.training.trial import Trial
from pipelines.core.console import StageError
from pipelines.trials.digests import digests_of, epoch_digests, weights_digest
from pipelines.trials.environment import Environment
from pipelines.trials.failure import Failure, read_failure, write_failure
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import epoch_row, read_trial, record_of, step_rows, write_trial
from pipelines.trials.stored import VERSION
from pipelines.trials.unfinished import Progress, Unfinished
from tests.support.grids import planned_trial
from tests.support.records import begun
from tests.support.toy import toy_data, toy_labels, toy_spec


def written(study: Path) -> PlannedTrial:
    """A trial that was really trained, for one epoch, and written to a study's folder."""
    spec = toy_spec(epochs=1, model_params={"base_filters": 2}, loss_params={"focal": {}}, auxiliary="focal")
    planned = planned_trial("a1b2", "mine", spec, study)
    trial = Trial(spec, toy_data(images=8))
    initial = weights_digest(trial.model.state_dict())
    report = trial.epoch()
    history, epochs = step_rows(report, 0), pd.DataFrame([epoch_row(report) | epoch_digests(trial)])
    result = dataclasses.replace(trial.finish(), validation={"reference": {"dice": math.nan, "hd95": math.inf}})
    described, digests = planned.describe("study", "abc"), digests_of(initial, result, history, epochs)
    record = record_of(planned.folder, described, [begun()], result, digests, seconds=1.0, steps_per_epoch=1)
    cases = pd.DataFrame({"image": [f"{number}.png" for number in range(8)], "label": "square"})
    write_trial(record, result, history, epochs, cases)
    return planned


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> PlannedTrial:
    return written(tmp_path_factory.mktemp("trials") / "study")


@pytest.fixture
def folder(planned: PlannedTrial, tmp_path: Path) -> Path:
    """A copy of its trial.json that may be spoilt."""
    copy = tmp_path / "study" / planned.identifier
    copy.mkdir(parents=True)
    (copy / "trial.json").write_bytes((planned.folder / "trial.json").read_bytes())
    return copy


def test_what_was_written_is_read(planned: PlannedTrial) -> None:
    record = read_trial(planned.folder)
    assert record.spec == planned.spec
    assert record.preparation == planned.preparation
    assert record.attempts == (begun(),)
    assert math.isnan(record.validation["reference"]["dice"])
    assert record.validation["reference"]["hd95"] == math.inf
    assert record.model_copy(update={"folder": Path()}).to_json() == record.to_json()
    assert read_trial(planned.folder).test == record.test
    assert record.history["loss/dice"].notna().all()
    assert record.epoch_table["train_total"].tolist() == [record.history["total"].mean()]
    assert record.images["image"].tolist() == ["6.png", "7.png"]
    assert sorted(record.predictions) == [6, 7]


def test_a_result_is_on_the_disk_before_it_has_its_name_and_its_name_before_anybody_goes_on(
    tmp_path: Path, disk: list[str]
) -> None:
    """So that a power cut leaves all of it or nothing, and all once `write_trial` has returned."""
    files = [path.name for path in written(tmp_path / "trials" / "study").folder.iterdir()]
    moved = disk.index("rename .study-a1b2.partial to a1b2")
    assert sorted(disk[:moved]) == sorted(f"flush {name}" for name in [*files, ".study-a1b2.partial"])
    assert len(files) == 6
    assert sorted(disk[moved + 1 :]) == ["flush study", "flush trials"]


def test_it_is_json_that_every_reader_understands(planned: PlannedTrial) -> None:
    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} is no JSON")

    text = (planned.folder / "trial.json").read_text()
    stored = json.loads(text, parse_constant=refuse)
    assert stored["version"] == VERSION
    assert "folder" not in stored


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stored: stored.update(version=VERSION + 1), rf"of version {VERSION + 1}, and this code reads version"),
        (lambda stored: stored.pop("version"), r"is damaged .*says no version"),
        (lambda stored: stored.pop("test"), r"is damaged .*`test`: Field required"),
        (lambda stored: stored.update(surprise=1), r"is damaged .*`surprise`: Extra inputs"),
        (lambda stored: stored["spec"].update(surprise=1), r"is damaged .*`spec`: .*surprise"),
        (lambda stored: stored["spec"].update(epochs=0), r"is damaged .*`spec`: .*`epochs` must be at least 1"),
        (lambda stored: stored["attempts"][0]["environment"].pop("torch"), r"`attempts.0.environment.torch`: Field"),
        (lambda stored: stored.update(attempts=[]), r"`attempts`: .*at least 1 item"),
        (lambda stored: stored.update(identifier="b2c3"), r"it belongs to the trial b2c3"),
    ],
)
def test_a_record_of_another_make_is_refused_with_what_to_do(folder: Path, change: Change, message: str) -> None:
    stored = json.loads((folder / "trial.json").read_text())
    change(stored)
    (folder / "trial.json").write_text(json.dumps(stored))
    with pytest.raises(StageError, match=rf"a1b2/trial\.json.*{message}.*run the grid again"):
        read_trial(folder)


def test_a_failure_is_read_as_it_was_written_or_said_to_be_unreadable(planned: PlannedTrial, tmp_path: Path) -> None:
    failure = Failure("divergence", "TrainingDiverged: `dice` is not finite", 2, "n1", "log.txt", "Traceback")
    write_failure(tmp_path, planned.describe("study", "abc"), failure, [begun()])
    assert read_failure(tmp_path) == failure
    (tmp_path / "failure.json").write_text('{"identifier": "a1b2", "failure": {"kind": "divergence", "error": "x"}}')
    older = read_failure(tmp_path)
    assert older is not None
    assert "failure.json is damaged or not a trial's file (it says no version" in older.error


def test_progress_of_another_version_is_no_progress(planned: PlannedTrial, tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path)
    progress = Progress(epochs_done=3, attempts=[begun()], description=planned.describe("study", "abc"))
    unfinished.write_progress(progress)
    assert unfinished.progress() == progress
    stored = json.loads((tmp_path / "progress.json").read_text())
    (tmp_path / "progress.json").write_text(json.dumps(stored | {"version": VERSION + 1}))
    assert unfinished.progress() == Progress()


@pytest.mark.parametrize(
    ("after_epochs", "kept"),
    [
        ([0], [0]),
        ([0, 3], [0, 1]),
        ([0, 3, 3], [0, 2]),  # the second saved nothing
        ([0, 3, 2], [0, 2]),  # the second went on from a state that was lost afterwards
        ([0, 3, 0], [2]),  # all was lost
        ([0, 2, 4, 3], [0, 1, 3]),
    ],
)
def test_environments_are_those_whose_epochs_are_in_the_result(
    planned: PlannedTrial, after_epochs: list[int], kept: list[int]
) -> None:
    attempts = tuple(begun(after, node=str(number)) for number, after in enumerate(after_epochs))
    record = read_trial(planned.folder).model_copy(update={"attempts": attempts})
    assert [int(environment.node) for environment in record.environments] == kept
    assert record.environment.node == str(len(after_epochs) - 1)


class TestEnvironment:
    def test_it_names_what_the_trial_runs_on(self) -> None:
        found = Environment.of(Trial(toy_spec(), toy_data(images=8)))
        assert found.torch == torch.__version__
        assert found.device == "CPU"
        assert found.instruction_set == torch.backends.cpu.get_cpu_capability()
        assert found.threads == torch.get_num_threads()
        assert found.libraries.keys() == {"numpy", "numba"}

    def test_libraries_are_those_that_the_network_is_made_of(self) -> None:
        pytest.importorskip("timm")
        spec = toy_spec(model="timm:test_vit", model_params={}, losses=("cross_entropy",), auxiliary=None)
        found = Environment.of(Trial(spec, toy_labels(images=8)))
        assert found.libraries.keys() == {"numpy", "timm", "numba"}
        assert found.digits("fp32")["timm"] == f"timm {found.libraries['timm']}"

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_precision_is_the_one_that_was_used(self, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
        trial = Trial(toy_spec(precision=precision), toy_data(images=8))
        assert Environment.of(trial).precision == precision
        monkeypatch.setattr(torch.cuda, "is_tf32_supported", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "GPU")
        monkeypatch.setattr(trial, "device", torch.device("cuda"))
        assert Environment.of(trial).precision == {"fp32": "fp32 with TF32 in convolutions", "bf16": "bf16"}[precision]
