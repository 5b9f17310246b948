"""What a printed column measures, from the trials of a row: a score, a loss value, or what the network costs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from dmf.models import build_model, unfetched
from dmf.training.spec import TrialSpec
from pipelines.report.data import DataFacts
from pipelines.report.printed.sheet import Measured
from pipelines.trials.columns import EpochColumns
from pipelines.trials.record import TrialRecord

COSTS = ("gflops", "parameters")
LOSS_VALUE = "loss_value"
DEVIATION_OF_FOLDS = "deviation of folds"


def first_known(records: Sequence[TrialRecord], names: Sequence[str]) -> str | None:
    """The first of some measures that all of the trials have."""
    other = (*COSTS, LOSS_VALUE)
    return next((name for name in names if name in other or all(_score(record, name) for record in records)), None)


def measure(
    records: Sequence[TrialRecord], name: str, facts: DataFacts, scale: float, statistic: str | None = None
) -> Measured:
    """Mean and spread over trials that have the measure, on the paper's scale.

    Args:
        name: `protocol.metric`, `loss_value` (the training total of the tested epoch), `gflops` (billions of
            multiply-adds for one image, which is what the Adapt Exp paper counts) or `parameters` (millions).
        scale: Of scores; 100 for percent.
        statistic: Over the folds of a cross-validation, in the place of mean and deviation over trials.
    """
    if name in COSTS:
        parameters, gflops = cost(records[0].spec, facts)
        return Measured(gflops if name == "gflops" else parameters, math.nan, 1)
    if name == LOSS_VALUE:
        return _summarise([(record.spec.split, _loss_value(record)) for record in records], statistic)
    scores = [(record.spec.split, scale * value) for record in records for value in _score(record, name)]
    return _summarise(scores, statistic)


def cost(spec: TrialSpec, facts: DataFacts) -> tuple[float, float]:
    """Millions of parameters, and billions of multiply-adds for one image, of a trial's network.

    Counted on the meta device, where there are shapes and no values; pretrained weights cost the same.
    """
    params = dict(sorted(unfetched(spec.model_params).items()))
    sizes = (spec.image_size,) * (facts.originals.ndim - 2)
    return _cost(spec.model, json.dumps(params), (facts.originals.shape[1], *sizes), len(facts.classes))


@cache
def _cost(model: str, params: str, shape: tuple[int, ...], classes: int) -> tuple[float, float]:
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        network = build_model(model, shape[0], classes, image_size=shape[-1], **json.loads(params)).eval()
        network(torch.empty(1, *shape))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return parameters / 1e6, counter.get_total_flops() / 2e9


def _summarise(values: Sequence[tuple[str, float]], statistic: str | None) -> Measured:
    """Of values with the split that each is from."""
    if statistic is not None:
        folds = dict.fromkeys(split for split, _ in values)
        means = [float(np.mean([value for other, value in values if other == split])) for split in folds]
    else:
        means = [value for _, value in values]
    std = float(np.std(means, ddof=1)) if len(means) > 1 else math.nan
    if statistic == DEVIATION_OF_FOLDS:
        return Measured(std, math.nan, len(means))
    return Measured(float(np.mean(means)), std, len(means))


def _score(record: TrialRecord, name: str) -> list[float]:
    """The one value, or none; a metric may have a level of noise in its protocol, with a dot."""
    protocol, _, metric = name.rpartition(".")
    return [record.test[protocol][metric]] if metric in record.test.get(protocol, {}) else []


def _loss_value(record: TrialRecord) -> float:
    table = record.epoch_table
    return float(table.loc[table[EpochColumns.epoch] == record.best_epoch, EpochColumns.train_total].iloc[0])
