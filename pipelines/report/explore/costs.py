"""What a configuration costs: the time of a training and the numbers that its network learns."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch

from dmf.models import unfetched
from dmf.training.build import build_network
from dmf.training.spec import TrialSpec
from pipelines.report.data import DataFacts
from pipelines.report.layout import Row


def costs(rows: Sequence[Row], facts: DataFacts) -> list[dict[str, Any]]:
    """Mean seconds of a trial and parameters of the network, of each row."""
    counted: dict[str, int | None] = {}
    found = []
    for row in rows:
        spec = row.spec
        network = (spec.model, spec.model_params, spec.activation, spec.activation_params, spec.image_size)
        key = json.dumps(network, sort_keys=True)
        if key not in counted:
            counted[key] = count_parameters(spec, facts.originals.shape[1], len(facts.classes))
        seconds = fmean(record.seconds for record in row.records)
        found.append({"seconds": round(seconds, 2), "parameters": counted[key]})
    return found


def count_parameters(spec: TrialSpec, channels: int, classes: int) -> int | None:
    """Numbers that a network learns; None where today's code cannot build the network of a record."""
    fresh = dataclasses.replace(spec, model_params=unfetched(spec.model_params))
    try:
        with torch.device("meta"):
            network = build_network(fresh, channels, classes)
    except (LookupError, RuntimeError, TypeError, ValueError):
        return None
    return sum(parameter.numel() for parameter in network.parameters())
