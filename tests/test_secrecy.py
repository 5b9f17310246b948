"""The suite notices a secret that is told: in a file, in what is printed, and among the arguments of a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

TELLING = """
import os, subprocess, sys

KEY = os.environ["AWS_SECRET_ACCESS_KEY"]

def test_writes(tmp_path):
    (tmp_path / "log").write_text(KEY)

def test_says():
    print(KEY)

def test_calls():
    subprocess.run([sys.executable, "-c", "import time; time.sleep(3)", KEY])
"""
QUIET = "def test_nothing(): pass"


def leaks(folder: Path, tests: str) -> tuple[int, str]:
    """Exit status of a run, and the places that it names."""
    (folder / "test_it.py").write_text(tests)
    options = ["-p", "tests.support.secrecy", "-p", "no:cacheprovider", "--basetemp", str(folder / "base")]
    command = [sys.executable, "-m", "pytest", "-q", "test_it.py", "-c", "/dev/null", *options]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, "\n".join(line for line in done.stdout.splitlines() if line.startswith("SECRET TOLD"))


@pytest.mark.slow
def test_a_secret_that_is_told_fails_the_run(tmp_path: Path) -> None:
    status, places = leaks(tmp_path, TELLING)
    assert status == 1
    assert "test_writes0/log" in places
    assert "what was said in test_it.py::test_says (call)" in places
    assert "arguments: " in places
    assert leaks(tmp_path, QUIET) == (0, "")
