"""Docstrings of `dmf`: their examples are true, and whoever meets a component finds one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from types import FunctionType

import pytest
import torch

import dmf
from dmf import metrics
from dmf.activations import ACTIVATIONS
from dmf.losses import VARIANTS
from dmf.weightings import WEIGHTINGS

MODULES = [dmf.__name__, *(module.name for module in pkgutil.walk_packages(dmf.__path__, "dmf."))]
MEASURES = [item for item in vars(metrics).values() if inspect.isfunction(item)]
COMPONENTS = {
    component.__qualname__: component
    for component in (
        *(loss for registry in VARIANTS.values() for loss in registry.values()),
        *WEIGHTINGS.values(),
        *ACTIVATIONS.values(),
        *metrics.PROTOCOLS.values(),
        *MEASURES,
        dmf.build_loss,
        dmf.build_weighting,
        dmf.build_activation,
        dmf.build_model,
        dmf.DynamicMemoryFusion,
    )
}


@pytest.mark.parametrize("name", MODULES)
def test_every_example_is_true(name: str) -> None:
    if name == "dmf.weightings.scalarization":
        pytest.importorskip("torchjd")
    result = doctest.testmod(importlib.import_module(name), extraglobs={"torch": torch})
    assert result.failed == 0, "see the captured output"


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_shows_an_example_with_its_result(name: str) -> None:
    examples = doctest.DocTestParser().get_examples(COMPONENTS[name].__doc__ or "")
    assert any(example.want for example in examples), f"{name} needs a `>>>` example in its docstring"


@pytest.mark.parametrize("name", MODULES)
def test_every_public_method_says_what_it_does_or_inherits_it(name: str) -> None:
    """`ruff` does not see what is inherited, so its rule for methods (D102) is this one."""
    module = importlib.import_module(name)
    silent = {
        f"{cls.__qualname__}.{method}"
        for cls in vars(module).values()
        if inspect.isclass(cls) and cls.__module__ == name and not cls.__name__.startswith("_")
        for method, member in vars(cls).items()
        if not method.startswith("_") and isinstance(member, FunctionType | property | staticmethod | classmethod)
        if not inspect.getdoc(getattr(cls, method))
    }
    assert not silent
