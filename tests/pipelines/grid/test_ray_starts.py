"""Ray that does not come up, as on a machine with much other work: said in a line, tried again, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.core.console import StageError
from pipelines.grid.run import STARTS, run_grid
from pipelines.trials.plan import plan
from tests.support.grids import store, tiny
from tests.support.places import ROOT

PATIENCE = "import pipelines.grid.run, os; print(os.environ['RAY_raylet_start_wait_time_s'])"


def test_a_start_that_fails_is_tried_again_and_told_in_a_line(
    tmp_path: Path, prepared_phantom: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder with too long a name for a socket keeps Ray from starting, whatever the machine."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("long" * 30)))
    study = tiny(tmp_path)
    with pytest.raises(StageError, match=r"Ray did not start on this machine in 3 attempts: .*107 bytes.*are kept\."):
        run_grid(
            study, plan(study, prepared_phantom, tmp_path / "trials"), prepared_phantom, store(tmp_path), workers=1
        )
    assert capsys.readouterr().out.count("trying again") == STARTS - 1
    assert not list(tmp_path.glob("trials/tiny/*/failure.json"))


@pytest.mark.parametrize(("given", "used"), [(None, "300"), ("7", "7")])
def test_ray_is_given_time_before_it_is_imported(given: str | None, used: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"RAY_raylet_start_wait_time_s": given} if given else {}
    words = [sys.executable, "-c", PATIENCE]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == used
