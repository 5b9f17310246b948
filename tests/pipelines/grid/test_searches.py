"""A search sees no test image, is taken up where it was left, and ends with its winner and its cost on record."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dmf.training.trial import Trial
from pipelines.adopt import work as adopt
from pipelines.artifacts import arrays
from pipelines.artifacts.search_data import search_data
from pipelines.core.checksums import file_checksum
from pipelines.core.console import StageError
from pipelines.grid.dry_run import dry_run
from pipelines.grid.inputs import load_inputs
from pipelines.grid.tuning import conclude, diverged, proposed
from pipelines.status.work import print_searches
from pipelines.trials.bundle import read_bundle, unpacked
from pipelines.trials.failure import Failure, write_failure
from pipelines.trials.identity import identifier
from pipelines.trials.plan import PlannedSearch, PlannedTrial, outline, plan
from pipelines.trials.record import DONE, WEIGHTS, read_trial
from pipelines.trials.tuning import Proposal, Tuning
from pipelines.trials.unfinished import Unfinished, unfinished_folder
from tests.support.attempts import attempt_of, record_trial, train_side_by_side
from tests.support.grids import tiny
from tests.support.places import ROOT
from tests.support.searches import end_search
from tune_spaces import Study, load_study
from tune_spaces.expand import expand
from tune_spaces.tuned import SEED

FIXED = {"weighting": "fixed", "auxiliary": None}
TUNED = {"weights": "simplex", "learning_rate": {"loguniform": [1e-3, 1e-1]}, "budget": {"trials": 4}}


def study_of(folder: Path, **changes: Any) -> Study:
    return tiny(folder, grid=[FIXED, {**FIXED, "tuned": {**TUNED, **changes.pop("tuned", {})}}], **changes)


def search_of(folder: Path, data: Path, **changes: Any) -> PlannedSearch:
    (found,) = outline(study_of(folder, **changes), data, folder / "trials").searches
    return found


@pytest.fixture(scope="module")
def ended(prepared_phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlannedSearch, Tuning]:
    """A folder with a search of four trials that has ended."""
    folder = tmp_path_factory.mktemp("ended")
    planned = search_of(folder, prepared_phantom)
    return folder, planned, end_search(planned, prepared_phantom)


def rewrite(data: Path, change: Callable[[np.ndarray, np.ndarray, np.ndarray], None]) -> None:
    """Change images and targets of the prepared phantom at 16 pixels: `change(images, targets, test rows)`."""
    folder = arrays.arrays_folder(data, "phantom", 16)
    rows = arrays.load(data, "phantom", 16).rows("default")["test"]
    images, targets = (np.load(folder / name) for name in ("filtered.npy", "targets.npy"))
    change(images, targets, rows)
    meta = json.loads((folder / "meta.json").read_text())
    for name, array in (("filtered.npy", images), ("targets.npy", targets)):
        np.save(folder / name, array)
        meta["sha256"][name] = file_checksum(folder / name)
    (folder / "meta.json").write_text(json.dumps(meta))


def test_a_poisoned_test_set_that_would_win_changes_nothing(
    ended: tuple[Path, PlannedSearch, Tuning], prepared_phantom: Path, tmp_path: Path
) -> None:
    """The test masks become what a losing proposal predicts: by them it would score 1, and win."""
    _, planned, tuning = ended
    loser = min((one for one in tuning.proposals), key=lambda one: one.score or 0)
    assert loser != tuning.winner
    trial = proposed(planned)[loser.number]
    network = Trial(trial.spec, load_inputs(prepared_phantom, trial.spec).trial_data("default"))
    network.model.load_state_dict(torch.load(trial.folder / WEIGHTS))

    def poison(images: np.ndarray, targets: np.ndarray, rows: np.ndarray) -> None:
        targets[rows] = network.predict("test").classes.numpy()

    data = tmp_path / "data"
    shutil.copytree(prepared_phantom / "arrays/phantom/16", data / "arrays/phantom/16")
    rewrite(data, poison)

    def test_score(one: Proposal) -> float:
        tried = proposed(planned)[one.number]
        tested = Trial(tried.spec, load_inputs(data, tried.spec).trial_data("default"))
        tested.model.load_state_dict(torch.load(tried.folder / WEIGHTS))
        return tested.predict("test").validation()["cb_dice"]

    assert max(tuning.proposals, key=test_score) == loser, "the poison works"
    again = search_of(tmp_path, data)
    assert again.identifier == planned.identifier, "the images that it sees are the same"
    found = end_search(again, data)
    assert found.winner.number == tuning.winner.number
    assert [(one.identifier, one.values, one.score) for one in found.proposals] == [
        (one.identifier, one.values, one.score) for one in tuning.proposals
    ]
    pairs = zip(proposed(planned), proposed(again), strict=True)
    assert all(read_trial(one.folder).digests == read_trial(other.folder).digests for one, other in pairs)
    trained = plan(study_of(tmp_path), data, tmp_path / "trials")[-1].data_checksum
    assert trained != plan(study_of(tmp_path), prepared_phantom, tmp_path / "trials")[-1].data_checksum


def test_the_images_of_a_search_are_those_that_train_and_select(prepared_phantom: Path) -> None:
    prepared = arrays.load(prepared_phantom, "phantom", 16)
    rows = prepared.rows("fold:1")
    seen = search_data(prepared, "fold:1", filtered=True)
    kept = [*rows["train"], *rows["val"]]
    assert seen.cases["image"].to_list() == prepared.cases["image"].iloc[kept].to_list()
    np.testing.assert_array_equal(seen.images, prepared.filtered[kept])
    np.testing.assert_array_equal(seen.targets, prepared.targets[kept])
    assert {name: len(found) for name, found in seen.rows.items()} == {
        "train": len(rows["train"]), "val": len(rows["val"]), "test": len(rows["val"]),
    }  # fmt: skip
    assert seen.rows["test"].tolist() == seen.rows["val"].tolist(), "what it calls its test is its validation"


def test_a_search_of_other_images_is_another_one(prepared_phantom: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared_phantom / "arrays/phantom/16", tmp_path / "arrays/phantom/16")
    before = search_of(tmp_path, tmp_path).identifier

    def brighten(images: np.ndarray, targets: np.ndarray, rows: np.ndarray) -> None:
        images[np.setdiff1d(np.arange(len(images)), rows)[0]] += 1

    rewrite(tmp_path, brighten)
    assert search_of(tmp_path, tmp_path).identifier != before


def test_its_trials_have_a_seed_of_their_own_and_lie_apart(ended: tuple[Path, PlannedSearch, Tuning]) -> None:
    folder, planned, tuning = ended
    trials = proposed(planned)
    assert {trial.spec.seed for trial in trials} == {SEED}
    assert {trial.folder.parent for trial in trials} == {folder / "trials" / "tiny.search"}
    assert planned.file.parent == folder / "trials" / "tiny"
    for trial, one in zip(trials, tuning.proposals, strict=True):
        record = read_trial(trial.folder)
        assert record.test["reference"] == record.validation["reference"], "no other image was at hand"
        assert one.score == record.validation["reference"]["cb_dice"] == record.epoch_table["val/cb_dice"].max()
        assert (one.epochs, one.seconds) == (2, record.seconds)


def test_the_winner_is_trained_on_the_studys_seeds_as_an_ordinary_trial(
    ended: tuple[Path, PlannedSearch, Tuning], prepared_phantom: Path, tmp_path: Path
) -> None:
    folder, _, tuning = ended
    trials = [trial for trial in plan(study_of(folder), prepared_phantom, folder / "trials") if trial.tuning]
    assert [trial.spec.seed for trial in trials] == [0, 1]
    assert all(trial.spec.learning_rate == tuning.winner.values["learning_rate"] for trial in trials)
    assert all(trial.spec.weighting_params == {"weights": tuning.winner.values["weights"]} for trial in trials)
    by_hand = {"weighting_params": {"weights": tuning.winner.values["weights"]}}
    block = FIXED | by_hand | {"learning_rate": tuning.winner.values["learning_rate"]}
    written = plan(tiny(tmp_path, grid=[block]), prepared_phantom, tmp_path / "trials")
    assert [trial.identifier for trial in trials] == [trial.identifier for trial in written]


def test_the_highest_score_wins_and_of_equals_the_first() -> None:
    def tuning(*scores: float | None) -> Tuning:
        tried = [
            Proposal(number=n, identifier=str(n), values={"tau": 0.1}, score=score, epochs=4, seconds=1.5)
            for n, score in enumerate(scores)
        ]
        return Tuning(
            identifier="a", dataset="d", split="default", tuned={"method": "random"}, metric="dice", proposals=tried
        )  # type: ignore[arg-type]

    assert tuning(0.1, 0.3, 0.3, 0.2).winner.number == 1
    assert tuning(None, 0.3, None).winner.number == 1
    assert tuning(0.1, 0.3, None).sentence == "3 trials by random search, 12 epochs in 4 s; 1 of them diverged"


def test_a_search_that_was_killed_goes_on_with_the_same_proposals(prepared_phantom: Path, tmp_path: Path) -> None:
    planned = search_of(tmp_path, prepared_phantom)
    before = proposed(planned)
    record_trial(before[2], prepared_phantom)
    begun = attempt_of(before[0], prepared_phantom)
    train_side_by_side([begun], 1)
    begun.close()  # as a kill leaves it
    written = (before[2].folder / "trial.json").stat().st_mtime_ns
    again = search_of(tmp_path, prepared_phantom)
    assert [trial.identifier for trial in proposed(again)] == [trial.identifier for trial in before]
    conclude(again, proposed(again))
    assert again.ended is None, "it has not ended"
    tuning = end_search(again, prepared_phantom)
    assert (before[2].folder / "trial.json").stat().st_mtime_ns == written, "what is done is not done again"
    assert [one.identifier for one in tuning.proposals] == [trial.identifier for trial in before]
    assert sorted(os.listdir(planned.folder)) == sorted(trial.identifier for trial in before)


def test_a_plan_waits_for_its_searches_and_says_so(prepared_phantom: Path, tmp_path: Path) -> None:
    study = study_of(tmp_path)
    with pytest.raises(StageError, match=r"1 of the 1 searches of tiny have not ended.*tuned · phantom.*Run the grid"):
        plan(study, prepared_phantom, tmp_path / "trials")
    known = outline(study, prepared_phantom, tmp_path / "trials")
    assert len(known.trials) == len(known.waiting) == 2


def test_a_larger_budget_goes_on_with_what_there_is(
    ended: tuple[Path, PlannedSearch, Tuning], prepared_phantom: Path, tmp_path: Path
) -> None:
    shutil.copytree(ended[0] / "trials", tmp_path / "trials")
    larger = search_of(tmp_path, prepared_phantom, tuned={"budget": {"trials": 6}})
    assert larger.ended is None
    assert [trial.done for trial in proposed(larger)] == [True] * 4 + [False] * 2


def test_there_is_one_search_for_each_split(prepared_phantom: Path, tmp_path: Path) -> None:
    folds = outline(study_of(tmp_path, folds=3), prepared_phantom, tmp_path / "trials").searches
    assert [one.search.base.split for one in folds] == ["fold:0", "fold:1", "fold:2"]
    dealt = study_of(tmp_path, trial={"split": "random:<seed>"})
    found = outline(dealt, prepared_phantom, tmp_path / "trials").searches
    assert [one.search.base.split for one in found] == ["random:0", "random:1"]
    assert len({one.identifier for one in (*folds, *found)}) == 5


def fail(trial: PlannedTrial) -> None:
    lost = Failure("divergence", "`total` is not finite at step 3", 1, "here", "log", "")
    trial.folder.mkdir(parents=True, exist_ok=True)
    write_failure(trial.folder, trial.describe("tiny", "code"), lost)


def test_what_diverges_loses_and_is_not_tried_again(prepared_phantom: Path, tmp_path: Path) -> None:
    planned = search_of(tmp_path, prepared_phantom)
    trials = proposed(planned)
    fail(trials[0])
    assert [diverged(trial) for trial in trials] == [True, False, False, False]
    for trial in trials[1:]:
        record_trial(trial, prepared_phantom)
    conclude(planned, proposed(planned))
    tuning = planned.ended
    assert tuning is not None
    assert [one.score is None for one in tuning.proposals] == [True, False, False, False]
    assert tuning.sentence.endswith("1 of them diverged")


def test_a_search_of_which_all_diverges_is_refused(prepared_phantom: Path, tmp_path: Path) -> None:
    planned = search_of(tmp_path, prepared_phantom)
    for trial in proposed(planned):
        fail(trial)
    with pytest.raises(StageError, match=r"All 4 trials of the search of .* diverged\. Narrow its ranges"):
        conclude(planned, proposed(planned))
    assert planned.ended is None


def test_what_is_proposed_twice_is_trained_once(prepared_phantom: Path, tmp_path: Path) -> None:
    tick = {"tick": {"choice": [50, 60]}, "budget": {"trials": 5}}
    study = tiny(tmp_path, grid=[{**FIXED, "tuned": tick}], baseline={"tuned": True})
    (planned,) = outline(study, prepared_phantom, tmp_path / "trials").searches
    tuning = end_search(planned, prepared_phantom)
    assert len(tuning.proposals) == 5
    assert len(os.listdir(planned.folder)) == 2
    assert tuning.epochs == 2 * 2


def test_a_trial_that_asha_stops_ends_where_it_stands(prepared_phantom: Path, tmp_path: Path) -> None:
    """The word lies beside its saved state, so that any worker that takes it up obeys."""
    trial = proposed(search_of(tmp_path, prepared_phantom, trial={"epochs": 5}))[0]
    Unfinished(unfinished_folder(trial.folder)).stop(2)
    attempt = attempt_of(trial, prepared_phantom)
    train_side_by_side([attempt], 1)
    assert not attempt.complete
    train_side_by_side([attempt], 1)
    assert attempt.complete
    attempt.finish()
    record = read_trial(trial.folder)
    assert (record.epochs, len(record.epoch_table)) == (2, 2)


def test_trials_that_are_not_tuned_keep_their_identifiers() -> None:
    """Those of the committed quickstart, each of the study's cells on the data and the code of its record."""
    with unpacked(ROOT / "reports/quickstart") as carried:
        records = {str(record.spec): record for record in read_bundle(carried)}
    specs = [cell.spec for cell in expand(load_study("quickstart")).cells]
    assert len(specs) == len(records)
    for spec in specs:
        record = records[str(spec)]
        assert identifier(spec, record.data_checksum, record.code_fingerprint) == record.identifier


