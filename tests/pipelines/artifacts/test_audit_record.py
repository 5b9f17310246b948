"""What the audit hands to the split: whole, about these cases, at this similarity, or one clear message."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.artifacts.audit import Duplicates, read_duplicates, write_duplicates
from pipelines.core.console import StageError
from pipelines.datasets.duplicates import Pair

RECORD = Duplicates(
    similarity=0.95, sha256={"a.png": "1", "b.png": "2", "c.png": "3"}, pairs=[("a.png", "c.png", 0.97)]
)


def test_what_is_written_is_read_and_pairs_follow_the_order_of_the_cases(tmp_path: Path) -> None:
    path = tmp_path / "audit" / "d.json"
    write_duplicates(path, RECORD)
    first = path.read_bytes()
    names = ["c.png", "b.png", "a.png"]
    found = read_duplicates(path, names, 0.95)
    assert found == RECORD
    assert found.among(names) == [Pair(0, 2, 0.97)]
    assert found.among(sorted(names)) == [Pair(0, 2, 0.97)]
    write_duplicates(path, found)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("names", "similarity", "text", "part"),
    [
        ("a", 0.95, None, "d.json is missing. Make it with `dvc repro audit`"),
        ("a", 0.95, "{", "Invalid JSON"),
        ("a", 0.95, '{"similarity": 1, "sha256": {}}', "`pairs`: Field required"),
        ("abc", 0.9, "", "audited at similarity 0.95, but `split.similarity` in params.yaml is 0.9"),
        ("abcd", 0.95, "", "d.png was not audited (1 such images)"),
        ("ab", 0.95, "", "c.png was audited but is not there (1 such images)"),
    ],
)
def test_a_record_that_does_not_serve_is_named(
    tmp_path: Path, names: str, similarity: float, text: str | None, part: str
) -> None:
    path = tmp_path / "d.json"
    if text == "":
        write_duplicates(path, RECORD)
    elif text is not None:
        path.write_text(text)
    with pytest.raises(StageError) as caught:
        read_duplicates(path, [f"{name}.png" for name in names], similarity)
    assert str(path) in str(caught.value)
    assert part in str(caught.value)
