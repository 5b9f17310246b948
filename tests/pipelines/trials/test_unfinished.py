"""What an interrupted trial leaves on disk, and what is gone on from, whatever was cut short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from dmf.training.trial import Trial
from pipelines.core.locks import Locked
from pipelines.trials.unfinished import Progress, Unfinished, unfinished_folder
from tests.support.records import begun
from tests.support.toy import toy_data, toy_spec

EPOCHS = 4


@pytest.fixture
def unfinished(tmp_path: Path) -> Unfinished:
    """Three epochs, saved one by one."""
    left = Unfinished(tmp_path)
    trial = small_trial(epochs=EPOCHS)
    for epoch in range(3):
        trial.epoch()
        left.save(trial.state_dict(), rows(epoch, 5), rows(epoch, 1), Progress(epochs_done=epoch + 1))
    return left


def small_trial(epochs: int) -> Trial:
    return Trial(toy_spec(epochs=epochs, model_params={"base_filters": 2}), toy_data(images=8))


def rows(epoch: int, count: int) -> pd.DataFrame:
    return pd.DataFrame({"epoch": [epoch] * count, "total": [epoch + step / 8 for step in range(count)]})


def epochs_of(unfinished: Unfinished) -> list[int]:
    return [checkpoint.state["epochs_done"] for checkpoint in unfinished.checkpoints()]


def test_a_trial_lies_beside_the_studies_while_it_trains() -> None:
    assert unfinished_folder(Path("trials/mine/a1b2")) == Path("trials/.unfinished/mine/a1b2")


def test_the_last_two_states_are_kept_each_with_the_rows_up_to_it(unfinished: Unfinished) -> None:
    newest, previous = unfinished.checkpoints()
    for checkpoint, epochs in ((newest, 3), (previous, 2)):
        assert checkpoint.state["epochs_done"] == epochs
        assert checkpoint.epochs["epoch"].tolist() == list(range(epochs))
        assert checkpoint.history["total"].tolist() == [e + s / 8 for e in range(epochs) for s in range(5)]
        small_trial(epochs=EPOCHS).load_state_dict(checkpoint.state)


def test_a_saved_state_survives_a_power_cut_and_until_it_does_the_one_before_is_whole(
    unfinished: Unfinished, disk: list[str]
) -> None:
    """The one before was waited for when it was saved, and a rename takes nothing from it."""
    trial = small_trial(epochs=EPOCHS)
    unfinished.save(trial.state_dict(), rows(3, 5), rows(3, 1), Progress(epochs_done=4))
    renamed = [entry for entry in disk if entry.startswith("rename checkpoint")]
    assert renamed == ["rename checkpoint.pt to checkpoint.previous.pt"]
    written = ["checkpoint.pt", "epochs-000003.parquet", "history-000003.parquet", "progress.json"]
    assert sorted(disk[-5:]) == sorted(f"flush {name}" for name in [*written, unfinished.folder.name])


@pytest.mark.parametrize("name", ["checkpoint.pt", "history-000002.parquet", "epochs-000002.parquet"])
@pytest.mark.parametrize("left", [0, 100])
def test_a_truncated_file_costs_one_epoch_and_the_log_says_so(unfinished: Unfinished, name: str, left: int) -> None:
    path = unfinished.folder / name
    path.write_bytes(path.read_bytes()[:left])
    assert epochs_of(unfinished) == [2]
    assert "checkpoint lost" in unfinished.log_file.read_text()
    assert not (unfinished.folder / "checkpoint.pt").exists(), "a damaged state must not become the previous one"


@pytest.mark.parametrize("name", ["history-000002.parquet", "epochs-000002.parquet"])
def test_whichever_bit_of_the_rows_flips_they_are_not_gone_on_from(unfinished: Unfinished, name: str) -> None:
    path = unfinished.folder / name
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
        with pytest.raises(ValueError, match="damaged"):
            unfinished.rows(name.partition("-")[0])
    assert epochs_of(unfinished) == [2]


def test_without_any_readable_state_the_trial_begins_anew(unfinished: Unfinished) -> None:
    for path in unfinished.folder.glob("checkpoint*"):
        path.write_bytes(b"")
    assert epochs_of(unfinished) == []
    unfinished.restart(0)
    assert len(unfinished.rows("history")) == 0


def test_rows_that_a_killed_worker_wrote_without_their_state_count_for_nothing(unfinished: Unfinished) -> None:
    unfinished.write_rows("history", 3, rows(3, 5))
    unfinished.write_rows("epochs", 3, rows(3, 1))
    assert [len(checkpoint.history) for checkpoint in unfinished.checkpoints()] == [15, 10]
    unfinished.restart(3)
    assert unfinished.rows("history", since=1)["epoch"].unique().tolist() == [1, 2]


def test_progress_survives_and_a_damaged_one_is_no_progress(unfinished: Unfinished) -> None:
    unfinished.write_progress(Progress(epochs_done=3, score=0.5, attempts=[begun(node="n1")]))
    assert unfinished.progress().node == "n1"
    (unfinished.folder / "progress.json").write_text('{"epochs_done": ')
    assert unfinished.progress() == Progress()


def test_a_trial_is_held_by_one_process_until_it_ends(unfinished: Unfinished, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.trials.unfinished.PATIENCE", 0)
    lock = f"locked(Path({str(unfinished.folder)!r}) / 'lock')"
    holder = (
        "from pathlib import Path; from pipelines.core.locks import locked\n"
        f"with {lock}: print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert unfinished.running
        with pytest.raises(Locked), unfinished.lock():
            pass
        process.kill()
    assert not unfinished.running
    with unfinished.lock():
        assert unfinished.running
