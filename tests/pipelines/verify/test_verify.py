"""`python -m pipelines.verify`: a record is trained again, and whatever was changed since is found and located."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from pipelines.artifacts import arrays
from pipelines.core import console
from pipelines.core.checksums import file_checksum, joint_checksum
from pipelines.grid.inputs import load_inputs
from pipelines.report.crate import write_crate
from pipelines.trials.bundle import image_table, read_bundle, table_name, unpacked, write_bundle
from pipelines.trials.plan import plan
from pipelines.trials.record import TrialRecord, read_trial
from pipelines.verify.__main__ import COMMAND
from pipelines.verify.compare import Outcome, compare
from pipelines.verify.rerun import Rerun, rerun, rerun_steps
from tests.support.attempts import record_trial
from tests.support.commands import run_module
from tests.support.grids import tiny
from tests.support.places import ROOT

TRIAL = {"epochs": 3, "augmentation": {"horizontal_flip": 0.5}}


@dataclass(frozen=True)
class Place:
    """A report with records, what is in its archive, and the data that it is about."""

    report: Path
    carried: Path
    data: Path
    record: TrialRecord
    capture: pytest.CaptureFixture[str]

    def verify(self, *options: str) -> Verified:
        """The command, in this process; of a report that carries what lies in `carried` now."""
        self.pack()
        with pytest.raises(SystemExit) as ended:
            COMMAND.start(COMMAND.parse(self.words(*options)))
        return Verified(int(ended.value.code or 0), *self.capture.readouterr())

    def words(self, *options: str) -> list[str]:
        return ["--study", "tiny", "--reports", str(self.report.parent), "--data", str(self.data), *options]

    @property
    def folder(self) -> Path:
        return self.carried / "records" / self.record.identifier

    def pack(self) -> None:
        tables = {path.name: pd.read_csv(path, dtype=str) for path in (self.carried / "records/images").iterdir()}
        write_bundle(read_bundle(self.carried), tables, self.report)


class Verified(NamedTuple):
    """How the command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, prepared_phantom: Path) -> Path:
    """The report of two really trained trials."""
    folder = tmp_path_factory.mktemp("verified")
    planned = plan(tiny(folder, seeds=1, trial=TRIAL), prepared_phantom, folder / "trials")
    records = [record_trial(trial, prepared_phantom) for trial in planned]
    tables = {table_name("phantom", 16): image_table(arrays.load(prepared_phantom, "phantom", 16))}
    report = folder / "reports" / "tiny"
    write_bundle(records, tables, report)
    write_crate(report, "Tiny", records)
    return folder / "reports"


@pytest.fixture
def place(
    written: Path,
    tmp_path: Path,
    prepared_phantom: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    """A copy that may be spoilt."""
    monkeypatch.setattr(console, "err", Console(stderr=True, soft_wrap=True))  # of the streams of this test
    report = tmp_path / "reports" / "tiny"
    shutil.copytree(written / "tiny", report)
    with unpacked(report) as carried:
        shutil.copytree(carried, tmp_path / "carried")
    return Place(report, tmp_path / "carried", prepared_phantom, read_bundle(tmp_path / "carried")[0], capsys)


@pytest.fixture
def own_data(place: Place, tmp_path: Path) -> Place:
    """The same with data that may be spoilt, too."""
    shutil.copytree(place.data / "arrays", tmp_path / "data" / "arrays")
    return replace(place, data=tmp_path / "data")


def again(place: Place, record: TrialRecord) -> Rerun:
    torch.set_num_threads(record.environment.threads)
    data = load_inputs(place.data, record.spec).trial_data(record.spec.split)
    return rerun(record.spec, data, torch.device("cpu"), lambda _: None)


def test_a_record_comes_out_bit_for_bit_and_a_page_says_so(place: Place) -> None:
    done = place.verify(place.record.identifier[:6])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(whole training and test)\n  bit for bit\n" in done.stdout
    page, told = (place.report.parent / "verify" / f"tiny.{suffix}" for suffix in ("html", "json"))
    assert "1 bit for bit" in page.read_text()
    (row,) = json.loads(told.read_text())
    assert (row["trial"], row["outcome"], row["differences"]) == (place.record.identifier, "bit for bit", [])


def test_the_first_steps_are_checked_in_every_row_across_the_end_of_an_epoch(place: Place) -> None:
    steps = place.record.steps_per_epoch + 1
    done = place.verify("--rows", "--steps", str(steps))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"(first {steps} steps)\n  bit for bit\n") == 2


def test_first_steps_are_those_of_the_whole_run_and_no_more_than_there_are(place: Place) -> None:
    whole, spec = place.record.history, place.record.spec
    data = load_inputs(place.data, spec).trial_data(spec.split)
    for steps in (1, place.record.steps_per_epoch + 2, len(whole) + 5):
        found = rerun_steps(spec, data, torch.device("cpu"), steps)
        pd.testing.assert_frame_equal(found.history, whole.iloc[:steps], check_dtype=False)
        assert found.history["loss/dice"].dtype == np.float32


def test_a_flipped_bit_in_a_stored_history_is_found_and_located(place: Place) -> None:
    path = place.folder / "history.parquet"
    history = pd.read_parquet(path)
    step = place.record.steps_per_epoch + 1
    values = history["loss/dice"].to_numpy().copy()
    values.view(np.uint32)[step] ^= 1
    history.assign(**{"loss/dice": values}).to_parquet(path, index=False)
    done = place.verify(place.record.identifier)
    assert done.returncode == 1
    assert "\n  different\n" in done.stdout
    assert "is not as it was made: records.tar.zst: changed since" in done.stdout
    assert "record, digest of the stored steps: recorded" in done.stdout
    assert f"steps, first at epoch 1, step {step}, loss/dice (" in done.stdout


