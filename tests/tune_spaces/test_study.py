"""Studies: what a person may write, what it expands to, and what they are told when it cannot be used."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from dmf.weightings.torchjd import OF_PARAMETERS, REFUSED
from tests.support.weightings import TORCHJD, torchjd_methods
from tune_spaces import ConfigError, load_study, study_names
from tune_spaces.expand import FIELDS, expand
from tune_spaces.strict_yaml import read_yaml
from tune_spaces.study import FOLDER, Study

VALID = {
    "title": "A study",
    "datasets": ["phantom"],
    "seeds": 2,
    "trial": {"epochs": 3, "image_size": 32},
    "grid": [
        {"weighting": ["variance", "mad"], "auxiliary": ["focal", None]},
        {"weighting": "fixed", "auxiliary": None},
    ],
    "baseline": {"weighting": "fixed"},
}


def write(folder: Path, stem: str, **changes: object) -> None:
    (folder / f"{stem}.yaml").write_text(yaml.safe_dump({**VALID, **changes}, sort_keys=False))


def load(folder: Path, **changes: object) -> Study:
    write(folder, "mine", **changes)
    return load_study("mine", folder)


@pytest.mark.parametrize("name", study_names())
def test_every_study_of_the_repository_expands(name: str) -> None:
    expansion = expand(load_study(name))
    assert expansion.cells
    assert expansion.baseline in {cell.configuration for cell in expansion.cells}


def test_quickstart_is_the_papers_13_configurations_with_three_seeds() -> None:
    cells = expand(load_study("quickstart")).cells
    assert len(cells) == 39
    assert len({cell.configuration for cell in cells}) == 13
    assert {(c.spec.model, c.spec.image_size, c.spec.model_params["base_filters"]) for c in cells} == {("unet", 64, 16)}


def test_no_two_configurations_of_the_quickstart_must_come_out_alike() -> None:
    assert [cell for cell in expand(load_study("quickstart")).cells if cell.twins] == []


def test_bayesian_under_the_papers_equations_is_trained_as_mad_and_stands_in_both_rows() -> None:
    cells = expand(load_study("dmf")).cells
    assert len(cells) == 3 * 10 * (3 * 12 + 2 - 4)
    twins = [(cell.spec, twin) for cell in cells for twin in cell.twins]
    assert len(twins) == 3 * 10 * 4
    for trained, twin in twins:
        assert (trained.weighting, twin.spec.weighting, twin.spec.fidelity) == ("mad", "bayesian", "paper")
        assert dataclasses.replace(twin.spec, weighting="mad") == trained
        assert "trained once and shown in both rows" in twin.reason


@pytest.mark.parametrize(
    "fields", [{"fidelity": "stable"}, {"fidelity": "reference"}, {"weighting_params": {"initial": [0.6, 0.2, 0.2]}}]
)
def test_what_may_differ_is_trained(tmp_path: Path, fields: dict[str, object]) -> None:
    grid = [{"weighting": ["mad", "bayesian"], **fields}]
    cells = expand(load(tmp_path, grid=grid, baseline={"weighting": "mad"})).cells
    assert [cell.spec.weighting for cell in cells] == ["mad", "bayesian"] * 2


def test_a_twin_without_its_other_is_trained(tmp_path: Path) -> None:
    cells = expand(load(tmp_path, grid=[{"weighting": "bayesian"}], baseline={})).cells
    assert [(cell.spec.weighting, cell.twins) for cell in cells] == [("bayesian", ())] * 2


def test_a_block_is_the_product_of_its_lists_and_blocks_are_added(tmp_path: Path) -> None:
    names = [cell.configuration for cell in expand(load(tmp_path, seeds=1)).cells]
    assert names == ["variance · focal", "variance · none", "mad · focal", "mad · none", "fixed · none"]


def test_every_configuration_has_every_seed_on_every_data_set(tmp_path: Path) -> None:
    cells = expand(load(tmp_path, datasets=["phantom", "busi"])).cells
    assert len(cells) == 5 * 2 * 2
    assert len({(c.configuration, c.spec.dataset, c.spec.seed) for c in cells}) == len(cells)


def test_combinations_of_losses_are_an_axis(tmp_path: Path) -> None:
    losses = {"combinations": ["dice", "focal", "mse"], "sizes": [1, 2]}
    cells = expand(load(tmp_path, seeds=1, grid=[{"losses": losses}], baseline={"losses": ["dice"]})).cells
    found = [cell.spec.losses for cell in cells]
    assert found == [("dice",), ("focal",), ("mse",), ("dice", "focal"), ("dice", "mse"), ("focal", "mse")]
    assert [cell.configuration for cell in cells][-1] == "focal+mse"


def test_what_differs_between_data_sets_differs_there_only(tmp_path: Path) -> None:
    study = load(tmp_path, datasets=["phantom", "busi"], per_dataset={"busi": {"epochs": 7, "batch_size": 2}})
    cells = expand(study).cells
    assert {(c.spec.dataset, c.spec.epochs, c.spec.batch_size) for c in cells} == {("phantom", 3, 32), ("busi", 7, 2)}
    assert len({cell.configuration for cell in cells}) == 5, "configurations have the same names on every data set"


def test_a_study_says_at_which_sizes_its_data_sets_are_read(tmp_path: Path) -> None:
    """By its grid, else by what differs between data sets, else by what all cells share: as a cell does."""
    study = load(
        tmp_path,
        datasets=["phantom", "busi"],
        per_dataset={"busi": {"image_size": 64}},
        grid=[{"weighting": "fixed"}, {"weighting": ["mad"], "image_size": [256, 128]}],
    )
    assert (study.image_sizes("phantom"), study.image_sizes("busi")) == ([32, 128, 256], [64, 128, 256])
    cells = [cell.spec for cell in expand(study).cells]
    for name in study.datasets:
        assert {spec.image_size for spec in cells if spec.dataset == name} == set(study.image_sizes(name))


@pytest.mark.parametrize("size", [None, 7, "64", 64.5])
def test_a_study_that_leaves_the_size_open_is_answered_with_what_is_expected(tmp_path: Path, size: object) -> None:
    study = load(tmp_path, trial={} if size is None else {"image_size": size})
    with pytest.raises(ConfigError, match=rf"`trial.image_size`: expected .* at least 8\. Found {size!r}"):
        study.image_sizes("phantom")


def test_every_seed_is_run_on_every_fold(tmp_path: Path) -> None:
    cells = expand(load(tmp_path, seeds=2, folds=3, grid=[{"weighting": "fixed"}])).cells
    found = [(cell.spec.seed, cell.spec.split) for cell in cells]
    assert found == [(seed, f"fold:{fold}") for seed in range(2) for fold in range(3)]
    assert len({cell.configuration for cell in cells}) == 1


def test_every_repeat_can_deal_its_images_anew(tmp_path: Path) -> None:
    study = load(tmp_path, grid=[{"split": ["random:<seed>", "grouped"]}], baseline={"split": "random:<seed>"})
    expansion = expand(study)
    found = [(cell.configuration, cell.spec.seed, cell.spec.split) for cell in expansion.cells]
    assert found == [
        ("random", 0, "random:0"), ("grouped", 0, "grouped"), ("random", 1, "random:1"), ("grouped", 1, "grouped"),
    ]  # fmt: skip
    assert expansion.baseline == "random"


def test_an_axis_goes_before_what_differs_between_data_sets(tmp_path: Path) -> None:
    study = load(tmp_path, per_dataset={"phantom": {"weighting": "dwa"}})
    assert {cell.spec.weighting for cell in expand(study).cells} == {"variance", "mad", "fixed"}


def test_a_skipped_combination_keeps_its_reason(tmp_path: Path) -> None:
    skip = [{"when": {"weighting": "mad", "auxiliary": None}, "reason": "known to collapse"}]
    expansion = expand(load(tmp_path, skip=skip))
    assert [(s.values["weighting"], s.reason) for s in expansion.skipped] == [("mad", "known to collapse")]
    assert "mad · none" not in {cell.configuration for cell in expansion.cells}


def test_arguments_name_a_configuration_where_nothing_else_does(tmp_path: Path) -> None:
    grid = [{"weighting": "mad", "weighting_params": [{"history_size": 10}, {"history_size": 20}]}]
    baseline = {"weighting_params": {"history_size": 10}}
    names = {cell.configuration for cell in expand(load(tmp_path, grid=grid, baseline=baseline)).cells}
    assert names == {"history_size=10", "history_size=20"}


def test_extends_merges_trial_and_replaces_the_rest(tmp_path: Path) -> None:
    write(tmp_path, "base")
    (tmp_path / "child.yaml").write_text("extends: base\nseeds: 1\ntrial: {epochs: 7}\n")
    study = load_study("child", tmp_path)
    assert (study.seeds, study.trial, study.title) == (1, {"epochs": 7, "image_size": 32}, "A study")


def grid_with(**fields: object) -> list[dict[str, object]]:
    return [{"weighting": "fixed", **fields}]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sedes": 3}, ["unknown key `sedes`", "Did you mean `seeds`?"]),
        ({"seeds": 0}, ["key `seeds`", "greater than or equal to 1", "Found 0"]),
        ({"seeds": "three"}, ["key `seeds`", "valid integer", "Found 'three'"]),
        ({"datasets": []}, ["key `datasets`", "at least 1 item"]),
        ({"trial": {"epochs": 0}}, ["`epochs`", "at least 1", "Found 0"]),
        ({"trial": {"epoch": 3}}, ["unknown key `trial.epoch`", "Did you mean `epochs`?"]),
        ({"trial": {"seed": 3}}, ["`trial.seed`", "`seeds`"]),
        ({"trial": {"learning_rate": -1.0}}, ["`learning_rate`", "more than 0", "Found -1.0"]),
        ({"trial": {"batch_size": "many"}}, ["`batch_size`", "Found 'many'"]),
        ({"trial": {"fidelity": "papper"}}, ["`fidelity`", "paper, reference, stable"]),
        ({"trial": {"model": "unett"}}, ["Unknown model 'unett'", "Did you mean 'unet'?"]),
        ({"trial": {"activation": "jakobi"}}, ["Unknown activation 'jakobi'", "Did you mean 'jacobi'?"]),
        ({"trial": {"model_params": {"filters": 3}}}, ["filters", "base_filters"]),
        ({"grid": grid_with(losses=[["dise"]])}, ["Unknown loss 'dise'", "Did you mean 'dice'?"]),
        ({"grid": grid_with(weighting="varriance")}, ["Unknown weighting 'varriance'", "Did you mean 'variance'?"]),
        ({"grid": grid_with(weighting_params={"histroy": 3})}, ["'fixed'", "`histroy`"]),
        (
            {"grid": grid_with(weighting="mad", weighting_params={"history_size": 0})},
            ["`history_size` must be", "Found 0"],
        ),
        ({"grid": grid_with(weighting="torchjd:UPGard")}, ["UPGard"]),
        ({"grid": grid_with(loss_params={"dice": {"smoth": 1}})}, ["'dice'", "'smoth'"]),
        ({"grid": grid_with(auxiliary=["focal", "focal"])}, ["holds a configuration twice"]),
        ({"baseline": {"weighting": "gls"}}, ["`baseline`", "exactly one", "Found 0"]),
        ({"baseline": {"weightning": "fixed"}}, ["unknown key `baseline.weightning`"]),
        ({"skip": [{"when": {}, "reason": "everything"}]}, ["the grid is empty"]),
        (
            {"grid": grid_with(losses={"combinations": ["dice"], "sizes": [2]})},
            ["`grid.0.losses`", "`sizes` must not exceed 1"],
        ),
        (
            {"grid": grid_with(losses={"combinations": ["dice"], "size": [1]})},
            ["unknown key `grid.0.losses.size`", "Did you mean `sizes`?"],
        ),
        ({"per_dataset": {"phantm": {"epochs": 1}}}, ["`per_dataset`", "Did you mean `phantom`?"]),
        ({"per_dataset": {"phantom": {"epoch": 1}}}, ["`per_dataset.phantom.epoch`", "Did you mean `epochs`?"]),
        ({"extends": "nothing"}, ["`extends`", "no study is called 'nothing'"]),
        ({"extends": "mine"}, ["`extends` goes in a circle: mine -> mine"]),
        ({"name": "other"}, ["`name` is not needed"]),
    ],
)
def test_a_mistake_is_answered_with_file_key_value_and_what_is_allowed(
    tmp_path: Path, changes: dict[str, object], expected: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        expand(load(tmp_path, **changes))
    for part in ["mine.yaml", *expected]:
        assert part in str(caught.value)


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, seeds=0, titel="x")
    assert len(str(caught.value).splitlines()) == 2


def test_an_unknown_study_lists_those_there_are() -> None:
    with pytest.raises(
        ConfigError, match=r"no study is called 'quikstart'. Did you mean `quickstart`\? Known: .*smoke"
    ):
        load_study("quikstart")


@pytest.mark.parametrize("name", ["data", "filter", "my study", "-v"])
def test_a_name_that_collides_or_no_command_could_take_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    with pytest.raises(ConfigError, match=rf"{name}\.yaml: a study cannot be called '{name}'\. Rename the file"):
        load_study(name, tmp_path)


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "seeds: 1\nseeds: 2\n"])
def test_a_file_that_is_no_mapping_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"broken\.yaml: (not valid YAML|expected keys and values)"):
        load_study("broken", tmp_path)


def test_study_files_hold_nothing_but_studies() -> None:
    assert {path.suffix for path in FOLDER.iterdir() if path.is_file()} <= {".yaml", ".py"}


def test_every_study_is_explained() -> None:
    text = (FOLDER.parent / "docs" / "studies.md").read_text()
    assert [name for name in study_names() if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", [name for name in study_names() if f"{name}_small" in study_names()])
def test_a_small_study_keeps_the_kind_of_its_grid(name: str) -> None:
    whole, small = (expand(load_study(study)) for study in (name, f"{name}_small"))
    varying = [
        {field for field in FIELDS if len({repr(getattr(cell.spec, field)) for cell in expansion.cells}) > 1}
        for expansion in (whole, small)
    ]
    assert varying[1] - {"dataset", "seed"} <= varying[0] | {"model_params", "weighting_params"}


class TestYaml:
    def test_a_key_may_be_merged_and_overridden_but_not_stand_twice(self, tmp_path: Path) -> None:
        path = tmp_path / "merged.yaml"
        path.write_text("a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3}\nc: {<<: *b, x: 4}\n")
        assert read_yaml(path)["c"] == {"x": 4, "y": 3}
        path.write_text("a: {x: 1, x: 2}\n")
        with pytest.raises(ConfigError, match="key 'x' stands twice"):
            read_yaml(path)


def test_a_learning_rate_may_be_written_with_an_exponent(tmp_path: Path) -> None:
    write(tmp_path, "mine")
    path = tmp_path / "mine.yaml"
    path.write_text(path.read_text().replace("epochs: 3", "epochs: 3\n  learning_rate: 1e-4"))
    assert {cell.spec.learning_rate for cell in expand(load_study("mine", tmp_path)).cells} == {1e-4}


@pytest.mark.parametrize(("model", "size"), [("smp:pan/resnet18", 64), ("timm:inception_v3", 32)])
def test_images_too_small_for_a_network_are_said_before_anything_runs(tmp_path: Path, model: str, size: int) -> None:
    study = load(tmp_path, trial={"model": model, "image_size": size})
    with pytest.raises(
        ConfigError, match=rf"mine\.yaml: Model {model} needs larger images: .* of {size} x {size} pixels"
    ):
        expand(study)


def test_methods_that_cannot_be_resumed_or_fed_are_refused(tmp_path: Path) -> None:
    for method in (*REFUSED, *OF_PARAMETERS):
        study = load(tmp_path, grid=[{"weighting": ["fixed", f"torchjd:{method}"]}])
        with pytest.raises(ConfigError, match=rf"'torchjd:{method}' cannot be used here: it "):
            expand(study)


def test_torchjds_scalarizations_are_rows_like_others(tmp_path: Path) -> None:
    methods = torchjd_methods("scalarization")
    parts = [{"weighting": f"torchjd:{method}", "weighting_params": TORCHJD.get(method, {})} for method in methods]
    blocks = [{**part, "losses": [["dice", "iou", "mse"]]} for part in parts]
    cells = expand(load(tmp_path, grid=[{"weighting": "fixed"}, *blocks])).cells
    assert {cell.spec.weighting for cell in cells} == {"fixed", *(f"torchjd:{method}" for method in methods)}
    blocks[0]["losses"] = [["dice", "iou"]]
    with pytest.raises(ConfigError, match=r"mine\.yaml: Parameter `weights` must be 2 numbers, one for each loss"):
        expand(load(tmp_path, grid=[{"weighting": "fixed"}, *blocks]))
