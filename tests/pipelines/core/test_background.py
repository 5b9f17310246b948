"""A function in a second process: its result, its errors, and that nothing of it outlives the one that asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipelines.core.background import in_background
from pipelines.core.console import StageError
from tests.support.commands import wait_for
from tests.support.places import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the function runs in this process")

WAITS = """
import time
from pathlib import Path
from pipelines.core.background import in_background
from pipelines.core.console import run_stage

def work():
    {work}
    time.sleep(600)

def stage():
    with in_background(work) as result:
        result()

run_stage(stage)
"""
"""A stage whose second process is never done, whatever `work` does first."""

REPORTS = """
import sys
from pathlib import Path
from pipelines.core.console import run_stage
from pipelines.report.build import build_report
from pipelines.report.results import StudyFacts
from tests.support.report_trials import make_facts, paper_specs, plan_trials, write_trials

room = Path(sys.argv[1])
facts = make_facts()
planned = plan_trials(room / "trials", paper_specs(seeds=2))
write_trials(planned, facts)
study = StudyFacts("s", "S", [])
run_stage(lambda: build_report(study, planned, "fixed · none", {"phantom": facts}, room / "reports"))
"""


Begin = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Begins a program in a process group of its own, as a shell does; what is left of it ends with the test."""
    begun: list[subprocess.Popen[str]] = []

    def beginning(script: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, *arguments]
        begun.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, process_group=0))
        return begun[-1]

    yield beginning
    for process in [process for stage in begun for process in there(stage.pid)]:
        process.kill()


def there(group: int) -> list[psutil.Process]:
    """The processes of a group that still run."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def test_it_sees_what_is_in_memory_and_gives_its_result_back() -> None:
    here, changed = os.getpid(), [1, 2]
    with in_background(lambda: (os.getppid(), changed.pop())) as result:
        assert result() == (here, 2)
    assert changed == [1, 2], "what it changes, it changes for itself"


def test_threads_beside_it_are_no_reason_to_warn() -> None:
    done = threading.Event()
    threading.Thread(target=done.wait).start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with in_background(os.getppid) as result:
            assert result() == os.getpid()
    done.set()


def test_a_result_larger_than_a_pipe_comes_back_whole() -> None:
    with in_background(lambda: bytes(10_000_000)) as result:
        assert result() == bytes(10_000_000)


def test_its_error_is_raised_here_when_asked_for_and_says_where_it_arose() -> None:
    def fail() -> None:
        raise StageError("history.parquet is damaged")

    with in_background(fail) as result, pytest.raises(StageError, match=r"^history\.parquet is damaged") as caught:
        result()
    assert str(caught.value) == "history.parquet is damaged"
    assert "in fail" in caught.value.__notes__[0]


def test_a_killed_one_is_told_of() -> None:
    with (
        in_background(lambda: os.kill(os.getpid(), signal.SIGKILL)) as result,
        pytest.raises(StageError, match=r"exit code -9 .* memory"),
    ):
        result()


def test_it_ends_with_the_block_that_is_left_by_an_error(tmp_path: Path) -> None:
    told = tmp_path / "process"
    os.mkfifo(told)

    def work() -> None:
        told.write_text(str(os.getpid()))
        time.sleep(600)

    def stage() -> None:
        with in_background(work):
            processes.append(int(told.read_text()))
            raise RuntimeError("elsewhere")

    processes: list[int] = []
    with pytest.raises(RuntimeError, match="elsewhere"):
        stage()
    assert not psutil.pid_exists(processes[0])


@pytest.mark.slow
def test_it_ends_with_a_stage_that_is_killed(begin: Begin, tmp_path: Path) -> None:
    stage = begin(WAITS.format(work=f"Path({str(tmp_path / 'begun')!r}).touch()"))
    wait_for((tmp_path / "begun").exists, stage)
    assert len(there(stage.pid)) == 2
    stage.kill()
    stage.communicate()
    while there(stage.pid):
        time.sleep(0.005)


@pytest.mark.slow
def test_ctrl_c_in_a_report_leaves_nothing_behind(begin: Begin, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    stage = begin(REPORTS, str(tmp_path))
    wait_for(lambda: any(reports.glob(".*/figures/*.png")), stage)
    os.killpg(stage.pid, signal.SIGINT)
    said = stage.communicate()[1]
    assert stage.returncode == 130
    assert said.splitlines() == ["Stopped by Ctrl-C; what was finished is kept."]
    assert not there(stage.pid)
    assert not any(reports.iterdir())
