"""Augmentation: the same picture whatever the batch, draws as they should be distributed, masks that move along."""

from __future__ import annotations

import cmath
import colorsys
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmf import draws
from dmf.training.augment import Augmentation, Augmenter, add_noise, as_float
from dmf.training.seeding import derive_seed
from dmf.training.trial import Trial
from tests.support.toy import EVERYTHING, toy_data, toy_labels, toy_spec, toy_volumes

stats = pytest.importorskip("scipy.stats")

CPU = torch.device("cpu")


def augmenter(seed: int = 0, **values: float) -> Augmenter:
    built = Augmenter(Augmentation.parse(values), CPU)
    built.begin(seed)
    return built


def of_every_kind():
    return {"flat": toy_data(), "volumes": toy_volumes(images=24), "labels": toy_labels()}


@pytest.mark.parametrize("kind", ["flat", "volumes", "labels"])
@given(rows=st.lists(st.integers(0, 23), min_size=1, max_size=40), seed=st.integers(0, 2**63 - 1))
@settings(max_examples=15)
def test_a_picture_is_the_same_in_every_batch(kind: str, rows: list[int], seed: int) -> None:
    data = of_every_kind()[kind]
    augment = augmenter(seed, **EVERYTHING, **({"depth_flip": 0.5} if kind == "volumes" else {}))
    everything = torch.arange(24)
    pictures, targets = augment(*data.read(everything), everything)
    some_pictures, some_targets = augment(*data.read(torch.tensor(rows)), torch.tensor(rows))
    assert torch.equal(some_pictures, pictures[rows])
    assert torch.equal(some_targets, targets[rows])


@pytest.mark.parametrize("kind", ["flat", "volumes", "labels"])
def test_nothing_asked_for_changes_nothing(kind: str) -> None:
    data, rows = of_every_kind()[kind], torch.arange(24)
    pictures, targets = augmenter()(*data.read(rows), rows)
    assert torch.equal(pictures, data.images.float() / 255)
    assert torch.equal(targets, data.targets)


def test_the_table_of_intensities_is_exact_where_it_changes_nothing() -> None:
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    # A gamma so small that every power rounds to the intensity itself.
    pictures, _ = augmenter(gamma=1e-12)(images, images[:, 0], torch.tensor([0]))
    assert torch.equal(pictures, as_float(images))


def test_epochs_and_images_differ() -> None:
    data, rows = toy_data(), torch.arange(24)
    same = data.images[:1].expand(24, -1, -1, -1)
    one, _ = augmenter(1, **EVERYTHING)(same, data.targets, rows)
    other, _ = augmenter(2, **EVERYTHING)(same, data.targets, rows)
    assert all(not torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert all(not torch.equal(one[i], one[j]) for i in range(24) for j in range(i))


@pytest.mark.parametrize(("name", "axis"), [("horizontal_flip", -1), ("vertical_flip", -2), ("depth_flip", -3)])
def test_a_certain_flip_mirrors_image_and_mask(name: str, axis: int) -> None:
    data, rows = toy_volumes(), torch.arange(8)
    pictures, targets = augmenter(**{name: 1.0})(*data.read(rows), rows)
    assert torch.equal(pictures, as_float(data.images.flip(axis)))
    assert torch.equal(targets, data.targets.flip(axis))


@pytest.mark.parametrize("kind", ["flat", "volumes"])
@pytest.mark.parametrize(("name", "axis"), [("horizontal_flip", -1), ("vertical_flip", -2)])
def test_flips_come_before_the_turn(kind: str, name: str, axis: int) -> None:
    data, rows = of_every_kind()[kind], torch.arange(24)
    found = augmenter(4, rotation=40, scale=0.3, **{name: 1.0})(*data.read(rows), rows)
    expected = augmenter(4, rotation=40, scale=0.3)(data.images.flip(axis), data.targets.flip(axis), rows)
    torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=0)
    assert torch.equal(found[1], expected[1])


def test_flat_images_have_no_depth_to_flip() -> None:
    data, rows = toy_data(), torch.arange(24)
    with pytest.raises(ValueError, match="`depth_flip` of the augmentation needs volumes"):
        augmenter(depth_flip=0.5)(*data.read(rows), rows)


@pytest.mark.parametrize("kind", ["flat", "volumes"])
def test_masks_move_with_their_images(kind: str) -> None:
    data, rows = of_every_kind()[kind], torch.arange(24)
    of_mask = 255 * data.targets[:, None]  # the mask as a picture of itself
    pictures, targets = augmenter(3, horizontal_flip=0.5, vertical_flip=0.5, rotation=40, scale=0.3)(
        of_mask, data.targets, rows
    )
    assert not torch.equal(targets, data.targets)
    inside = (pictures[:, 0] - targets).abs()
    assert float(inside.max()) <= 0.75 + 1e-6, "of four pixels that are interpolated the nearest has a quarter or more"
    assert set(targets.unique().tolist()) == {0, 1}


