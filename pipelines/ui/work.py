"""What `dmf ui` does."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping

from pipelines.core.console import say
from pipelines.trials.mlflow_view import TRAININGS, view_addresses
from pipelines.trials.tracking import experiments, shown, tracking_uri


def run(options: Namespace) -> None:
    uri, port = tracking_uri(), options.port
    served = uri.startswith(("http://", "https://"))
    server = shown(uri).replace("***@", "") if served else f"http://127.0.0.1:{port}"
    say("\n".join(links(server, experiments(uri))))
    if served:
        say(f"{server} is a server already; nothing was started.")
        return
    say(f"MLflow shows {shown(uri)} there until Ctrl-C ends it.")
    # One worker and no job runner: five seconds to start and half a gigabyte, where the defaults take over two.
    os.environ |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    os.environ["MLFLOW_BACKEND_STORE_URI"] = uri  # not as an argument: everybody sees those, and a password
    address = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "server", *address]
    os.execv(sys.executable, command)


def links(server: str, studies: Mapping[str, str]) -> Iterator[str]:
    """The page of all studies, and of each those of its scores and of its weights."""
    yield f"all studies: {server}/#/experiments?{TRAININGS}"
    for name, identifier in studies.items():
        for view, address in view_addresses(identifier).items():
            yield f"{name}, {view}: {server}{address}"
