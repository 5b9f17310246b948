"""What the papers' architectures are made of, counted by hand and by their literature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from dmf.checks import UnknownName
from dmf.models import MODELS, PretrainedWeightsMissing, build_model
from dmf.models.attention_unet import AttentionGate
from dmf.models.layers import cut, padded
from dmf.models.rfe_unet import SPPF, C2f, RFEUNet
from dmf.models.swin_unet import PatchExpanding, SwinUNet
from dmf.models.transunet import TransUNet

timm = pytest.importorskip("timm")


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def without_memory(name: str, channels: int, classes: int, **params: Any) -> nn.Module:
    with torch.device("meta"):
        return build_model(name, channels, classes, **params)


# --- parameters ---


def test_the_first_unet_has_the_parameters_of_its_figure() -> None:
    """Figure 1 of Ronneberger et al., weights and biases of every arrow."""

    def conv(fan_in: int, fan_out: int, kernel: int) -> int:
        return kernel * kernel * fan_in * fan_out + fan_out

    down = sum(conv(i, o, 3) + conv(o, o, 3) for i, o in [(1, 64), (64, 128), (128, 256), (256, 512), (512, 1024)])
    up = sum(conv(2 * o, o, 2) + conv(2 * o, o, 3) + conv(o, o, 3) for o in (64, 128, 256, 512))
    assert parameters(without_memory("unet_classic", 1, 2, batch_norm=False)) == down + up + conv(64, 2, 1)


def test_the_3d_unet_has_the_parameters_that_its_paper_states() -> None:
    """19,069,955, which leaves batch norms out; ours have a scale for each of 2,336 filters beside the bias' shift."""
    assert parameters(without_memory("unet3d", 3, 3)) == 19_069_955 + 2_336


@pytest.mark.parametrize(
    ("name", "params", "millions"),
    [
        ("unet_classic", {}, 31.04),
        ("attention_unet", {}, 34.87),
        ("transunet", {"image_size": 224}, 105.28),
        ("swin_unet", {"image_size": 224}, 27.17),
        ("rfe_unet:resnet34", {}, 25.93),
    ],
)
def test_millions_of_parameters(name: str, params: dict[str, Any], millions: float) -> None:
    """As comparisons of these networks print them; RFE U-Net's paper prints none, so this one is ours."""
    assert round(parameters(without_memory(name, 3, 2, **params)) / 1e6, 2) == millions


@pytest.mark.parametrize("encoder", ["resnet34", "resnet50", "resnet101"])
def test_resnet_encoders_are_timms(encoder: str) -> None:
    model: Any = without_memory(f"rfe_unet:{encoder}", 3, 2)
    with torch.device("meta"):
        whole = timm.create_model(encoder, num_classes=0)
    assert parameters(model.encoder) == parameters(whole)
    shapes = {name: value.shape for name, value in whole.state_dict().items()}
    assert {name: value.shape for name, value in model.encoder.state_dict().items()} == shapes


