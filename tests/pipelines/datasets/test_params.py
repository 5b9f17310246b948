"""params.yaml: what a person may write there, and what the error says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.datasets.params import load_params
from tests.support.places import ROOT
from tune_spaces import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text)
    return path


def test_the_repositorys_own_file_is_valid() -> None:
    assert load_params(ROOT / "params.yaml").study


def test_everything_but_the_study_has_a_default(tmp_path: Path) -> None:
    params = load_params(written(tmp_path, "study: quickstart"))
    assert params.split.fractions == (0.7, 0.15, 0.15)
    assert (params.split.method, params.split.seed, params.split.similarity) == ("grouped", 0, 0.95)
    assert (params.filter.diameter, params.filter.sigma_space, params.filter.sigma_range) == (9, 3.0, 25.0)


def test_whole_numbers_are_taken_for_real_ones(tmp_path: Path) -> None:
    params = load_params(written(tmp_path, "study: a\nfilter: {diameter: 5, sigma_space: 2, sigma_range: 30}"))
    assert params.filter.sigma_space == 2.0


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("{}", ["key `study` is missing"]),
        ("study: a\nsplit: {fraction: [1]}", ["unknown key `split.fraction`", "Did you mean `fractions`?"]),
        ("study: a\nsplits: {}", ["unknown key `splits`", "Did you mean `split`?", "Known: filter, split, study"]),
        ("study: a\nsplit: {method: grouping}", ["`split.method`", "Did you mean `grouped`?", "'grouping'", "random"]),
        ("study: a\nsplit: {fractions: [0.7, 0.2, 0.2]}", ["`split.fractions`", "sum to 1", "1.1"]),
        ("study: a\nsplit: {fractions: [0.7, 0.3]}", ["`split.fractions", "missing"]),
        ("study: a\nsplit: {fractions: [1.0, 0, 0]}", ["`split.fractions", "greater than 0"]),
        ("study: a\nsplit: {seed: one}", ["`split.seed`", "integer", "'one'"]),
        ("study: a\nsplit: {seed: true}", ["`split.seed`", "integer", "True"]),
        ("study: a\nsplit: {similarity: 0.5}", ["`split.similarity`", "0.87", "0.5"]),
        ("study: a\nfilter: {diameter: 8}", ["`filter.diameter`", "odd", "Found 8"]),
        ("study: a\nfilter: {sigma_space: -1}", ["`filter.sigma_space`", "greater than 0", "Found -1"]),
        ("study: [a", ["not valid YAML"]),
        ("quickstart", ["expected keys and values", "str"]),
    ],
)
def test_errors_name_file_key_value_and_what_is_allowed(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_params(path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such file"):
        load_params(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("written_as", "value"),
    [
        ("1e-05", 1e-5),
        ("1e-5", 1e-5),
        ("2E3", 2000.0),
        ("+.5e1", 5.0),
        ("1.e+1", 10.0),
        ("1e+16", 1e16),
        ("2.5e-3", 0.0025),
    ],
)
def test_numbers_with_an_exponent_are_numbers(tmp_path: Path, written_as: str, value: float) -> None:
    """YAML 1.1 takes all but the last for text."""
    params = load_params(written(tmp_path, f"study: a\nfilter: {{sigma_range: {written_as}}}"))
    assert params.filter.sigma_range == value


@pytest.mark.parametrize("text", ["1e", "e5", "'1e-5'", "1e5x", "1.2.3e4", "v1e5"])
def test_text_that_looks_like_one_stays_text(tmp_path: Path, text: str) -> None:
    assert load_params(written(tmp_path, f"study: {text}")).study == text.strip("'")


@pytest.mark.parametrize(
    ("setting", "value"), [("1e-5", 1e-5), ("1e20", 1e20), ("0.00001", 1e-5), ("30", 30.0), ("2.5e1", 25.0)]
)
def test_what_dvc_sets_is_read_as_it_was_meant(tmp_path: Path, setting: str, value: float) -> None:
    """As `dvc exp run -S filter.sigma_range=1e-5`, which writes 1e-05."""
    from dvc.utils.hydra import apply_overrides

    path = written(tmp_path, "study: a\nfilter:\n  sigma_range: 25.0\n")
    apply_overrides(path, [f"filter.sigma_range={setting}"])
    assert load_params(path).filter.sigma_range == value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("study: a\nfilter: &usual\n  diameter: 5\n", "line 2: .* Found `&usual`"),
        ("study: &name a\nsplit: {method: grouped}", "line 1: .* Found `&name`"),
        ("shared: {seed: 1}\nstudy: a\nsplit:\n  <<: *shared\n", r"line 4: .* Found `\*shared`"),
    ],
)
def test_anchors_are_refused_since_dvc_does_not_follow_them(tmp_path: Path, text: str, found: str) -> None:
    with pytest.raises(ConfigError, match=rf"params\.yaml: {found}\. Write the values out: DVC runs no stage again"):
        load_params(written(tmp_path, text))


def test_an_asterisk_or_ampersand_in_a_text_is_no_anchor(tmp_path: Path) -> None:
    assert load_params(written(tmp_path, "study: 'a & b'  # *x &y\n")).study == "a & b"
