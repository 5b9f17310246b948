"""What `dmf sync` does."""

from __future__ import annotations

from argparse import Namespace

from pipelines.core.console import StageError, say
from pipelines.trials.mirroring import bring_level, follow
from pipelines.trials.publishing import publish
from pipelines.trials.tracking import tracking_uri


def run(options: Namespace) -> None:
    results = options.trials.resolve() / options.study
    if options.follow:
        follow(results, tracking_uri())
    elif not results.is_dir():
        raise StageError(f"{results} is no folder: there are no trials to mirror. Run the grid first.")
    elif not bring_level(results, tracking_uri()):
        raise StageError("MLflow is not level with the trials on disk; mend what is said above and run this again.")
    else:
        for told in publish(results, options.reports / options.study, tracking_uri()):
            say(told)
