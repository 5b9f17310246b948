"""How MLflow shows a study: what its pages open on, and which data a run says it was given."""

from __future__ import annotations

import json

from mlflow.entities import Dataset, DatasetInput, InputTag

from pipelines.trials.record import Description

VIEW = "main"
"""Key of the view: .../#/experiments/<id>/runs?viewStateShareKey=main opens on it."""

COLUMNS = (
    "attributes.`Dataset`", "attributes.`Models`", "tags.`configuration`", "params.`seed`",
    "metrics.`test/per_image/dice`", "metrics.`test/reference/cb_dice`", "metrics.`test/macro/f1`",
    "metrics.`test/macro/accuracy`", "params.`precision`", "tags.`precision`", "tags.`device`",
)  # fmt: skip

EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # otherwise its page may open on a view for language models
    f"mlflow.sharedViewState.{VIEW}": json.dumps({"selectedColumns": COLUMNS}),
}


def view_address(experiment: str) -> str:
    """Where MLflow shows an experiment's runs with the columns that matter, from the server's own address on."""
    return f"#/experiments/{experiment}/runs?viewStateShareKey={VIEW}"


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
        digest=trial.data_checksum[:36],
        source_type="local",
        source=json.dumps({"uri": f"data/arrays/{trial.spec.dataset}"}),
        profile=json.dumps(profile),
    )
    return [DatasetInput(dataset, [InputTag("mlflow.data.context", "training, validation and test")])]
