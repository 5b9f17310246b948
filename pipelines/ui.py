"""MLflow's user interface on this machine only: `python -m pipelines.ui`."""

from __future__ import annotations

import argparse
import os
import sys

from pipelines.core.console import run_stage, say
from pipelines.trials.mirror import shown, tracking_uri


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pipelines.ui", description=__doc__)
    parser.add_argument("--port", type=int, default=5000, help="port on 127.0.0.1 (default: 5000)")
    port = parser.parse_args().port
    # One worker and no job runner: five seconds to start and half a gigabyte, where the defaults take over two.
    os.environ |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    os.environ["MLFLOW_BACKEND_STORE_URI"] = tracking_uri()  # not as an argument: everybody sees those, and a password
    # Without this the page opens on a view for language models, where no run of ours is to be seen.
    page = f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning"
    say(f"MLflow shows {shown(tracking_uri())} on {page} (Ctrl-C ends it)")
    address = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "server", *address]
    os.execv(sys.executable, command)


run_stage(main)