def test_a_search_outlives_a_change_of_code_that_changes_no_number(prepared_phantom: Path, tmp_path: Path) -> None:
    """As `adopt` has it: first the trials of the search, which then ends with the winner that it had."""
    study, planned = study_of(tmp_path), search_of(tmp_path, prepared_phantom)
    before = end_search(planned, prepared_phantom)
    planned.file.unlink()
    for trial in proposed(planned):  # under the identifiers of other code
        stored = json.loads((trial.folder / DONE).read_text())
        other = identifier(trial.spec, trial.data_checksum, "0" * 12)
        stored |= {"identifier": other, "code_fingerprint": "0" * 12}
        (trial.folder / DONE).write_text(json.dumps(stored))
        trial.folder.rename(trial.folder.with_name(other))
    options = argparse.Namespace(data=prepared_phantom, sample=1, why="a test")
    for trials in adopt.passes(study, prepared_phantom, tmp_path / "trials"):
        adopt.carry(adopt.candidates(trials, adopt.finished_elsewhere(trials)), options)
    after = search_of(tmp_path, prepared_phantom).ended
    assert after == before
    assert all(len(read_trial(trial.folder).adopted) == 1 for trial in proposed(planned))


def told(folder: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What a dry run and a look at the status say."""
    study = study_of(folder)
    capsys.readouterr()
    dry_run(study, outline(study, data, folder / "trials"), data, workers=2, threads=1)
    dry = capsys.readouterr().out
    print_searches("tiny", outline(study, data, folder / "trials"))
    return dry, capsys.readouterr().out


def test_a_dry_run_and_the_status_say_what_a_search_takes_and_found(
    ended: tuple[Path, PlannedSearch, Tuning],
    prepared_phantom: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record_trial(proposed(search_of(tmp_path, prepared_phantom))[1], prepared_phantom)
    dry, status = (" ".join(text.split()) for text in told(tmp_path, prepared_phantom, capsys))
    assert "waits tuned · phantom · seed 1, for its search" in dry
    assert "4 trials: 0 done, 4 to run" in dry
    assert "search of tuned · phantom: 3 of 4 trials to run, random, scored on validation" in dry
    assert "are search on 2 workers" in dry
    assert "tiny, searches: 4 trials: 1 done, 0 running, 3 waiting" in status
    assert "2 trials of tuned rows wait for their searches" in status
    dry, status = (" ".join(text.split()) for text in told(ended[0], prepared_phantom, capsys))
    assert "search of tuned · phantom: done, 4 trials by random search, 8 epochs in" in dry
    assert "are search" not in dry
    assert f"won ({ended[2].winner.score:.4f})" in status
    assert "wait for" not in status
