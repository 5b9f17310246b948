"""Bring MLflow level with the trials on disk: `python -m pipelines.sync --study quickstart`.

A grid does this by itself, while it runs and at its end. If MLflow was away then (server down, its disk full), do it by
hand later, as often as you like: each trial and each value is there once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pipelines.core.console import StageError, run_stage
from pipelines.trials.mirror import tracking_uri
from pipelines.trials.mirroring import bring_level, follow


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pipelines.sync", description=__doc__.splitlines()[0])
    parser.add_argument("--study", required=True, help="name of a file in tune_spaces/, without .yaml")
    parser.add_argument("--trials", type=Path, default=Path("trials"), help="where results lie (default: trials)")
    parser.add_argument("--follow", action="store_true", help="go on until standard input ends, as for a running grid")
    options = parser.parse_args()
    results = options.trials.resolve() / options.study
    if options.follow:
        follow(results, tracking_uri())
    elif not results.is_dir():
        raise StageError(f"{results} is no folder: there are no trials to mirror. Run the grid first.")
    elif not bring_level(results, tracking_uri()):
        raise StageError("MLflow is not level with the trials on disk; mend what is said above and run this again.")


if __name__ == "__main__":
    run_stage(main)
