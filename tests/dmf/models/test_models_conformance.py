"""What every registered model must hold to. A new model is under test as soon as it is registered, and it must be."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dmf.models import MODELS, build_model

pytest.importorskip("timm")
pytest.importorskip("segmentation_models_pytorch")


@dataclass(frozen=True)
class Case:
    """A small member of a registered family, and the images it is tried on."""

    name: str
    params: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, ...] = (32, 32)
    odd: tuple[int, ...] = (37, 51)
    classifies: bool = False

    @property
    def registered(self) -> str:
        return self.name.partition(":")[0]

    def build(self, channels: int = 3, classes: int = 3, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        return build_model(self.name, channels, classes, image_size=self.size[:2], **self.params)  # type: ignore[arg-type]

    def images(self, batch: int, channels: int = 3, size: tuple[int, ...] | None = None) -> Tensor:
        generator = torch.Generator().manual_seed(batch)
        return torch.rand(batch, channels, *(size or self.size), generator=generator)

    def logits_shape(self, batch: int, classes: int, size: tuple[int, ...]) -> tuple[int, ...]:
        return (batch, classes) if self.classifies else (batch, classes, *size)


SMALL_TRANSUNET = {"width": 8, "blocks": (1, 1, 1), "dim": 16, "depth": 1, "heads": 2, "decoder": (16, 8, 8, 4)}
SMALL_SWIN = {"dim": 8, "depths": (2, 2), "heads": (1, 2), "window": 4, "drop_path": 0.0}
CASES = [
    Case("unet", {"base_filters": 4}),
    Case("unet_classic", {"base_filters": 4, "depth": 2}),
    Case("unet_classic", {"base_filters": 4, "depth": 2, "batch_norm": False}),
    Case("unet_classic", {"base_filters": 2, "depth": 2, "spatial_dims": 3}, (8, 12, 8), (9, 7, 13)),
    Case("attention_unet", {"base_filters": 4, "depth": 2}),
    Case("attention_unet", {"base_filters": 2, "depth": 2, "spatial_dims": 3}, (8, 12, 8), (9, 7, 13)),
    Case("unet3d", {"base_filters": 2, "depth": 2}, (8, 12, 8), (9, 7, 13)),
    Case("transunet", {**SMALL_TRANSUNET, "dropout": 0.0}),
    Case("swin_unet", SMALL_SWIN, (48, 48), (37, 91)),
    Case("rfe_unet:test_resnet", {"fine_filters": 8, "bottlenecks": 1}, (64, 64)),
    Case("rfe_unet:test_resnet", {"fine_filters": 8, "skips": "plain"}, (64, 64)),
    Case("small_cnn", {"base_filters": 4, "hidden": 16}, classifies=True),
    Case("unet_classifier", {"base_filters": 4, "depth": 2}, classifies=True),
    Case("smp:unet/tu-test_resnet", {"decoder_channels": (16, 8, 8, 8, 8)}, (64, 64)),
    Case("timm:test_resnet", classifies=True),
]
every = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{len(case.size)}d-{len(case.params)}")


def loss_of(model: nn.Module, case: Case, images: Tensor) -> Tensor:
    shape = case.logits_shape(len(images), 0, case.size)
    target = torch.randint(0, 3, (shape[0], *shape[2:]), generator=torch.Generator().manual_seed(1))
    return cross_entropy(model(images), target)


def test_every_registered_model_is_under_test() -> None:
    assert {case.registered for case in CASES} == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_docstring_gives_shapes_arguments_and_errors(name: str) -> None:
    text = inspect.getdoc(MODELS[name]) or ""
    for part in ("Shapes: ", "Args:", "Raises:"):
        assert part in text, part
    parameters = inspect.signature(MODELS[name]).parameters
    for parameter in set(parameters) - {"options"}:
        assert parameter in text, parameter
    assert name in MODELS[name].usage  # type: ignore[attr-defined]


@every
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_logits_have_the_shape_of_the_images(case: Case, channels: int) -> None:
    model = case.build(channels, classes=5).eval()
    with torch.no_grad():
        for batch, size in ((2, case.size), (1, case.odd)):
            logits = model(case.images(batch, channels, size))
            assert logits.shape == case.logits_shape(batch, 5, size)
            assert logits.isfinite().all()


@every
def test_every_parameter_gets_a_finite_gradient_that_is_not_zero(case: Case) -> None:
    model, images = case.build(), case.images(4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss_of(model, case, images).backward()
    optimizer.step()  # residual branches may start from zero
    optimizer.zero_grad()
    loss_of(model, case, images).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.count_nonzero() > 0, name


@every
def test_same_seed_same_weights(case: Case) -> None:
    first, again, other = (case.build(seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@every
def test_weights_survive_a_state_dict(case: Case) -> None:
    trained, fresh = case.build(seed=1), case.build(seed=2)
    with torch.no_grad():
        trained(case.images(4))  # moves running statistics
        fresh.load_state_dict(copy.deepcopy(trained.state_dict()))
        images = case.images(1)
        assert torch.equal(trained.eval()(images), fresh.eval()(images))


@every
def test_an_image_scores_the_same_alone_and_in_a_batch(case: Case) -> None:
    model, images = case.build().eval(), case.images(3)
    with torch.no_grad():
        torch.testing.assert_close(model(images)[:1], model(images[:1]), rtol=1e-4, atol=1e-5)


@every
def test_memory_layout_does_not_change_logits(case: Case) -> None:
    layout = torch.channels_last if len(case.size) == 2 else torch.channels_last_3d
    model, images = case.build().eval(), case.images(2)
    with torch.no_grad():
        expected = model(images)
        found = model.to(memory_format=layout)(images.contiguous(memory_format=layout))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@every
def test_it_compiles_as_one_graph(case: Case) -> None:
    """Traced whole, in training. The code generator, slow and the same for all, is tested in test_models_learning."""
    model, images = case.build(), case.images(2)
    twin = copy.deepcopy(model)
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)
    torch.testing.assert_close(loss_of(compiled, case, images), loss_of(twin, case, images), rtol=1e-4, atol=1e-5)


@every
def test_it_builds_without_memory(case: Case) -> None:
    """Studies are checked on the meta device."""
    with torch.device("meta"):
        model = case.build()
        assert model(torch.empty(2, 3, *case.size)).shape == case.logits_shape(2, 3, case.size)
    assert all(parameter.is_meta for parameter in model.parameters())
