"""Libraries that may be missing, names that may be misspelt, and weights that may not be had."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import nn

from dmf.checks import require_choice

Network = TypeVar("Network", bound=nn.Module)

IF_AVAILABLE = "if available"
"""What `pretrained` is where random weights will do if the pretrained ones cannot be had."""

_NOWHERE = {"pretrained": False, "encoder_weights": None}


class PretrainedWeightsMissing(UserWarning):
    """Pretrained weights were to be had if available, and are not; the network starts from random ones instead."""


def unfetched(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a model whose weights will be others anyway, or do not matter: nothing is fetched for it.

    >>> unfetched({"pretrained": "if available", "depth": 3})
    {'pretrained': False, 'depth': 3}
    """
    return {name: _NOWHERE.get(name, value) for name, value in params.items()}


def with_pretrained(
    build: Callable[[str | None], Network], weights: str, name: str, pretrained: bool | str, *, stacklevel: int = 4
) -> tuple[Network, bool]:
    """The model and whether it is pretrained.

    Args:
        build: The model with the weights of that name, or with none.
        weights: The name.
        name: Of the model.
        pretrained: Whether to begin from the weights; `IF_AVAILABLE` to do so where they can be had, and where they
            cannot, from the random ones that False would give.
        stacklevel: Of the warning, so that it names the line that builds the model.

    Raises:
        ValueError: for parameters that the model does not take, weights that it does not have, or that cannot be had.

    Warns:
        PretrainedWeightsMissing: in the place of the error, if available ones were asked for.
    """
    require_choice("pretrained", pretrained, (True, False, IF_AVAILABLE))
    # On the meta device there are shapes and no values, so there is nothing to download.
    if torch.get_default_device().type == "meta":
        return _without_values(build, name), False
    before = torch.get_rng_state()
    try:
        return build(weights if pretrained else None), bool(pretrained)
    except OSError as error:
        torch.set_rng_state(before)
        cause = f"({type(error).__name__}: {str(error).partition(chr(10))[0]})"
        found = f"Pretrained weights {weights!r} of {name} cannot be had {cause}."
        remedy = "Connect to the network, or fill the cache in $HF_HOME or $TORCH_HOME"
        if pretrained != IF_AVAILABLE:
            message = f"{found} {remedy}, or begin from random weights without them with `pretrained: {IF_AVAILABLE}`."
            raise ValueError(message) from error
        message = f"{found} It starts from the random weights of its seed. {remedy}."
        warnings.warn(message, PretrainedWeightsMissing, stacklevel=stacklevel)
        return build(None), False
    except (TypeError, KeyError) as error:
        raise _refused(error, weights, name) from error


def _without_values(build: Callable[[str | None], Network], name: str) -> Network:
    try:
        return build(None)
    except (TypeError, KeyError) as error:
        raise _refused(error, None, name) from error
    except RuntimeError:  # some look at values while they are built, such as the MiT encoders
        with torch.device("cpu"):
            return build(None).to("meta")


def _refused(error: TypeError | KeyError, weights: str | None, name: str) -> ValueError:
    if isinstance(error, TypeError):
        return ValueError(f"Model {name} does not take these parameters: {error}.")
    return ValueError(f"Model {name} has no pretrained weights {weights!r}: {error.args[0]}.")


def pretrained_donor(weights: str, name: str, pretrained: bool | str, **arguments: Any) -> nn.Module | None:
    """Timm's pretrained model, whose weights a model of ours takes over; None for none. As `with_pretrained`."""

    def build(wanted: str | None) -> nn.Module:
        return (
            nn.Identity() if wanted is None else importlib.import_module("timm").create_model(wanted, True, **arguments)
        )

    donor, loaded = with_pretrained(build, weights, name, pretrained, stacklevel=5)
    return donor if loaded else None


def import_library(library: str, *, needed_for: str) -> ModuleType:
    """The library, or a ModuleNotFoundError that says which models need it and how to install it."""
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Models named `{needed_for}` need {library}, which is not installed: "
            "pip install 'dynamic-memory-fusion[models]'."
        ) from error


def timm_names(wanted: str) -> list[str]:
    """Timm's names, and `wanted` itself if it is one of them with the tag of its weights."""
    timm = importlib.import_module("timm")
    return [*timm.list_models(), *([wanted] if timm.is_model(wanted) else [])]