def test_a_quarter_turn_is_a_quarter_turn() -> None:
    # sin and cos at ±90 degrees: a draw near an end of its range, so take the image whose draw is nearest to it.
    rows = torch.arange(20000)
    even = draws.uniform(torch.tensor(0), rows[:, None], torch.arange(9))[:, 6]
    row = even.argmax()[None]
    image = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8)
    pictures, _ = augmenter(rotation=90.0)(image, image[:, 0], row)
    angle = math.radians(90) * (2 * float(even[row]) - 1)
    assert angle == pytest.approx(math.pi / 2, abs=1e-3)
    torch.testing.assert_close(pictures * 255, image.float().rot90(-1, (2, 3)), atol=0.2, rtol=0)


def test_intensities_follow_their_formulas() -> None:
    data, rows = toy_data(), torch.arange(24)
    even = draws.uniform(torch.tensor(5), rows[:, None], torch.arange(9))
    found, _ = augmenter(5, contrast=0.3, brightness=0.2, gamma=0.5)(*data.read(rows), rows)
    images = data.images.double() / 255
    factor, offset, power = (2 * even[:, column].view(-1, 1, 1, 1) - 1 for column in (3, 4, 5))
    mean = images.mean((1, 2, 3), keepdim=True)
    expected = ((images - mean) * (1 + 0.3 * factor) + mean + 0.2 * offset).clamp(0, 1) ** (1.5**power)
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=0)


def test_a_crop_is_a_window_of_the_image_enlarged_to_its_size() -> None:
    """On a ramp, interpolation is exact: `x + 16 y` of the window's pixels, which never leave the image."""
    ramp = (torch.arange(16)[None, :] + 8 * torch.arange(16)[:, None]).to(torch.uint8)
    rows = torch.arange(50)
    even = draws.uniform(torch.tensor(5), rows[:, None], torch.arange(14))
    images = ramp.expand(50, 1, 16, 16)
    found, _ = augmenter(5, crop=0.4)(images, images[:, 0], rows)
    share = 1 - 0.4 * even[:, 9, None]
    y, x = ((torch.arange(16) * share) + even[:, column, None] * (1 - share) * 15 for column in (10, 11))
    expected = x[:, None, :] + 8 * y[:, :, None]
    torch.testing.assert_close(255 * found[:, 0].double(), expected, atol=1e-3, rtol=0)
    assert float(share.min()) < 0.65


def test_a_crop_of_the_mask_is_that_of_the_image() -> None:
    data, rows = toy_data(), torch.arange(24)
    pictures, targets = augmenter(3, crop=0.5)(255 * data.targets[:, None], data.targets, rows)
    assert not torch.equal(targets, data.targets)
    assert float((pictures[:, 0] - targets).abs().max()) <= 0.75 + 1e-6


