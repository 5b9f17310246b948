"""Fidelities, metrics and protocols are listed once; whatever else speaks of them follows."""

from __future__ import annotations

import pytest
import torch

from dmf.fidelity import FIDELITIES
from dmf.losses import VARIANTS
from dmf.metrics import METRICS, PROTOCOLS, confusion_counts, protocols_of, selecting_protocol, summarise
from dmf.training.selection import LAST
from dmf.training.spec import SELECTIONS
from dmf.weightings import RULES
from tests.support.toy import toy_spec


def test_losses_weightings_and_specs_know_the_same_fidelities() -> None:
    assert tuple(VARIANTS) == tuple(RULES) == FIDELITIES
    assert [toy_spec(fidelity=name).fidelity for name in FIDELITIES] == [*FIDELITIES]


def test_every_protocol_scores_one_task_and_one_of_each_selects() -> None:
    tasks = {protocol.task for protocol in PROTOCOLS.values()}
    assert sorted(name for task in tasks for name in protocols_of(task)) == sorted(PROTOCOLS)
    assert {task: selecting_protocol(task) for task in tasks} == {
        "segmentation": "reference",
        "classification": "macro",
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_epoch_can_be_chosen_by_whatever_metric_a_protocol_has(protocol: str) -> None:
    counts = confusion_counts(torch.tensor([[0, 1]]), torch.tensor([[1, 1]]), 2)
    assert set(SELECTIONS) == {LAST, *METRICS}
    assert set(METRICS) <= set(summarise(counts, protocol))
