"""Tests that wait are spread over the suite, and what is made for a module is made once for all workers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

WAITING = """
import pytest

@pytest.mark.parametrize("number", range(10))
def test_quick(number): pass

@pytest.mark.slow
@pytest.mark.parametrize("number", range(2))
def test_slow(number): pass

@pytest.mark.cluster
@pytest.mark.parametrize("number", range(2))
def test_cluster(number): pass
"""
SHARING = """
import pytest

@pytest.fixture(scope="module")
def server():
    with open("made.txt", "a") as made:
        made.write("once")

@pytest.mark.parametrize("number", range(12))
def test_asks(number, server): pass

@pytest.mark.parametrize("number", range(12))
def test_else(number): pass
"""


def run(folder: Path, tests: str, *options: str) -> str:
    (folder / "test_it.py").write_text(tests)
    plugin = ["-p", "tests.support.order", "-p", "no:cacheprovider", "-W", "ignore"]
    command = [sys.executable, "-m", "pytest", "test_it.py", "-c", "/dev/null", *plugin, *options]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_each_kind_is_spread_and_the_last_part_is_quick(tmp_path: Path) -> None:
    """By hand: clusters at 0 and 0.4 of the suite, slow ones at 0 and 0.45, quick ones at every tenth."""
    order = re.findall(r"::test_(\w)\w+\[\d+\]", run(tmp_path, WAITING, "--collect-only", "-q"))
    assert "".join(order) == "csqqqqcqsqqqqq"


@pytest.mark.slow
def test_what_a_module_shares_is_made_once(tmp_path: Path) -> None:
    assert "24 passed" in run(tmp_path, SHARING, "-n", "2", "--dist", "loadscope", "--no-loadscope-reorder")
    assert (tmp_path / "made.txt").read_text() == "once"
