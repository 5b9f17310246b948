"""An interrupted trial that goes on in another process is the trial that was never interrupted, bit for bit."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmf.training.checkpoint import read_checkpoint, write_checkpoint
from dmf.training.results import EpochReport, TrialResult
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial
from dmf.weightings import WEIGHTINGS
from tests.support.toy import toy_data, toy_spec

MEMORY = ("variance", "mad", "bayesian")
VARIANTS = [(name, fidelity) for name in WEIGHTINGS for fidelity in ("paper", "reference", "stable")
            if fidelity == "paper" or name in MEMORY]  # fmt: skip
VARIANTS += [(f"torchjd:{method}", "paper") for method in ("GradVac", "PCD", "CRMOGM", "UPGrad", "IMTLL")]
KILLED_AFTER_ONE_EPOCH = """
import json, os, signal, sys
import torch
from tests.support.toy import toy_data
from dmf.training.checkpoint import write_checkpoint
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial
from pathlib import Path
torch.set_num_threads(1)
trial = Trial(TrialSpec.from_dict(json.loads(sys.argv[2])), toy_data())
trial.epoch()
write_checkpoint(trial.state_dict(), Path(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def spec_of(weighting: str, **changes: object) -> TrialSpec:
    # Short memories, so that every weighting has left its warm-up before the last epoch.
    params = {name: {"history_size": 2, "history_size_max": 5} for name in MEMORY} | {"dwa": {"period": 1}}
    params |= {"torchjd:CRMOGM": {"weighting": "GradVac"}, "torchjd:PCD": {"tau": 1.0}}
    return toy_spec(
        weighting=weighting, weighting_params=params.get(weighting, {}), **{"learning_rate": 0.01, **changes}
    )


def run(trial: Trial, epochs: int) -> list[EpochReport]:
    return [trial.epoch() for _ in range(epochs)]


def assert_same_reports(found: list[EpochReport], expected: list[EpochReport]) -> None:
    for one, other in zip(found, expected, strict=True):
        for name in other.steps:
            np.testing.assert_array_equal(one.steps[name], other.steps[name], err_msg=name)
        assert (one.epoch, one.validation, one.train_total) == (other.epoch, other.validation, other.train_total)
        assert one.findings == other.findings


def assert_same_results(found: TrialResult, expected: TrialResult) -> None:
    for (name, one), other in zip(vars(found).items(), vars(expected).values(), strict=True):
        if isinstance(other, dict) and other and not isinstance(next(iter(other.values())), dict):
            assert one.keys() == other.keys()
            assert all(np.array_equal(one[key], other[key], equal_nan=True) for key in other), name
        else:
            np.testing.assert_equal(one, other, err_msg=name)


@pytest.mark.parametrize(("weighting", "fidelity"), VARIANTS)
def test_interrupted_after_any_epoch_it_ends_the_same(weighting: str, fidelity: str, tmp_path: Path) -> None:
    spec, data = spec_of(weighting, fidelity=fidelity, epochs=4), toy_data()
    whole = Trial(spec, data)
    reports = run(whole, 4)
    expected = whole.finish()
    for survived in range(1, 5):
        first = Trial(spec, data)
        run(first, survived)
        write_checkpoint(first.state_dict(), tmp_path / "checkpoint.pt")
        run(first, min(1, 4 - survived))  # what is lost with the process must not reach the checkpoint
        second = Trial(spec, data)
        second.load_state_dict(read_checkpoint(tmp_path / "checkpoint.pt"))
        assert_same_reports(run(second, 4 - survived), reports[survived:])
        assert_same_results(second.finish(), expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd"},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"precision": "bf16"},
        {"selection": "last"},
        {"schedule": "poly"},
        {"losses": ("dice", "paced_focal")},
    ],
    ids=str,
)
def test_so_it_does_with_any_optimiser_precision_selection_and_loss_that_has_a_memory(
    changes: dict[str, object], tmp_path: Path
) -> None:
    spec, data = spec_of("variance", epochs=3, **changes), toy_data()
    whole, first, second = (Trial(spec, data) for _ in range(3))
    reports = run(whole, 3)
    run(first, 2)
    write_checkpoint(first.state_dict(), tmp_path / "checkpoint.pt")
    second.load_state_dict(read_checkpoint(tmp_path / "checkpoint.pt"))
    assert_same_reports(run(second, 1), reports[2:])
    assert_same_results(second.finish(), whole.finish())


@pytest.mark.slow
def test_a_killed_process_leaves_all_that_another_needs(tmp_path: Path) -> None:
    spec, checkpoint = spec_of("bayesian", epochs=2), tmp_path / "checkpoint.pt"
    command = [sys.executable, "-c", KILLED_AFTER_ONE_EPOCH, str(checkpoint), json.dumps(spec.to_dict())]
    assert subprocess.run(command, env={"PYTHONPATH": ":".join(sys.path)}).returncode == -signal.SIGKILL
    whole, resumed = Trial(spec, toy_data()), Trial(spec, toy_data())
    reports = run(whole, 2)
    resumed.load_state_dict(read_checkpoint(checkpoint))
    assert_same_reports(run(resumed, 1), reports[1:])
    assert_same_results(resumed.finish(), whole.finish())


def test_findings_are_told_once_and_kept(tmp_path: Path) -> None:
    spec = spec_of("fixed", epochs=25, gamma0=100.0)  # the auxiliary loss dominates for more than 50 steps
    whole, first, second = (Trial(spec, toy_data()) for _ in range(3))
    run(whole, 25)
    run(first, 10)  # in the middle of those 50
    write_checkpoint(first.state_dict(), tmp_path / "checkpoint.pt")
    second.load_state_dict(read_checkpoint(tmp_path / "checkpoint.pt"))
    run(second, 15)
    assert [finding.kind for finding in whole.findings] == ["auxiliary_dominance"]
    assert [asdict(f) for f in second.findings] == [asdict(f) for f in whole.findings]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    trial = Trial(toy_spec(), toy_data())
    trial.epoch()
    write_checkpoint(trial.state_dict(), tmp_path / "checkpoint.pt")
    return tmp_path / "checkpoint.pt"


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.999])
def test_a_truncated_checkpoint_is_told_by_name(checkpoint: Path, kept: float) -> None:
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ValueError, match=r"checkpoint\.pt must end with the SHA-256 .* the trial starts again"):
        read_checkpoint(checkpoint)


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_so_is_one_with_a_flipped_bit(checkpoint: Path, where: float, bit: int) -> None:
    whole = checkpoint.read_bytes()
    flipped = bytearray(whole)
    flipped[int(where * len(whole))] ^= 1 << bit
    other = checkpoint.with_name("flipped.pt")
    other.write_bytes(flipped)
    with pytest.raises(ValueError, match="it is damaged"):
        read_checkpoint(other)


