"""Every kind of bad input ends in one clear message, a non-zero status, and everything as it was.

The kinds are listed in tests/pipelines/bad_input, by what is spoilt: `pytest --collect-only` prints them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipelines.fetch import zenodo
from tests.support.bad_input import KINDS, Kind, Place
from tests.support.bad_input.place import build, copy, run
from tests.support.site import Site

REMEDY = re.compile(
    r"\b(add|ask|choose|convert|correct|delete|did you mean|fetch|give|go on by hand|make|mend|move|name the|place|"
    r"remove|rename|replace|rescale|save|unpack|dvc repro|"
    r"must|should|expected|is missing|twice|not valid|no such file|refused)\b",
    re.IGNORECASE,
)
"""Says what to do, or what would have been right."""


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place in which every stage was run."""
    folder = tmp_path_factory.mktemp("whole")
    build(folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        for stage in ("fetch", "audit", "split", "filter"):
            assert run(f"{stage} scans", folder, monkeypatch) == 0
    return folder


@pytest.fixture
def place(whole: Path, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A copy of it that may be spoilt."""
    monkeypatch.setattr(zenodo, "RECORDS", zenodo.RECORDS)
    return copy(whole, tmp_path / "place", site)


def test_the_place_is_good_before_it_is_spoilt(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = place.files()
    for command in ("fetch scans", "audit scans", "split scans", "filter scans"):
        assert run(command, place.folder, monkeypatch) == 0
    assert place.files() == before
    assert run("fetch mirrored", place.folder, monkeypatch) == 0


def test_there_are_more_than_sixty_kinds() -> None:
    assert len(KINDS) > 60


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_it_is_one_clear_message_and_nothing_is_lost_or_half_written(
    kind: Kind, place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind.spoil(place)
    before = place.files()
    capsys.readouterr()
    assert run(kind.command, place.folder, monkeypatch) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("error: ") == 1
    for part in kind.expected:
        assert part in message
    assert REMEDY.search(message), message
    assert place.files() == before