# --- parts ---


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (5, 7), (9, 10, 11)])
def test_padding_repeats_the_last_pixel_and_is_cut_off_again(size: tuple[int, ...]) -> None:
    images = torch.rand(1, 2, *size)
    seen = []

    def network(x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return 2 * x

    assert torch.equal(padded(network, images, 16), 2 * images)
    assert all(side % 16 == 0 and 0 <= side - own < 16 for side, own in zip(seen[0].shape[2:], size, strict=True))
    assert torch.equal(cut(seen[0], size), images)
    assert torch.equal(seen[0].flatten(2)[..., -1], images.flatten(2)[..., -1])


def test_an_attention_gate_dims_and_never_brightens() -> None:
    torch.manual_seed(0)
    gate = AttentionGate(4, 6, 3, spatial_dims=2)
    skip = torch.rand(2, 4, 8, 8)
    gated = gate(skip, torch.randn(2, 6, 8, 8))
    share = gated / skip
    assert share.min() > 0
    assert share.max() < 1
    torch.testing.assert_close(share, share[:, :1].expand_as(share))  # one coefficient a pixel


def test_a_closed_gate_lets_nothing_of_the_skip_through() -> None:
    model: Any = build_model("attention_unet", 1, 2, base_filters=4, depth=1).eval()
    nn.init.constant_(model.up[0].gate.score[1].bias, -100.0)
    skip = torch.rand(1, 4, 8, 8)
    assert model.up[0].gate(skip, torch.rand(1, 4, 8, 8)).abs().max() < 1e-30


def test_chained_pools_see_5_9_and_13_pixels() -> None:
    block = SPPF(2)
    block.reduce, block.join = nn.Identity(), nn.Identity()  # type: ignore[assignment]
    image = torch.zeros(1, 1, 21, 21)
    image[..., 10, 10] = 1
    seen = block(image)
    assert [int(scale.sum()) for scale in seen[0]] == [1, 25, 81, 169]


def test_c2f_joins_both_halves_and_every_bottleneck() -> None:
    block = C2f(6, 8, bottlenecks=3)
    assert block.join[0].in_channels == (2 + 3) * 4
    assert block(torch.rand(2, 6, 5, 5)).shape == (2, 8, 5, 5)


def test_each_rfe_skip_sees_its_stage_and_the_next() -> None:
    model: Any = without_memory("rfe_unet:resnet34", 3, 2)
    assert [(s.of_fine.join[0].out_channels, s.of_coarse.join[0].out_channels) for s in model.skips] == [
        (64, 64),
        (64, 128),
        (128, 256),
        (256, 512),
    ]


def test_patch_expanding_lays_a_pixel_out_as_a_square() -> None:
    expand = PatchExpanding(4, 1, factor=2)
    expand.norm = nn.Identity()  # type: ignore[assignment]
    nn.init.eye_(expand.expand.weight)
    pixels = torch.arange(24.0).reshape(1, 2, 3, 4)
    expected = torch.tensor([[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]])
    assert torch.equal(expand(pixels)[0, :2, :, 0].long(), expected)


def test_swin_shifts_every_second_block_unless_one_window_holds_the_map() -> None:
    model: Any = without_memory("swin_unet", 3, 2, image_size=224)
    shifts = [[block.shift_size for block in stage.blocks] for stage in model.down]
    assert shifts == [[(0, 0), (3, 3)]] * 3 + [[(0, 0), (0, 0)]]
    assert {block.window_size for stage in model.down for block in stage.blocks} == {(7, 7)}


def test_transunet_interpolates_its_positions_for_another_size() -> None:
    small = {"width": 8, "blocks": (1, 1, 1), "dim": 16, "depth": 1, "heads": 2, "decoder": (8, 8, 8, 8)}
    model: Any = build_model("transunet", 1, 2, image_size=(64, 32), **small).eval()
    assert model.encoder.position.shape == (1, 4 * 2, 16)
    constant = torch.full_like(model.encoder.position, 3.0)
    with torch.no_grad():
        model.encoder.position.copy_(constant)
        moved = build_model("transunet", 1, 2, image_size=96, **small).eval()
        weights = {**model.state_dict(), "encoder.position": torch.full((1, 36, 16), 3.0)}
        moved.load_state_dict(weights)
        image = interpolate(torch.rand(1, 1, 6, 6), size=(96, 96))
        torch.testing.assert_close(model(image), moved(image), rtol=1e-4, atol=1e-5)


# --- what is refused, and weights that cannot be had ---


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("unet_classic", {"depth": 0}, r"`depth` must be at least 1\. Found 0"),
        ("unet_classic", {"spatial_dims": 4}, r"`spatial_dims` must be 2 or 3\. Found 4"),
        ("transunet", {"heads": 5}, r"`heads` must be a divisor of `dim` = 768\. Found 5"),
        ("transunet", {"decoder": (8, 8)}, r"`decoder` must be 4 counts of at least 1\. Found \[8, 8\]"),
        ("transunet", {"depth": 2, "pretrained": True}, r"`pretrained` needs the default width.*'depth': 2"),
        ("swin_unet", {"heads": (5, 6, 12, 24)}, r"`heads` must be divisors of the stages' channels 96, 192, 384, 768"),
        ("swin_unet", {"depths": (2,)}, r"`depths` must be at least 2 counts of at least 1\. Found \[2\]"),
        ("swin_unet", {"window": 0}, r"`window` must be at least 1\. Found 0"),
        ("swin_unet", {"dim": 48, "pretrained": True}, r"`pretrained` needs the default `dim`.*Found 48"),
        ("rfe_unet", {}, "Write the name as rfe_unet:<encoder>, for example rfe_unet:resnet34"),
        ("rfe_unet:convnext_tiny", {}, "five stages at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size. Found 1/4"),
        ("small_cnn", {"hidden": 0}, r"`hidden` must be at least 1\. Found 0"),
    ],
)
def test_what_cannot_be_built_says_why(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        without_memory(name, 3, 2, **params)


def test_an_unknown_encoder_is_answered_with_close_ones() -> None:
    with pytest.raises(UnknownName, match=r"Unknown encoder 'resnt34'\. Did you mean .*resnet34"):
        without_memory("rfe_unet:resnt34", 3, 2)


@pytest.mark.parametrize("name", ["unet_classic", "attention_unet", "unet_classifier"])
def test_an_image_too_small_is_refused_with_the_size_it_needs(name: str) -> None:
    with pytest.raises(ValueError, match=r"depth 4 needs images of at least 16 x 16 pixels\. Found 8 x 64"):
        without_memory(name, 1, 2)(torch.zeros(1, 1, 8, 64, device="meta"))


def test_a_volume_too_small_is_refused_with_the_size_it_needs() -> None:
    with pytest.raises(ValueError, match=r"at least 8 x 8 x 8 pixels\. Found 4 x 64 x 64"):
        without_memory("unet3d", 1, 2)(torch.zeros(1, 1, 4, 64, 64, device="meta"))


@pytest.mark.parametrize("name", ["swin_unet", "rfe_unet:resnet10t"])
def test_without_a_network_it_warns_and_starts_from_the_weights_of_its_seed(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    torch.manual_seed(3)
    plain = build_model(name, 1, 2)
    torch.manual_seed(3)
    with pytest.warns(PretrainedWeightsMissing, match=rf"{name} cannot be had .* random weights of its seed") as caught:
        model: Any = build_model(name, 1, 2, pretrained="if available")
    assert not model.pretrained
    assert [warning.filename for warning in caught] == [__file__]
    for expected, found in zip(plain.parameters(), model.parameters(), strict=True):
        assert torch.equal(expected, found)


def test_swin_takes_over_timms_weights_on_both_ways() -> None:
    torch.manual_seed(0)
    model: Any = build_model("swin_unet", 1, 2, image_size=64)
    donor = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=64, window_size=model.down[0].blocks[0].window_size, in_chans=1
    )
    assert isinstance(model, SwinUNet)
    model.load(donor)
    theirs = donor.layers[1].blocks[1].attn.qkv.weight
    assert torch.equal(model.down[1].blocks[1].attn.qkv.weight, theirs)
    assert torch.equal(model.up[1].blocks.blocks[1].attn.qkv.weight, theirs)
    assert torch.equal(model.embed.weight, donor.patch_embed.proj.weight)


def test_transunets_layout_is_that_of_the_weights_it_asks_for() -> None:
    """Strict in names and shapes; the values would be 0.4 GB."""
    model: Any = without_memory("transunet", 1, 2, image_size=224)
    with torch.device("meta"):
        donor = timm.create_model("vit_base_r50_s16_224", in_chans=1, img_size=224, num_classes=0)
    assert isinstance(model, TransUNet)
    model.encoder.load(donor)


def test_models_are_exported() -> None:
    assert MODELS["rfe_unet"] is RFEUNet
    assert MODELS["transunet"] is TransUNet
