"""What a spec names, built: the network and the losses of a trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from dmf.activations import build_activation, replace_activations
from dmf.fusion import DynamicMemoryFusion
from dmf.losses import Loss, build_loss
from dmf.models import build_model
from dmf.training.diagnostics import RANDOM_START, Finding
from dmf.training.spec import TrialSpec


def build_network(spec: TrialSpec, in_channels: int, num_classes: int) -> nn.Module:
    """The untrained network of a trial, from the global torch generator; activations change no initial weight.

    Raises:
        UnknownName, ValueError: for names and arguments that the model or the activation does not have.
    """
    model = build_model(spec.model, in_channels, num_classes, image_size=spec.image_size, **spec.model_params)
    if spec.activation is None:
        return model
    replace_activations(model, spec.activation, **spec.activation_params)
    if not spec.output_activation:
        return model
    return nn.Sequential(model, build_activation(spec.activation, **spec.activation_params))


def asks_for_pretrained(params: Mapping[str, Any]) -> bool:
    """Whether a model with these parameters is to begin from pretrained weights."""
    return bool(params.get("encoder_weights") if "encoder_weights" in params else params.get("pretrained"))


def random_start(spec: TrialSpec, network: nn.Module) -> list[Finding]:
    """What is to be said of a network that should have begun from pretrained weights and could not."""
    pretrained = next((m.pretrained for m in network.modules() if hasattr(m, "pretrained")), False)
    if pretrained or not asks_for_pretrained(spec.model_params):
        return []
    message = f"The pretrained weights of {spec.model} could not be had; it began from random ones."
    return [Finding(RANDOM_START, 0, message)]


def build_fusion(
    spec: TrialSpec, num_classes: int, total_steps: int, ignore_index: int | None = None
) -> DynamicMemoryFusion:
    """The losses of a trial, their weighting and the auxiliary loss with its schedule over `total_steps`."""

    def loss(name: str) -> Loss:
        params = {"ignore_index": ignore_index, **spec.loss_params.get(name, {})}
        return build_loss(name, num_classes, fidelity=spec.fidelity, **params)

    return DynamicMemoryFusion(
        losses=[loss(name) for name in spec.losses],
        weighting=spec.weighting,
        weighting_params=spec.weighting_params,
        auxiliary=None if spec.auxiliary is None else loss(spec.auxiliary),
        num_classes=num_classes,
        fidelity=spec.fidelity,
        gamma0=spec.gamma0,
        tau=spec.tau,
        tick=spec.tick,
        total_steps=total_steps,
    )
