"""Locks that a process holds and the system lets go of."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.core.console import StageError
from pipelines.core.locks import Locked, is_locked, locked
from tests.support.commands import without_rights

HOLDER = """
import sys
from pathlib import Path
from pipelines.core.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    input()
"""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process holds the lock while the block runs."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
        process.kill()


def test_one_process_holds_it_and_its_death_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with held(lock):
        assert is_locked(lock)
        with pytest.raises(Locked, match="held by another process"), locked(lock):
            pass
    assert not is_locked(lock)
    with locked(lock):
        assert is_locked(lock)


def test_whoever_waits_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    with (
        held(tmp_path / "lock"),
        pytest.raises(Locked),
        locked(tmp_path / "lock", patience=0.3, waits=lambda: told.append("x")),
    ):
        pass
    assert told == ["x"]


def test_a_lock_whose_folder_was_removed_is_no_lock(tmp_path: Path) -> None:
    """Two who both hold a file of that name, the one removed and the new one, would each think to be alone."""
    lock = tmp_path / "trial" / "lock"
    with held(lock):
        shutil.rmtree(lock.parent)
        with locked(lock):
            assert is_locked(lock)


def test_asking_changes_nothing_and_needs_no_right_to_write(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert not is_locked(lock)
    assert not lock.exists()
    with held(lock):
        lock.chmod(0o444)
        tmp_path.chmod(0o555)
        try:
            asked = "import sys; from pathlib import Path; from pipelines.core.locks import is_locked; "
            asked += "sys.exit(is_locked(Path(sys.argv[1])))"
            command = [sys.executable, "-c", asked, str(lock)]
            assert subprocess.run([*without_rights(), *command], check=False).returncode == 1
        finally:
            tmp_path.chmod(0o755)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(StageError, match=rf"{tmp_path}/lock: the file system has no locks \(.*Name a folder on another"),
        locked(tmp_path / "lock"),
    ):
        pass
