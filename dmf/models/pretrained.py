"""Libraries that may be missing, names that may be misspelt, and weights that may not be had."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class PretrainedWeightsMissing(UserWarning):
    """Pretrained weights were asked for and cannot be had; the network starts from random ones instead."""


def with_pretrained(
    build: Callable[[str | None], Network], weights: str | None, name: str, *, stacklevel: int = 4
) -> tuple[Network, bool]:
    """The model and whether it is pretrained; where the weights cannot be had, the model that none would have given.

    Raises:
        ValueError: for parameters that the model does not take, or weights that it does not have.

    Warns:
        PretrainedWeightsMissing: if the weights cannot be downloaded.
    """
    # On the meta device there are shapes and no values, so there is nothing to download.
    if torch.get_default_device().type == "meta":
        return _without_values(build, name), False
    before = torch.get_rng_state()
    try:
        return build(weights), weights is not None
    except OSError as error:
        torch.set_rng_state(before)
        cause = str(error).partition("\n")[0]
        warnings.warn(
            f"Pretrained weights {weights!r} of {name} cannot be had ({type(error).__name__}: {cause}). It starts from "
            "the random weights of its seed. Connect to the network, or fill the cache in $HF_HOME or $TORCH_HOME.",
            PretrainedWeightsMissing,
            stacklevel=stacklevel,
        )
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


def pretrained_donor(weights: str, name: str, **arguments: Any) -> nn.Module | None:
    """Timm's pretrained model, whose weights a model of ours takes over; None where they cannot be had.

    Warns:
        PretrainedWeightsMissing: if the weights cannot be downloaded.
    """

    def build(wanted: str | None) -> nn.Module:
        return (
            nn.Identity() if wanted is None else importlib.import_module("timm").create_model(wanted, True, **arguments)
        )

    donor, loaded = with_pretrained(build, weights, name, stacklevel=5)
    return donor if loaded else None


def import_library(library: str, *, needed_for: str) -> ModuleType:
    """The library, or a ModuleNotFoundError that says which models need it and how to install it."""
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Models named `{needed_for}` need {library}, which is not installed: pip install 'dmf[models]'."
        ) from error


def timm_names(wanted: str) -> list[str]:
    """Timm's names, and `wanted` itself if it is one of them with the tag of its weights."""
    timm = importlib.import_module("timm")
    return [*timm.list_models(), *([wanted] if timm.is_model(wanted) else [])]