def test_a_changed_seed_is_found(place: Place) -> None:
    path = place.folder / "trial.json"
    told = json.loads(path.read_text())
    told["spec"]["seed"] += 1
    path.write_text(json.dumps(told))
    done = place.verify(place.record.identifier, "--steps", "1")
    assert done.returncode == 1
    assert "record, identifier of spec, data and code: recorded" in done.stdout
    assert "digest, initial weights: recorded" in done.stdout


def test_a_forged_score_is_found(place: Place) -> None:
    told = place.record.test | {"per_image": place.record.test["per_image"] | {"dice": 0.999}}
    forged = place.record.model_copy(update={"test": told})
    found = compare(forged, again(place, place.record))
    assert found.outcome is Outcome.DIFFERENT
    assert [(one.what, one.where.split()[-1]) for one in found.differences] == [("test scores", "per_image/dice")]


def test_a_changed_prediction_is_found_with_its_image(place: Place) -> None:
    path = place.folder / "predictions.npz"
    with np.load(path) as stored:
        index, masks = stored["index"], stored["masks"].copy()
    masks[2, 3, 4] ^= 1
    np.savez_compressed(path, index=index, masks=masks)
    spoilt = read_trial(place.folder)
    found = compare(spoilt, again(place, spoilt))
    assert [one.what for one in found.differences] == ["record", "predictions"]
    assert found.differences[1].where == f"1 of {len(masks)} images, first {spoilt.images['image'].iloc[2]}"
    assert found.differences[1].found == "1 of them others"


def rewrite(place: Place, name: str, array: np.ndarray) -> None:
    """Replace an array of the prepared data, with checksums that say nothing of it."""
    folder = place.data / "arrays" / "phantom" / "16"
    np.save(folder / name, array)
    meta = json.loads((folder / "meta.json").read_text())
    meta["sha256"][name] = file_checksum(folder / name)
    meta["checksum"] = joint_checksum(meta["sha256"])
    (folder / "meta.json").write_text(json.dumps(meta))


@pytest.mark.parametrize("side", ["test", "train"])
def test_a_swapped_image_is_named_before_anything_is_trained(own_data: Place, side: str) -> None:
    prepared = arrays.load(own_data.data, "phantom", 16)
    name = "filtered" if own_data.record.spec.filtered else "images"
    images, row = np.array(getattr(prepared, name)), prepared.rows("default")[side][0]
    images[row] = images[row - 1]
    rewrite(own_data, f"{name}.npy", images)
    done = own_data.verify(own_data.record.identifier)
    assert done.returncode == 1
    case = prepared.cases["image"].iloc[row]
    assert f"{name}.npy: 1 of {len(images)} images differ, first {case}" in done.stderr
    assert "Nothing was trained." in done.stderr


def test_a_damaged_array_and_another_split_are_told_apart(own_data: Place) -> None:
    folder = own_data.data / "arrays" / "phantom" / "16"
    cases = pd.read_csv(folder / "cases.csv", dtype=str, keep_default_na=False)
    cases.loc[[cases.index[cases["split"] == side][0] for side in ("test", "train")], "split"] = ["train", "test"]
    whole = (folder / "cases.csv").read_bytes()
    cases.to_csv(folder / "cases.csv", index=False)
    assert "every image is equal; the rows of split 'default'" in own_data.verify().stderr
    (folder / "cases.csv").write_bytes(whole)
    content = bytearray((folder / "targets.npy").read_bytes())
    content[-1] ^= 1
    (folder / "targets.npy").write_bytes(content)
    assert "targets.npy: found SHA-256" in own_data.verify().stderr


def test_another_instruction_set_is_named_and_within_tolerance(place: Place) -> None:
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        pytest.skip("this CPU has no instruction set to go without")
    narrow = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = run_module("pipelines.verify", *place.words(place.record.identifier), cwd=ROOT, **narrow)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "environment, instruction_set: recorded AVX512, found AVX2" in done.stdout
    assert "\n  within tolerance\n" in done.stdout
    assert re.search(r"\n  steps, first at epoch \d, step \d+, \S+ \(\S+ of it\): recorded", done.stdout)


@pytest.mark.parametrize(
    ("protocol", "metric", "change", "outcome"),
    [
        ("per_image", "dice", 0.05, Outcome.CLOSE),
        ("per_image", "dice", 0.2, Outcome.DIFFERENT),
        ("pooled", "specificity", -0.2, Outcome.DIFFERENT),
        ("per_image", "missed", 3.0, Outcome.CLOSE),
        ("per_image", "hausdorff", 9.0, Outcome.CLOSE),
    ],
)
def test_elsewhere_shares_may_be_off_by_a_tenth_and_counts_and_distances_by_what_follows(
    place: Place, protocol: str, metric: str, change: float, outcome: Outcome
) -> None:
    record = place.record
    assert metric in record.test[protocol]
    moved = record.test | {protocol: record.test[protocol] | {metric: record.test[protocol][metric] + change}}
    there = record.environment.model_copy(update={"torch": "2.14.0"})
    attempts = tuple(attempt.model_copy(update={"environment": there}) for attempt in record.attempts)
    elsewhere = record.model_copy(update={"test": moved, "attempts": attempts})
    assert compare(elsewhere, again(place, record)).outcome is outcome


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nowhere"], "trial 'nowhere': there is none among the 2 of the report"),
        (["--steps", "0"], "--steps is 0, expected at least 1"),
        (["--data", "/nowhere"], "is missing. Prepare the data set at this size with"),
    ],
)
def test_what_cannot_be_verified_is_said_in_one_sentence(place: Place, options: list[str], message: str) -> None:
    done = place.verify(*options)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
