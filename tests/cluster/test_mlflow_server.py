"""The server of docs/cluster.md, started by the lines that stand there, answers the clients that are set up by them."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.support.places import ROOT, free_port

pytestmark = pytest.mark.slow

SECTION = (ROOT / "docs/cluster.md").read_text().partition("## MLflow for many writers\n")[2]
SERVER, CLIENT = re.findall(r"```console\n(.*?)```", SECTION, re.DOTALL)
ELSEWHERE = ("pip install ", "createdb ")
"""Lines that stand for what tests have already, or do without."""

MIRROR = """
from pipelines.trials.mirror import Mirror
from pipelines.trials.tracking import experiments, tracking_uri
mirror = Mirror("mine", tracking_uri(), "here")
print(experiments(tracking_uri()) == {"mine": mirror.experiment})
"""


@dataclass(frozen=True)
class Server:
    """Where it is, and what the page's placeholders stand for."""

    folder: Path
    host: str
    port: int
    password: str

    def lines(self, block: str) -> str:
        """A block of the page as somebody types it here: SQLite for PostgreSQL, and one worker."""
        kept = "\n".join(line for line in block.splitlines() if not line.startswith(ELSEWHERE))
        database = f"sqlite:///{self.folder / 'mlflow.db'}"
        for old, new in (
            ("postgresql+psycopg://USER:PASSWORD@DATABASE/mlflow", database),
            ("/shared/", f"{self.folder}/"),
            ("HEAD", self.host),
            ("5000", str(self.port)),
            ("--workers 4", "--workers 1"),
            ("PASSWORD=PASSWORD", f"PASSWORD={self.password}"),
            ("KEY=SECRET", f"KEY={secrets.token_hex()}"),
        ):
            assert old in SECTION
            kept = kept.replace(old, new)
        return kept

    def get(self, path: str, host: str = "", **login: tuple[str, str]) -> requests.Response:
        certificate = str(self.folder / "mlflow.crt")
        headers = {"Host": host} if host else {}
        return requests.get(f"https://{self.host}:{self.port}{path}", headers=headers, verify=certificate, **login)


def name_of_this_machine() -> str:
    """Its own, where that leads to it."""
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return "localhost"
    return name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("head")
    place = Server(folder, name_of_this_machine(), free_port(), secrets.token_urlsafe(12))
    environment = {
        **os.environ,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            ["bash", "-ec", place.lines(SERVER)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            while not answers(place):
                assert process.poll() is None, (folder / "log.txt").read_text()
                time.sleep(0.2)
            yield place
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answers(server: Server) -> bool:
    try:
        return server.get("/health").ok
    except (OSError, requests.RequestException):  # no certificate yet, or nobody there
        return False


def test_a_client_that_is_set_up_as_the_page_says_is_let_in(server: Server) -> None:
    script = f'{server.lines(CLIENT)}\n"{sys.executable}" -c "$MIRROR"'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MIRROR": MIRROR}
    done = subprocess.run(
        ["bash", "-ec", script], cwd=server.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "True\n", done.stderr


def test_nobody_else_is(server: Server) -> None:
    path, login = "/api/2.0/mlflow/experiments/search?max_results=1", ("admin", server.password)
    assert server.get(path, auth=login).status_code == 200
    assert server.get(path).status_code == 401
    assert server.get(path, auth=("admin", "guessed")).status_code == 401
    stranger = server.get(path, host="elsewhere.example", auth=login)
    assert (stranger.status_code, "Invalid Host header" in stranger.text) == (403, True)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{server.host}:{server.port}/health", timeout=60)