def test_colours_are_turned_and_lengthened_in_yiq() -> None:
    rows = torch.arange(30)
    images = torch.randint(0, 256, (30, 3, 2, 2), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    even = draws.uniform(torch.tensor(7), rows[:, None], torch.arange(14)).tolist()
    found, _ = augmenter(7, saturation=0.5, hue=0.2)(images, images[:, 0], rows)
    for row in range(30):
        factor, turned = 1 + 0.5 * (2 * even[row][12] - 1), 0.2 * (2 * even[row][13] - 1)
        y, i, q = colorsys.rgb_to_yiq(*(images[row, :, 0, 1].double() / 255).tolist())
        chroma = complex(i, q) * cmath.rect(factor, 2 * math.pi * turned)
        expected = colorsys.yiq_to_rgb(y, chroma.real, chroma.imag)
        assert found[row, :, 0, 1].tolist() == pytest.approx(expected, abs=1e-5)


def test_grey_stays_grey_whatever_the_colours_do() -> None:
    grey = toy_data().images[:, :1].expand(-1, 3, -1, -1)
    found, _ = augmenter(saturation=1.0, hue=0.5)(grey, grey[:, 0], torch.arange(24))
    torch.testing.assert_close(found, as_float(grey), atol=1e-6, rtol=0)


def test_only_pictures_with_three_channels_have_colours() -> None:
    data, rows = toy_data(), torch.arange(24)
    with pytest.raises(ValueError, match=r"`saturation` and `hue` of the augmentation need images with 3 channels"):
        augmenter(hue=0.1)(data.images[:, :1], data.targets, rows)


def test_draws_are_uniform_and_independent() -> None:
    even = draws.uniform(torch.tensor(derive_seed("a", 1)), torch.arange(4000)[:, None], torch.arange(14)).numpy()
    other = draws.uniform(torch.tensor(derive_seed("a", 2)), torch.arange(4000)[:, None], torch.arange(14)).numpy()
    for column in even.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    together = np.concatenate([even, other, even[1:].tolist() + even[:1].tolist()], axis=1)
    correlation = np.corrcoef(together.T) - np.eye(42)
    assert np.abs(correlation).max() < 5 / math.sqrt(4000)


def test_noise_is_normal_and_independent() -> None:
    noise = draws.noise(torch.tensor(9), torch.arange(8), 40_000).numpy()
    assert np.abs(noise).max() < 4.33
    for row in noise:
        assert stats.kstest(row, "norm").pvalue > 1e-4
        assert abs(np.corrcoef(row[1:], row[:-1])[0, 1]) < 5 / math.sqrt(40_000)
    halves = np.concatenate([noise[:, :20_000], noise[:, 20_000:]])
    assert np.abs(np.corrcoef(halves) - np.eye(16)).max() < 5 / math.sqrt(20_000)
    assert np.abs(noise.mean(1)).max() < 5 / math.sqrt(40_000)
    assert noise.std(1) == pytest.approx(np.ones(8), abs=0.02)


def test_draws_are_those_of_the_hash_in_whole_numbers() -> None:
    def mix(value: int) -> int:
        value &= 0xFFFFFFFF
        value = (value ^ value >> 16) * 0x21F0AAAD & 0xFFFFFFFF
        value = (value ^ value >> 15) * 0x735A2D97 & 0xFFFFFFFF
        return value ^ value >> 15

    seed, steps = 2**63 - 25, [0, 7, 2**31, 2**40 + 1]
    keys = [mix(mix(seed) + step) for step in steps]
    even = draws.uniform(torch.tensor(seed), torch.tensor(steps)[:, None], torch.arange(5))
    assert even.tolist() == [[(mix(key + index) + 0.5) / 2**32 for index in range(5)] for key in keys]
    hashed = [[mix(key ^ mix(pair)) for pair in range(3)] for key in keys]
    levels = [[half for value in row for half in (value & 0xFFFF, value >> 16)][:5] for row in hashed]
    quantiles = stats.norm.ppf((np.array(levels) + 0.5) / 65536)
    np.testing.assert_allclose(draws.noise(torch.tensor(seed), torch.tensor(steps), 5), quantiles, rtol=1e-5)


def test_noise_has_the_deviation_that_was_asked_for_and_stays_in_range() -> None:
    grey = torch.full((4, 1, 64, 64), 0.5)
    found = add_noise(grey, torch.tensor([0.0, 0.01, 0.1, 1.0]), torch.tensor(3), torch.arange(4))
    assert torch.equal(found[0], grey[0])
    assert float(found[1].std()) == pytest.approx(0.01, rel=0.05)
    assert float(found[2].std()) == pytest.approx(0.1, rel=0.05)
    assert 0 == float(found[3].min()) < float(found[3].max()) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"flip": 0.5}, "has no parameter `flip`. It takes horizontal_flip, vertical_flip"),
        ({"noise": -0.1}, "`noise` of the augmentation must be from 0 to 1. Found -0.1"),
        ({"rotation": 400}, "`rotation` of the augmentation must be from 0 to 180"),
        ({"gamma": math.inf}, "`gamma` of the augmentation must be a number of at least 0"),
        ({"scale": 1.0}, "`scale` of the augmentation must be from 0 to 0.9"),
        ({"hue": 0.6}, "`hue` of the augmentation must be from 0 to 0.5"),
        ({"contrast": "much"}, "Found 'much'"),
    ],
    ids=str,
)
def test_wrong_settings_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        toy_spec(augmentation=values)


def seen(**changes: object) -> list[dict[int, torch.Tensor]]:
    """The pictures that a trial's network is shown, by their number, epoch by epoch."""
    trial, epochs = Trial(toy_spec(augmentation=EVERYTHING, **changes), toy_data()), []
    augment = trial.augment

    def look(images: torch.Tensor, targets: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pictures, moved = augment(images, targets, rows)
        epochs[-1].update(zip(rows.tolist(), pictures, strict=True))
        return pictures, moved

    look.begin = lambda seed: (epochs.append({}), augment.begin(seed))  # type: ignore[attr-defined]
    trial.augment = look  # type: ignore[assignment]
    while not trial.done:
        trial.epoch()
    return epochs


@pytest.mark.parametrize(
    "changes", [{"weighting": "fixed", "weighting_params": {}}, {"losses": ("dice",)}, {"batch_size": 5}], ids=str
)
def test_runs_stay_paired(changes: dict[str, object]) -> None:
    for one, other in zip(seen(), seen(**changes), strict=True):
        assert one.keys() == other.keys() == set(range(12))
        assert all(torch.equal(one[row], other[row]) for row in one)


def test_another_seed_sees_other_pictures_and_so_does_another_epoch() -> None:
    first, second, _ = seen()
    assert not any(torch.equal(first[row], second[row]) for row in first)
    other = seen(seed=1, epochs=1)[0]
    assert not any(torch.equal(first[row], other[row]) for row in first)
