"""Secrets for the whole suite: planted where people keep them, and looked for in all that is written, said and shown.

A run of the tests fails if a file of a temporary folder, a log of Ray, an argument of a process below (looked at once a
second) or what a test said holds one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

PLANTED = "DMF_TESTS_SECRET"
HOLDERS = (
    "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "RAY_AUTH_TOKEN", "KAGGLE_KEY", "KAGGLE_API_TOKEN",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN",
)  # fmt: skip
"""Where people keep what nobody else may read."""

RAY = Path("/tmp/ray")


def secret() -> str:
    """The one that is planted; workers of the suite have it from the process that started them."""
    return os.environ.setdefault(PLANTED, f"secret{secrets.token_hex(8)}")


def plant() -> dict[str, str]:
    return dict.fromkeys(HOLDERS, secret())


def commands_below(number: int) -> list[str]:
    """What everybody on the machine can read of a process's children."""
    told = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(number).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                told.append(" ".join(child.cmdline()))
    return told


def told_in(folders: Iterable[Path], since: float = 0.0) -> list[Path]:
    """Files, written since a time, that hold the secret."""
    return [path for folder in folders for path in _files(folder, since) if secret().encode() in path.read_bytes()]


def _files(folder: Path, since: float) -> Iterator[Path]:
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink() and path.stat().st_mtime >= since:
                yield path


class Watch:
    """The plugin: one in the process that the suite was started with."""

    def __init__(self) -> None:
        self.began = time.time()
        self.leaks: list[str] = []
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._look, daemon=True)
        self._watcher.start()

    def _look(self) -> None:
        while not self._ended.wait(1.0):
            self.leaks += [f"arguments: {told}" for told in commands_below(os.getpid()) if secret() in told]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        said = [report.longreprtext, *(text for _, text in report.sections)]
        if any(secret() in text for text in said):
            self.leaks.append(f"what was said in {report.nodeid} ({report.when})")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._ended.set()
        self._watcher.join()
        base = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined] # noqa: SLF001
        self.leaks += [f"file {path}" for path in told_in([base, *RAY.glob("session_2*")], self.began)]
        if self.leaks:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for leak in dict.fromkeys(self.leaks):
            terminalreporter.write_line(f"SECRET TOLD: {leak}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    os.environ.update(plant())
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Watch(), "secrecy")
