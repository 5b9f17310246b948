"""A real cluster of two nodes, each with a network and a host name of its own where the system lets us.

There the node that trains does not see the driver's folder of trials either: a disk of its own lies in its place.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.trials.record import read_trial
from tests.support.commands import wait_for
from tests.support.places import ROOT, free_port, params_of

pytestmark = pytest.mark.cluster

BIN = Path(sys.executable).parent
ALIVE = """
import json, os, sys, urllib.request
url = f"http://{sys.argv[1]}/api/v0/nodes?filter_keys=state&filter_predicates==&filter_values=ALIVE"
token = {"Authorization": "Bearer " + os.environ["RAY_AUTH_TOKEN"]}
with urllib.request.urlopen(urllib.request.Request(url, headers=token)) as answer:
    sys.exit(len(json.load(answer)["data"]["result"]["result"]) < int(sys.argv[2]))
"""
STUDY = "extends: smoke\ntrial: {epochs: 60, model_params: {base_filters: 4}}\n"


@dataclass(frozen=True)
class Host:
    """A place to run commands in: an address and what goes before a command."""

    name: str
    address: str
    prefix: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cluster:
    """A running cluster and how a person reaches it from its head."""

    head: Host
    hosts: tuple[Host, ...]
    dashboard: str
    environment: dict[str, str]
    lose_worker: Callable[[], None]

    def submit(self, *command: str, token: bool = True) -> subprocess.Popen[str]:
        environment = dict(self.environment)
        if not token:
            del environment["RAY_AUTH_TOKEN"]
        submit = [*self.head.prefix, str(BIN / "ray"), "job", "submit", "--address", self.dashboard, "--", *command]
        return subprocess.Popen(submit, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a process and its children, if it has not ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@contextlib.contextmanager
def ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Even if we are killed: the end of our pipe tells a watcher, which ends the process with all its children."""
    watch = "read nothing; kill -TERM -$0; sleep 20; kill -KILL -$0"
    command = ["sh", "-c", watch, str(process.pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as watcher:
        yield
        watcher.kill()


@contextlib.contextmanager
def namespaces(trials: Path) -> Iterator[tuple[Host, ...]]:
    """Two hosts joined by a cable, or two names for this machine where namespaces are not to be had.

    The second one has an empty disk in the place of `trials`.
    """
    tag = f"{os.getpid() % 10000}"
    names = [f"dmf{letter}{tag}" for letter in "ab"]
    own_disk = f"mount -t tmpfs -o size=64m none {trials} && "
    hosts = tuple(
        Host(
            f"dmf-{name[3]}",
            f"10.87.0.{number}",
            ("ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c", f'{disk}hostname dmf-{name[3]}; "$@"', "-"),
        )
        for number, (name, disk) in enumerate(zip(names, ("", own_disk), strict=True), start=1)
    )

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    try:
        for name in names:
            ip("netns", "add", name)
        ends = [f"v{name[3:]}" for name in names]
        ip("link", "add", ends[0], "netns", names[0], "type", "veth", "peer", "name", ends[1], "netns", names[1])
        for host, name, end in zip(hosts, names, ends, strict=True):
            ip("-n", name, "addr", "add", f"{host.address}/24", "dev", end)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", end, "up")
    except (OSError, subprocess.CalledProcessError):
        hosts = (Host(socket.gethostname(), "127.0.0.1"),) * 2
    try:
        yield hosts
    finally:
        for name in names if shutil.which("ip") else ():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as it stands, in a folder that both nodes see, set to its smallest study."""
    folder = tmp_path_factory.mktemp("shared") / "dmf"
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("reports/", "tests/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "dvc.lock").unlink(missing_ok=True)
    (folder / "reports").mkdir()
    (folder / "trials").mkdir()
    (folder / "tune_spaces/apart.yaml").write_text(STUDY)
    (folder / "params.yaml").write_text(params_of("apart"))
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "as it stands"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[Cluster]:
    port, dashboard, logs = free_port(), free_port(), tmp_path_factory.mktemp("logs")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "RAY_health_check_period_ms": "1000",  # five that fail tell of a lost node
    }
    # Ray's sockets have names that must stay short.
    processes: list[subprocess.Popen[bytes]] = []
    with namespaces(checkout / "trials") as hosts, contextlib.ExitStack() as started:

        def start(host: Host, *options: str) -> subprocess.Popen[bytes]:
            temporary = f"/tmp/dmf-ray-{secrets.token_hex(3)}"
            command = ["ray", "start", "--node-ip-address", host.address, "--block", *options]
            command += ["--temp-dir", temporary] if "--head" in options else []
            log = started.enter_context((logs / f"{host.name}.log").open("w"))
            process = subprocess.Popen(
                [*host.prefix, *command], env=environment, stdout=log, stderr=log, start_new_session=True
            )
            processes.append(process)
            started.enter_context(ended_with_us(process))
            started.callback(shutil.rmtree, temporary, ignore_errors=True)
            started.callback(process.wait)
            started.callback(end, process, signal.SIGTERM)
            return process

        def lose_worker() -> None:
            """Kill the second node, and start another one in its place."""
            end(workers.pop(), signal.SIGKILL)
            workers.append(start(hosts[1], "--num-cpus", "2", "--address", f"{hosts[0].address}:{port}"))

        def wait_for_nodes(nodes: int) -> None:
            """Ask the head's own interface, from where it can be reached; `ray list nodes` takes seconds to import."""
            asked = [*hosts[0].prefix, sys.executable, "-S", "-c", ALIVE, f"{hosts[0].address}:{dashboard}", str(nodes)]
            while subprocess.run(asked, env=environment, capture_output=True).returncode:
                ended = any(process.poll() is not None for process in processes[-2:])
                assert not ended, "\n".join(path.read_text() for path in logs.iterdir())
                time.sleep(0.2)

        start(hosts[0], "--head", "--num-cpus", "0", "--port", str(port), "--dashboard-host", hosts[0].address,
              "--dashboard-port", str(dashboard))  # fmt: skip
        wait_for_nodes(1)
        workers = [start(hosts[1], "--num-cpus", "2", "--address", f"{hosts[0].address}:{port}")]
        wait_for_nodes(2)
        yield Cluster(hosts[0], hosts, f"http://{hosts[0].address}:{dashboard}", environment, lose_worker)


def test_without_the_token_nothing_can_be_submitted(cluster: Cluster) -> None:
    refused = cluster.submit("hostname", token=False)
    said, _ = refused.communicate()
    assert refused.returncode != 0
    assert "authenticat" in said.lower()


def test_a_submitted_study_is_trained_by_the_other_node_which_may_be_lost_and_dvc_knows_its_results(
    cluster: Cluster, checkout: Path
) -> None:
    job = cluster.submit(str(checkout / "cluster/repro.sh"))
    room = checkout / "trials/.unfinished/apart"
    wait_for(lambda: [*room.glob("*/checkpoint.pt")], job)  # type: ignore[arg-type]
    cluster.lose_worker()
    said, _ = job.communicate()
    assert job.returncode == 0, said[-3000:]
    trials = [read_trial(path.parent) for path in checkout.glob("trials/apart/*/trial.json")]
    assert len(trials) == 2
    assert {trial.environment.node for trial in trials} == {cluster.hosts[1].name}, "the head trains nothing"
    assert max(trial.attempts[-1].after_epochs for trial in trials) > 0, "taken up where the lost node had saved it"
    assert (checkout / "reports" / "apart" / "index.html").is_file()

    environment = {**cluster.environment, "DVC_NO_ANALYTICS": "1"}
    status = subprocess.run(["dvc", "status"], cwd=checkout, env=environment, capture_output=True, text=True)
    assert "up to date" in status.stdout, status.stdout + status.stderr
