"""`cluster/repro.sh`: one `dvc repro` at a time in a shared checkout, whatever lost jobs have left there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import wait_for
from tests.support.places import ROOT

BIN = Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
STAGE = "stages:\n  wait:\n    cmd: touch begun; until test -e go; do sleep 0.1; done; touch out\n    outs: [out]\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A DVC project of one stage, which waits until it is let go."""
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, check=True)
    (tmp_path / "dvc.yaml").write_text(STAGE)
    (tmp_path / "cluster").mkdir()
    shutil.copy2(ROOT / "cluster/repro.sh", tmp_path / "cluster")
    return tmp_path


def repro(checkout: Path) -> subprocess.Popen[str]:
    command = [str(checkout / "cluster/repro.sh")]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_what_a_lost_job_on_another_machine_left_does_not_block(checkout: Path) -> None:
    (checkout / "go").touch()
    left = {"write": {str(checkout / "out"): {"pid": os.getpid(), "cmd": "dvc repro"}}, "read": {}}
    (checkout / ".dvc/tmp").mkdir(exist_ok=True)
    (checkout / ".dvc/tmp/rwlock").write_text(json.dumps(left))  # its number is that of a process here
    bare = subprocess.run(["dvc", "repro"], cwd=checkout, env=ENVIRONMENT, capture_output=True, text=True)
    assert bare.returncode != 0
    assert "is busy" in bare.stderr
    done = repro(checkout)
    assert done.wait() == 0, done.stdout and done.stdout.read()
    assert (checkout / "out").exists()


def test_two_never_run_at_once(checkout: Path) -> None:
    first = repro(checkout)
    wait_for((checkout / "begun").exists, first)  # type: ignore[arg-type]
    second = repro(checkout)
    told, _ = second.communicate()
    assert second.returncode == 1
    assert f"error: another dvc repro runs in {checkout}" in told
    (checkout / "go").touch()
    assert first.wait() == 0
