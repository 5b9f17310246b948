"""Specs and seeds: what makes two trials the same one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dmf.training.seeding import derive_seed, trial_seed
from dmf.training.spec import TrialSpec
from tests.support.toy import toy_spec


def test_a_spec_survives_json() -> None:
    spec = toy_spec(loss_params={"dice": {"smooth": 1.0}})
    assert TrialSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"losses": ()}, "`losses` must be at least one loss"),
        ({"losses": ("dice", "dice")}, "each loss once"),
        ({"epochs": 0}, "`epochs` must be at least 1. Found 0"),
        ({"batch_size": -1}, "`batch_size` must be at least 1. Found -1"),
        ({"learning_rate": 0.0}, "`learning_rate` must be more than 0"),
        ({"schedule": "cosine"}, "one of constant, poly"),
        ({"schedule_power": -1}, "`schedule_power` must be at least 0"),
        ({"tau": -0.1}, "`tau` must be at least 0"),
        ({"seed": -1}, "`seed` must be 0 to"),
        ({"fidelity": "exact"}, "one of paper, reference, stable"),
        ({"split": "random:<seed>"}, "`split` must be a name such as grouped or fold:3. Found 'random:<seed>'"),
        ({"split": "fold:0 "}, "`split` must be a name such as grouped or fold:3. Found 'fold:0 '"),
        ({"split": "../cases"}, "`split` must be a name"),
        ({"split": ""}, "`split` must be a name"),
        ({"output_activation": True}, "`output_activation` must be false where no `activation` is named"),
        ({"optimizer": "lion"}, "one of adam, adamw, sgd"),
        ({"loss_params": {"focal": {}}}, "the name of a loss of this trial"),
    ],
)
def test_values_out_of_range_are_refused_by_name(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        toy_spec(**changes)


@pytest.mark.parametrize("split", ["default", "grouped", "fold:12", "random:7", "by_site", "leave_out:site_3"])
def test_a_split_is_any_name_that_the_data_may_know(split: str) -> None:
    assert toy_spec(split=split).split == split


@given(st.integers(0, 2**32 - 1), st.sampled_from(["variance", "mad"]), st.sampled_from([None, "focal"]))
def test_seeds_depend_on_seed_data_set_and_model_alone(seed: int, weighting: str, auxiliary: str | None) -> None:
    changes = {"weighting": weighting, "auxiliary": auxiliary, "learning_rate": 0.5, "split": "fold:3"}
    one, other = toy_spec(seed=seed), toy_spec(seed=seed, **changes)
    assert trial_seed(one, "weights") == trial_seed(other, "weights")
    assert trial_seed(one, "weights") != trial_seed(one, "order")
    assert trial_seed(one, "weights") != trial_seed(toy_spec(seed=seed, dataset="another"), "weights")


def test_derived_seeds_fit_torchs_generator() -> None:
    assert all(0 <= derive_seed("x", n) < 2**63 for n in range(100))
    torch.Generator().manual_seed(derive_seed("x", 1))
