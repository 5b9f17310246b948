"""How MLflow shows a study: what its pages open on, and which data a run says it was given."""

from __future__ import annotations

import json

from mlflow.entities import Dataset, DatasetInput, InputTag

from pipelines.trials.record import Description

COLUMNS = (
    "attributes.`Dataset`", "attributes.`Models`", "metrics.`test/per_image/dice`", "metrics.`test/reference/cb_dice`",
    "metrics.`test/macro/f1`", "metrics.`test/macro/accuracy`", "params.`seed`", "tags.`configuration`",
    "tags.`precision`", "tags.`device`",
)  # fmt: skip

VIEWS = {
    "scores": {"selectedColumns": COLUMNS},
    "weights": {
        "chartsSearchFilter": "weight/",
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "row"}]},
        "hideEmptyCharts": True,
    },
}
"""What MLflow calls shared views: a table of scores; charts of the weights, one line and band a configuration."""

EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # otherwise its page may open on a view for language models
    **{f"mlflow.sharedViewState.{name}": json.dumps(state) for name, state in VIEWS.items()},
}


TRAININGS = "workflowType=machine_learning"
"""Without this a page may open on a view for language models, where no run of ours is to be seen."""


def view_addresses(experiment: str) -> dict[str, str]:
    """Where a server of MLflow shows an experiment's views, from the server's own address on."""
    page = f"/#/experiments/{experiment}/runs?{TRAININGS}&viewStateShareKey="
    return {"scores": f"{page}scores", "weights": f"{page}weights&compareRunsMode=CHART"}


def data_inputs(trial: Description) -> list[DatasetInput]:
    """The prepared data of a trial, by its checksum; how they were split and prepared is in the profile."""
    made = trial.preparation
    profile = {
        "title": made.title,
        "split": trial.spec.split,
        "filtered": trial.spec.filtered,
        "classes": len(made.classes),
        "size": trial.spec.image_size,
    }
    dataset = Dataset(
        name=trial.spec.dataset,
        digest=trial.data_checksum[:8],
        source_type="local",
        source=json.dumps({"uri": f"data/arrays/{trial.spec.dataset}"}),
        profile=json.dumps(profile),
    )
    return [DatasetInput(dataset, [InputTag("mlflow.data.context", "training, validation and test")])]
