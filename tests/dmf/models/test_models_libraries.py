"""Networks of segmentation-models-pytorch and timm, by name."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dmf.checks import UnknownName
from dmf.models import IF_AVAILABLE, PretrainedWeightsMissing, build_model, unfetched
from dmf.training.build import asks_for_pretrained

pytest.importorskip("timm")
pytest.importorskip("segmentation_models_pytorch")


@pytest.mark.parametrize(
    "name", ["smp:unetplusplus/resnet18", "smp:fpn/tu-test_convnext", "smp:segformer/mit_b0", "smp:dpt/tu-test_vit"]
)
@pytest.mark.parametrize("side", [64, 70])
def test_segmentation_networks_take_any_channels_and_size(name: str, side: int) -> None:
    model = build_model(name, 1, 3, image_size=side).eval()
    with torch.no_grad():
        assert model(torch.rand(2, 1, side, side)).shape == (2, 3, side, side)


@pytest.mark.parametrize("name", ["timm:resnet10t", "timm:test_vit", "timm:test_vit.r160_in1k", "timm:vgg11"])
@pytest.mark.parametrize("size", [(48, 48), (70, 51)])
def test_classifiers_take_any_channels_and_size(name: str, size: tuple[int, int]) -> None:
    model = build_model(name, 1, 4, image_size=size).eval()
    with torch.no_grad():
        assert model(torch.rand(2, 1, *size)).shape == (2, 4)


@pytest.mark.parametrize(
    "name", ["timm:dla34", "timm:hrnet_w18_small", "timm:xcit_nano_12_p8_224", "timm:hiera_tiny_224"]
)
@pytest.mark.parametrize("channels", [1, 4])
def test_classifiers_that_need_even_sides_take_odd_ones(name: str, channels: int) -> None:
    with torch.device("meta"):
        model = build_model(name, channels, 4, image_size=(70, 51))
        assert model(torch.empty(2, channels, 70, 51)).shape == (2, 4)


@pytest.mark.parametrize("name", ["smp:segformer/mit_b0", "smp:fpn/tu-convnext_atto", "timm:vgg16"])
def test_networks_are_built_without_memory_even_if_they_look_at_values(name: str) -> None:
    with torch.device("meta"):
        model = build_model(name, 1, 2)
    assert all(parameter.is_meta for parameter in model.parameters())


def test_padding_leaves_images_of_the_right_size_alone() -> None:
    model = build_model("smp:unet/resnet18", 1, 2).eval()
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(model(images), model.network(images))


@pytest.mark.parametrize("name", ["smp:unet/resnet18", "timm:resnet10t"])
def test_same_seed_same_weights(name: str) -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(build_model(name, 1, 2).parameters())

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smp:unet", "names no encoder. Write it as smp:<architecture>/<encoder>"),
        ("smp:unt/resnet18", "Unknown architecture 'unt'. Did you mean 'unet'"),
        ("smp:unet/resnt18", "Unknown encoder 'resnt18'. Did you mean 'resnet18'"),
        ("smp:unet/tu-resnt18", "Unknown encoder 'tu-resnt18'. Did you mean 'tu-resnet18'"),
        ("timm:vgg61", "Unknown timm classifier 'vgg61'. Did you mean .*vgg16"),
    ],
)
def test_a_misspelt_name_is_answered_with_close_ones(name: str, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        build_model(name, 1, 2)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("smp:unet/resnet18", {"decoder": 1}, "has no parameter `decoder`. It takes decoder_attention_type"),
        ("smp:unet/tu-resnet10t", {"decoder": 1}, "does not take these parameters.*'decoder'"),
        ("timm:resnet10t", {"decoder": 1}, "does not take these parameters.*'decoder'"),
        ("smp:unet/resnet18", {"encoder_weights": "imagenot"}, r"no pretrained weights 'imagenot'.*imagenet"),
    ],
)
def test_wrong_parameters_say_what_is_expected(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model(name, 1, 2, **params)


def without_network(monkeypatch: pytest.MonkeyPatch, empty: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(empty))


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("smp:unet/resnet18", {"encoder_weights": "imagenet"}),
        ("smp:fpn/tu-resnet10t", {"encoder_weights": "imagenet"}),
        ("timm:resnet10t", {"pretrained": True}),
        ("rfe_unet:resnet10t", {"pretrained": True}),
        ("swin_unet", {"pretrained": True}),
        ("transunet", {"pretrained": True}),
    ],
)
def test_weights_that_are_asked_for_and_cannot_be_had_are_an_error_with_its_remedy(
    name: str, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They were a warning that no record showed, and the report said "imagenet" of random weights."""
    without_network(monkeypatch, tmp_path)
    remedy = r"cannot be had .*Connect to the network, or fill the cache in \$HF_HOME.*`pretrained: if available`"
    with pytest.raises(ValueError, match=rf"Pretrained weights '.*' of {name} {remedy}"):
        build_model(name, 1, 2, **params)
    with pytest.raises(ValueError, match=r"`pretrained` must be one of True, False, if available\. Found 'available'"):
        build_model(name, 1, 2, **{**params, "pretrained": "available"})


def test_available_weights_need_a_name() -> None:
    with pytest.raises(ValueError, match=r"`pretrained: if available` needs `encoder_weights`\. Found none"):
        build_model("smp:unet/resnet18", 1, 2, pretrained=IF_AVAILABLE)


def test_unfetched_parameters_ask_for_nothing() -> None:
    for params in ({"encoder_weights": "imagenet"}, {"pretrained": True}, {"pretrained": IF_AVAILABLE, "depth": 2}):
        assert asks_for_pretrained(params)
        assert unfetched(params).keys() == params.keys()
        assert not asks_for_pretrained(unfetched(params))
    assert not asks_for_pretrained({"encoder_weights": None, "pretrained": True})


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("name", "side"), [("smp:pan/resnet18", 64), ("smp:pan/resnet18", 96), ("timm:inception_v3", 32)]
)
def test_images_too_small_for_a_network_are_said_to_be(name: str, side: int, device: str) -> None:
    with torch.device(device), torch.no_grad():
        model = build_model(name, 1, 2, image_size=side)
        with pytest.raises(ValueError, match=rf"{name} needs larger images: .* of {side} x {side} pixels\. Raise"):
            model(torch.zeros(2, 1, side, side))


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("smp:unet/resnet18", {"encoder_weights": "imagenet", "pretrained": IF_AVAILABLE}),
        ("timm:resnet10t", {"pretrained": IF_AVAILABLE}),
    ],
)
def test_without_a_network_it_warns_and_starts_from_the_weights_of_its_seed(
    name: str, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_network(monkeypatch, tmp_path)
    torch.manual_seed(3)
    plain = build_model(name, 1, 2)
    torch.manual_seed(3)
    with pytest.warns(PretrainedWeightsMissing, match=rf"{name} cannot be had .* random weights of its seed"):
        model = build_model(name, 1, 2, **params)
    assert not model.pretrained
    for expected, found in zip(plain.parameters(), model.parameters(), strict=True):
        assert torch.equal(expected, found)


def test_on_the_meta_device_no_weights_are_fetched() -> None:
    """So that a study can be checked without memory and without a network."""
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("error")
        build_model("smp:unet/resnet18", 1, 2, encoder_weights="imagenet")


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"need timm, which is not installed: pip install 'dynamic-memory-fusion\[models\]'"
    ):
        build_model("timm:resnet18", 1, 2)
