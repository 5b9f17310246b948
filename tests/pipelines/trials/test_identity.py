"""What makes two trials the same one."""

from __future__ import annotations

import ast

import pytest

from dmf.training.spec import TrialSpec
from pipelines.trials import identity
from pipelines.trials.identity import code_fingerprint
from tests.support.toy import toy_spec


@pytest.fixture
def edited(monkeypatch: pytest.MonkeyPatch):
    """Fingerprint of a spec as it would be if a module's source were edited."""

    def fingerprint_after(spec: TrialSpec, module: str, old: str, new: str) -> str:
        source = identity._sources()[module].read_text()
        assert old in source
        original = identity._normal_form
        tree = ast.parse(source.replace(old, new, 1))
        changed = identity.without_docstrings(tree)
        with monkeypatch.context() as patch:
            patch.setattr(identity, "_normal_form", lambda name: changed if name == module else original(name))
            return code_fingerprint(spec)

    return fingerprint_after


def test_a_docstring_or_comment_leaves_finished_trials_valid(edited) -> None:
    spec = toy_spec()
    assert edited(spec, "dmf.training.trial", '"""One trial:', '"""A single trial:') == code_fingerprint(spec)


def test_a_changed_line_does_not(edited) -> None:
    spec = toy_spec()
    assert edited(spec, "dmf.training.trial", "self.epochs_done = 0", "self.epochs_done = 1") != code_fingerprint(spec)


def test_code_of_a_weighting_that_is_not_used_does_not_count() -> None:
    modules = {
        name: identity.counted_modules(toy_spec(weighting=name, weighting_params={})) for name in ("fixed", "dwa")
    }
    from dmf.weightings import WEIGHTINGS

    assert WEIGHTINGS["dwa"].__module__ in modules["dwa"]
    assert WEIGHTINGS["dwa"].__module__ not in modules["fixed"]
    assert "dmf.training.trial" in modules["fixed"] & modules["dwa"]


def test_parts_that_models_share_count_when_a_named_model_needs_them() -> None:
    def models(name: str) -> set[str]:
        counted = identity.counted_modules(toy_spec(model=name))
        return {module.removeprefix("dmf.models.") for module in counted if module.startswith("dmf.models.")}

    assert models("unet") == {"registry", "unet"}
    assert models("unet_classic") == {"registry", "unet_classic", "ushape", "layers"}
    assert models("unet_classifier") == models("unet_classic") | {"unet_classifier"}
    assert models("swin_unet") == {"registry", "swin_unet", "layers", "pretrained"}
    assert models("smp:unet/resnet18") == models("timm:vgg16") == {"registry", "libraries", "layers", "pretrained"}


def test_code_of_activations_counts_when_a_trial_names_one() -> None:
    def activations(name: str | None) -> set[str]:
        counted = identity.counted_modules(toy_spec(activation=name))
        return {module.removeprefix("dmf.activations.") for module in counted if module.startswith("dmf.activations.")}

    assert activations(None) == set()
    assert activations("jacobi") == {"registry", "series", "jacobi"}