def test_a_foreign_file_is_told_by_name(checkpoint: Path) -> None:
    torch.save(Trial(toy_spec(), toy_data()).state_dict(), checkpoint)
    with pytest.raises(ValueError, match=r"checkpoint\.pt must end .* or no checkpoint of a trial"):
        read_checkpoint(checkpoint)
    checkpoint.write_text("Not a checkpoint.")
    with pytest.raises(ValueError, match="Found 17 bytes"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("state", "found"), [({"model": 1}, "Found model"), ({}, "Found nothing"), (3, "Found int")], ids=str
)
def test_a_foreign_state_is_refused(state: object, found: str) -> None:
    with pytest.raises(ValueError, match=rf"A checkpoint must hold spec, epochs_done, .*\. {found}\."):
        Trial(toy_spec(), toy_data()).load_state_dict(state)  # type: ignore[arg-type]


def test_code_in_a_checkpoint_is_not_run(checkpoint: Path) -> None:
    write_checkpoint({"spec": Path("x")}, checkpoint)
    with pytest.raises(pickle.UnpicklingError, match="weights_only"):
        read_checkpoint(checkpoint)


def test_another_trials_checkpoint_is_refused_and_changes_nothing(checkpoint: Path) -> None:
    state = read_checkpoint(checkpoint)
    other = Trial(toy_spec(seed=5, learning_rate=0.25), toy_data())
    before = {name: value.clone() for name, value in other.model.state_dict().items()}
    with pytest.raises(ValueError, match=r"this trial's spec\. Found seed=0, learning_rate=0\.001\."):
        other.load_state_dict(state)
    assert other.epochs_done == 0
    assert all(torch.equal(value, before[name]) for name, value in other.model.state_dict().items())


def test_tensors_that_do_not_fit_are_refused(checkpoint: Path) -> None:
    state = read_checkpoint(checkpoint)
    name = next(iter(state["model"]))
    state["model"][name] = state["model"][name][..., :1]
    with pytest.raises(ValueError, match="does not fit this trial's network"):
        Trial(toy_spec(), toy_data()).load_state_dict(state)


def test_a_write_that_fails_leaves_the_last_checkpoint(checkpoint: Path) -> None:
    before = checkpoint.read_bytes()
    with pytest.raises((AttributeError, pickle.PicklingError)):
        write_checkpoint({"cannot be written": lambda: None}, checkpoint)
    assert checkpoint.read_bytes() == before
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint.pt"]
