"""What `dmf ui` does."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from pipelines.core.console import say
from pipelines.trials.mirror import shown, tracking_uri


def run(options: Namespace) -> None:
    port = options.port
    # One worker and no job runner: five seconds to start and half a gigabyte, where the defaults take over two.
    os.environ |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    os.environ["MLFLOW_BACKEND_STORE_URI"] = tracking_uri()  # not as an argument: everybody sees those, and a password
    # Without this the page opens on a view for language models, where no run of ours is to be seen.
    page = f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning"
    say(f"MLflow shows {shown(tracking_uri())} on {page} (Ctrl-C ends it)")
    address = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "server", *address]
    os.execv(sys.executable, command)
