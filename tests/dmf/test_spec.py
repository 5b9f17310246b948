"""Specs, seeds and fingerprints: what makes two trials the same one."""

from __future__ import annotations

import ast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy import toy_spec

from dmf import fingerprint
from dmf.fingerprint import code_fingerprint
from dmf.seeding import derive_seed, trial_seed
from dmf.spec import TrialSpec


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
        ({"split": "fold"}, "`split` must be default, grouped, stratified, random, official, fold:.*Found 'fold'"),
        ({"split": "fold:0 "}, "`split` must be default"),
        ({"optimizer": "lion"}, "one of adam, adamw, sgd"),
        ({"loss_params": {"focal": {}}}, "the name of a loss of this trial"),
    ],
)
def test_values_out_of_range_are_refused_by_name(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        toy_spec(**changes)


def test_the_identifier_changes_with_the_spec_the_data_and_the_code() -> None:
    spec = toy_spec()
    identifiers = {
        spec.identifier("data", "code"),
        toy_spec(seed=1).identifier("data", "code"),
        spec.identifier("other data", "code"),
        spec.identifier("data", "other code"),
    }
    assert len(identifiers) == 4
    assert spec.identifier("data", "code") == toy_spec().identifier("data", "code")
    assert spec.identifier("data", "code") == TrialSpec.from_dict(spec.to_dict()).identifier("data", "code")


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


@pytest.fixture
def edited(monkeypatch: pytest.MonkeyPatch):
    """Fingerprint of a spec as it would be if a module's source were edited."""

    def fingerprint_after(spec: TrialSpec, module: str, old: str, new: str) -> str:
        source = fingerprint._sources()[module].read_text()
        assert old in source
        original = fingerprint._normal_form
        tree = ast.parse(source.replace(old, new, 1))
        changed = fingerprint.without_docstrings(tree)
        with monkeypatch.context() as patch:
            patch.setattr(fingerprint, "_normal_form", lambda name: changed if name == module else original(name))
            return code_fingerprint(spec)

    return fingerprint_after


def test_a_docstring_or_comment_leaves_finished_trials_valid(edited) -> None:
    spec = toy_spec()
    assert edited(spec, "dmf.train", '"""One trial:', '"""A single trial:') == code_fingerprint(spec)


def test_a_changed_line_does_not(edited) -> None:
    spec = toy_spec()
    assert edited(spec, "dmf.train", "self.epochs_done = 0", "self.epochs_done = 1") != code_fingerprint(spec)


def test_code_of_a_weighting_that_is_not_used_does_not_count() -> None:
    modules = {
        name: fingerprint.counted_modules(toy_spec(weighting=name, weighting_params={})) for name in ("fixed", "dwa")
    }
    from dmf.weightings import WEIGHTINGS

    assert WEIGHTINGS["dwa"].__module__ in modules["dwa"]
    assert WEIGHTINGS["dwa"].__module__ not in modules["fixed"]
    assert "dmf.train" in modules["fixed"] & modules["dwa"]


def test_parts_that_models_share_count_when_a_named_model_needs_them() -> None:
    def models(name: str) -> set[str]:
        counted = fingerprint.counted_modules(toy_spec(model=name))
        return {module.removeprefix("dmf.models.") for module in counted if module.startswith("dmf.models.")}

    assert models("unet") == {"registry", "unet"}
    assert models("unet_classic") == {"registry", "unet_classic", "ushape", "layers"}
    assert models("unet_classifier") == models("unet_classic") | {"unet_classifier"}
    assert models("swin_unet") == {"registry", "swin_unet", "layers", "pretrained"}
    assert models("smp:unet/resnet18") == models("timm:vgg16") == {"registry", "libraries", "layers", "pretrained"}


def test_code_of_activations_counts_when_a_trial_names_one() -> None:
    def activations(name: str | None) -> set[str]:
        counted = fingerprint.counted_modules(toy_spec(activation=name))
        return {module.removeprefix("dmf.activations.") for module in counted if module.startswith("dmf.activations.")}

    assert activations(None) == set()
    assert activations("jacobi") == {"registry", "series", "jacobi"}
