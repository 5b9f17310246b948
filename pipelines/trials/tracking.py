"""MLflow's store: where it is, and which studies it holds."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from mlflow.entities import LifecycleStage
from mlflow.tracking import MlflowClient

from pipelines.core.console import StageError
from pipelines.core.disks import network_disk


def shown(text: str) -> str:
    """What may be printed of an address, or of a message that holds one: all but user and password."""
    return re.sub(r"(?<=://)[^/@\s]*@", "***@", text)


def tracking_uri(root: Path = Path()) -> str:
    """`$MLFLOW_TRACKING_URI`, or the SQLite file `mlflow.db` in the repository.

    Raises:
        StageError: if it is an SQLite file on a disk that other machines share, where it would lose what it holds.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root / 'mlflow.db').resolve()}"
    if uri.startswith("sqlite:///") and (kind := network_disk(Path(uri.removeprefix("sqlite:///")))):
        raise StageError(
            f"{uri}: lies on a network disk ({kind}), where SQLite loses what it holds. Set MLFLOW_TRACKING_URI to a "
            "server (docs/cluster.md), or to a file on this machine's own disk: sqlite:////tmp/mlflow.db, which "
            "`python -m pipelines.sync` fills anew at any time."
        )
    return uri


def tag_study(study: str, uri: str, tags: Mapping[str, str]) -> bool:
    """Set tags of a study's experiment; False where MLflow holds none, which this does not change."""
    if _is_new(uri):
        return False
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(study)
    if experiment is None or experiment.lifecycle_stage == LifecycleStage.DELETED:
        return False
    for name, value in tags.items():
        client.set_experiment_tag(experiment.experiment_id, name, value)
    return True


def experiments(uri: str) -> dict[str, str]:
    """Which MLflow holds: by name, in its order, the identifier that a page is called by. Makes no database."""
    found = [] if _is_new(uri) else MlflowClient(uri).search_experiments(order_by=["name ASC"])
    return {one.name: one.experiment_id for one in found if one.name != "Default"}


def _is_new(uri: str) -> bool:
    return uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).is_file()
