"""The notebook's U-Net, and how models are found by name."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dmf.checks import UnknownName
from dmf.metrics import confusion_counts, summarise
from dmf.models import MODELS, UNet, build_model
from dmf.models.unet import depth_for


def unet(**params: int) -> nn.Module:
    return build_model("unet", 1, 2, **{"base_filters": 4, "image_size": 32} | params)


@pytest.mark.parametrize(("side", "depth"), [(16, 1), (32, 2), (64, 3), (128, 4), (256, 5), (100, 4), ((64, 128), 3)])
def test_it_halves_while_both_sides_exceed_eight_pixels(side: int | tuple[int, int], depth: int) -> None:
    assert depth_for(side) == depth
    assert build_model("unet", 1, 2, base_filters=1, image_size=side).depth == depth


def test_at_128_pixels_it_has_the_layers_of_the_notebook() -> None:
    """One 3x3 convolution a level, none in between, and one 1x1 at the end: hand-counted weights."""
    down = 9 * (1 * 32 + 32 * 64 + 64 * 128 + 128 * 256)
    up = 9 * (256 * 256 + 512 * 128 + 256 * 64 + 128 * 32)
    norms = 2 * 2 * (32 + 64 + 128 + 256)
    head = 64 * 2 + 2
    assert sum(p.numel() for p in build_model("unet", 1, 2).parameters()) == down + up + norms + head


def test_its_bottom_is_eight_pixels_wide() -> None:
    model = build_model("unet", 1, 2, base_filters=1, image_size=128)
    seen: list[tuple[int, ...]] = []
    model.up[-1].upsample.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].shape))
    model(torch.zeros(1, 1, 128, 128))
    assert seen == [(1, 8, 8, 8)]


@pytest.mark.parametrize("size", [(32, 32), (33, 32), (37, 51), (4, 4), (64, 8)])
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 5)])
def test_logits_have_the_size_of_the_image(size: tuple[int, int], channels: int, classes: int) -> None:
    model = build_model("unet", channels, classes, base_filters=4, image_size=32)
    assert model(torch.rand(2, channels, *size)).shape == (2, classes, *size)


def test_too_small_an_image_is_refused_with_the_size_it_needs() -> None:
    with pytest.raises(ValueError, match=r"at least 16 x 16 pixels\. Found 8 x 64"):
        unet(depth=4)(torch.zeros(1, 1, 8, 64))


def test_same_seed_same_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(unet().parameters())

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_initial_values_are_those_of_keras() -> None:
    """Glorot: uniform within sqrt(6 / (fan in + fan out)), whose standard deviation is that bound over sqrt 3."""
    torch.manual_seed(0)
    model = build_model("unet", 1, 2)
    for convolution in (model.down[3][0], model.up[3].upsample):
        weight = convolution.weight.detach()
        bound = math.sqrt(6 / (9 * (weight.shape[0] + weight.shape[1])))
        assert weight.abs().max() <= bound
        assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert model.head.bias.count_nonzero() == 0
    assert {module.eps for module in model.modules() if isinstance(module, nn.BatchNorm2d)} == {1e-3}


def test_every_parameter_gets_a_gradient() -> None:
    model = unet()
    target = torch.randint(0, 2, (4, 32, 32))
    F.cross_entropy(model(torch.rand(4, 1, 32, 32)), target).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.count_nonzero() > 0, name


def test_channels_last_gives_the_same_logits() -> None:
    model, images = unet().eval(), torch.rand(2, 1, 32, 32)
    expected = model(images)
    model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)


def test_it_learns_to_find_a_bright_disc() -> None:
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    centres = torch.randint(8, 24, (16, 2, 1, 1), generator=generator)
    masks = ((rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2 < 36).long()
    images = 0.4 * masks[:, None] + 0.5 * torch.rand(16, 1, 32, 32, generator=generator)
    torch.manual_seed(0)
    model = unet()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(model(images), masks).backward()
        optimizer.step()
    counts = confusion_counts(model.eval()(images).argmax(1), masks, 2)
    assert summarise(counts)["dice"] > 0.9


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"Unknown model 'unett'\. Did you mean 'unet'\? Known: .*smp.*timm.*unet"):
        build_model("unett", 1, 2)
    assert MODELS["unet"] is UNet


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("unet", {"filters": 8}, "'filters'.*its parameters are base_filters, image_size, depth, momentum"),
        ("unet:big", {}, "Write the name as unet;"),
        ("smp", {}, "Write the name as smp:<architecture>/<encoder>"),
        ("timm", {}, "Write the name as timm:<classifier>"),
        ("unet", {"depth": 0}, r"`depth` must be at least 1\. Found 0"),
        ("unet", {"base_filters": 0}, r"`base_filters` must be at least 1\. Found 0"),
        ("unet", {"image_size": 8}, r"`depth` must be at least 1\. Found 0"),
    ],
)
def test_wrong_names_and_parameters_say_what_is_expected(name: str, params: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model(name, 1, 2, **params)


@pytest.mark.slow
def test_nothing_beyond_torch_and_numpy_is_imported() -> None:
    script = (
        "import sys, dmf.models, dmf.metrics; print(*{'timm', 'segmentation_models_pytorch', 'scipy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
