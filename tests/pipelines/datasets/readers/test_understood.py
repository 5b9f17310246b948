"""What masks mean: two classes without a word, any number of them with `values`, everything else refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.core.console import StageError
from pipelines.core.images import resize_mask
from pipelines.datasets.readers.masks import load_mask, understood
from pipelines.datasets.readers.meaning import Meaning
from tests.support.pictures import disc

TUMOUR = Meaning(("background", "liver", "tumour"), {"0": "background", "1": "liver", "2": "tumour", "255": "ignore"})
COLOURS = Meaning(("background", "liver", "tumour"), {"#000000": "background", "#ff0000": "liver", "#00ff00": "tumour"})
RED_GREEN = [0, 0, 0, 255, 0, 0, 0, 255, 0]


def spots(**places: int) -> np.ndarray:
    """8 x 8 zeros with a value at (row, column), as in `r1c2=255`."""
    pixels = np.zeros((8, 8), np.uint8)
    for place, value in places.items():
        row, column = place[1:].split("c")
        pixels[int(row), int(column)] = value
    return pixels


def trimap(size: int = 8) -> np.ndarray:
    """A lesion with a rim of unknown pixels."""
    pixels = np.zeros((size, size), np.uint8)
    pixels[size // 8 : -(size // 8), size // 8 : -(size // 8)] = 128
    pixels[size // 4 : -(size // 4), size // 4 : -(size // 4)] = 255
    return pixels


def instances(size: int = 8) -> np.ndarray:
    """Lesions numbered 6, 12, ... 180."""
    ids = np.arange(6, 181, 6)
    pixels = np.zeros((size, size), np.uint8)
    pixels.ravel()[:: max(1, size * size // len(ids))][: len(ids)] = ids
    return pixels


def stored(path: Path, pixels: np.ndarray, mode: str | None = None, **options: object) -> Path:
    picture = Image.fromarray(pixels)
    (picture if mode is None else picture.convert(mode)).save(path, **options)
    return path


def palette(path: Path, entries: np.ndarray, colours: list[int], **options: object) -> Path:
    picture = Image.fromarray(entries).convert("L")
    picture = Image.frombytes("P", picture.size, picture.tobytes())
    picture.putpalette(colours)
    picture.save(path, **options)
    return path


def refused(path: Path, meaning: Meaning | None = None) -> str:
    with pytest.raises(StageError) as caught:
        understood(path, *([meaning] if meaning else []))
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


# --- two values, and nobody said more ---


@pytest.mark.parametrize("bright", [255, 1, 128, 254])
def test_zero_and_one_other_value_are_two_classes(tmp_path: Path, bright: int) -> None:
    assert np.argwhere(understood(stored(tmp_path / "m.png", spots(r1c2=bright)))).tolist() == [[1, 2]]


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (255, 1), (1, 1)])
def test_a_mask_of_one_value_is_empty_or_full(tmp_path: Path, value: int, expected: int) -> None:
    assert (understood(stored(tmp_path / "m.png", np.full((4, 5), value, np.uint8))) == expected).all()


def test_a_bit_a_pixel_and_sixteen_are_read(tmp_path: Path) -> None:
    lit = spots(r2c3=255)
    assert np.argwhere(understood(stored(tmp_path / "bit.png", lit, "1"))).tolist() == [[2, 3]]
    for deep in (65535, 1, 300):
        path = stored(tmp_path / "deep.png", (lit > 0).astype(np.uint16) * deep)
        assert np.argwhere(understood(path)).tolist() == [[2, 3]]


def test_whole_numbers_in_floats_are_read_and_others_are_named(tmp_path: Path) -> None:
    pixels = (spots(r2c3=255) > 0).astype(np.float32)
    assert np.argwhere(understood(stored(tmp_path / "m.tif", pixels))).tolist() == [[2, 3]]
    for odd, text in ((0.25, "0.25"), (-1, "-1"), (np.nan, "nan"), (np.inf, "inf")):
        pixels[4, 5] = odd
        found = refused(stored(tmp_path / "m.tif", pixels))
        assert f"a mask of whole numbers of at least 0 was expected. Found {text} at (4, 5)" in found


# --- palette and opacity are resolved first ---


def test_what_is_transparent_is_no_lesion(tmp_path: Path) -> None:
    pixels = np.full((8, 8, 4), 255, np.uint8)
    pixels[..., 3] = spots(r5c6=255)
    assert np.argwhere(understood(stored(tmp_path / "m.png", pixels))).tolist() == [[5, 6]]


@pytest.mark.parametrize("ink", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (90, 90, 90)])
def test_what_is_drawn_in_one_colour_upon_nothing_is_the_lesion(tmp_path: Path, ink: tuple[int, int, int]) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[5, 6] = (*ink, 255)
    assert np.argwhere(understood(stored(tmp_path / "m.png", pixels))).tolist() == [[5, 6]]


def test_nothing_drawn_at_all_is_an_empty_mask(tmp_path: Path) -> None:
    assert not understood(stored(tmp_path / "m.png", np.full((8, 8, 4), (255, 255, 255, 0), np.uint8))).any()


@pytest.mark.parametrize("opacity", [255, 128])
def test_an_opacity_that_is_the_same_throughout_says_nothing(tmp_path: Path, opacity: int) -> None:
    lit = spots(r1c2=255)
    pixels = np.stack([lit, np.full_like(lit, opacity)], axis=-1)
    path = tmp_path / "m.png"
    Image.fromarray(pixels, "LA").save(path)
    assert np.argwhere(understood(path)).tolist() == [[1, 2]]


def test_black_and_white_beside_transparent_pixels_are_background_and_lesion(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4] = (0, 0, 0, 255)
    pixels[1, 1] = (255, 255, 255, 255)
    assert np.argwhere(understood(stored(tmp_path / "m.png", pixels))).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("colours", "options", "expected"),
    [
        ([0, 0, 0, 255, 255, 255], {}, [[1, 2]]),
        ([255, 255, 255, 0, 0, 0], {}, None),
        ([0, 0, 0, 255, 0, 0], {}, [[1, 2]]),
        ([255, 255, 255, 255, 255, 255], {"transparency": 0}, [[1, 2]]),
        ([0, 0, 0, 0, 0, 0], {"transparency": b"\x00\xff"}, [[1, 2]]),
    ],
    ids=["black and white", "white and black", "red", "transparent entry", "black on transparent"],
)
def test_a_palette_of_two_is_read_as_a_viewer_shows_it(
    tmp_path: Path, colours: list[int], options: dict[str, object], expected: list[list[int]] | None
) -> None:
    mask = understood(palette(tmp_path / "m.png", spots(r1c2=1), colours, **options))
    marked = np.argwhere(mask).tolist()
    assert marked == expected if expected else np.argwhere(mask == 0).tolist() == [[1, 2]]


def test_one_colour_on_black_is_a_lesion_and_two_colours_are_asked_about(tmp_path: Path) -> None:
    red = np.zeros((8, 8, 3), np.uint8)
    red[2, 2] = (255, 0, 0)
    assert np.argwhere(understood(stored(tmp_path / "red.png", red))).tolist() == [[2, 2]]
    red[5, 5] = (0, 255, 0)
    text = refused(stored(tmp_path / "two.png", red))
    assert 'Found "#000000", "#00ff00", "#ff0000"' in text
    assert '`values: {"#000000": background, "#00ff00": foreground, "#ff0000": ignore}`' in text


# --- what two values become when they are compressed, resampled or drawn smoothly ---


@pytest.mark.parametrize("quality", [30, 50, 75, 95, 100])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_swings_around_both_values(tmp_path: Path, quality: int, mode: str) -> None:
    whole = disc(120, 100)
    found = understood(stored(tmp_path / "m.jpg", whole, mode, quality=quality))
    assert np.mean(found != (whole > 127)) < 0.001


def test_a_red_jpeg_is_one_colour(tmp_path: Path) -> None:
    whole = disc(120, 100)
    red = np.stack([whole, np.zeros_like(whole), np.zeros_like(whole)], axis=-1)
    found = understood(stored(tmp_path / "m.jpg", red, quality=90, subsampling=0))
    assert np.mean(found != (whole > 127)) < 0.01


def test_an_empty_jpeg_is_empty_even_where_the_format_makes_one_of_nought(tmp_path: Path) -> None:
    path = stored(tmp_path / "m.jpg", np.zeros((32, 32), np.uint8), quality=70)
    assert set(np.unique(np.asarray(Image.open(path)))) <= {0, 1}
    assert not understood(path).any()


def test_a_png_that_once_was_a_jpeg_is_read(tmp_path: Path) -> None:
    file, whole = io.BytesIO(), disc(120, 100)
    Image.fromarray(whole).save(file, "JPEG", quality=85)
    found = understood(stored(tmp_path / "m.png", np.asarray(Image.open(file))))
    assert np.mean(found != (whole > 127)) < 0.001


@pytest.mark.parametrize("kernel", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
@pytest.mark.parametrize("factor", [0.5, 0.37, 1.5, 3])
def test_resampled_edges_are_cut_at_one_half(tmp_path: Path, kernel: Image.Resampling, factor: float) -> None:
    whole = Image.fromarray(((disc(120, 100) > 127) * 255).astype(np.uint8))
    size = round(factor * whole.width), round(factor * whole.height)
    resampled = np.asarray(whole.resize(size, kernel))
    np.testing.assert_array_equal(understood(stored(tmp_path / "m.png", resampled)), resampled > 127)


def test_one_half_of_the_brightest_is_the_border(tmp_path: Path) -> None:
    smooth = np.tile(np.array([0, 0, 0, 60, 127, 128, 190, 255, 255], np.uint8), (9, 1))
    assert understood(stored(tmp_path / "m.png", smooth))[0].tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1]


# --- everything else is refused, with the values and the key that says what they mean ---


@pytest.mark.parametrize(
    ("pixels", "found"),
    [
        (spots(r1c1=1, r6c6=255), "0, 1, 255"),
        (trimap(8), "0, 128, 255"),
        (trimap(64), "0, 128, 255"),
        (instances(8), "0, 6, 12, 18, 24, 30, 36, 42 and 23 more"),
        (instances(64), "0, 6, 12, 18, 24, 30, 36, 42 and 23 more"),
        (np.repeat(np.repeat(np.array([[0, 85], [170, 255]], np.uint8), 16, 0), 16, 1), "0, 85, 170, 255"),
        (np.repeat(np.repeat(instances(8), 4, 0), 4, 1), "0, 6, 12, 18"),
        (np.repeat(np.arange(256, dtype=np.uint8)[None], 16, 0), "0, 1, 2, 3, 4, 5, 6, 7 and 248 more"),
        (spots(r1c1=1, r2c2=2), "0, 1, 2"),
    ],
    ids=["1 and 255", "trimap", "wide rim", "instances", "scattered", "four levels", "blobs", "ramp", "0, 1 and 2"],
)  # fmt: skip
def test_more_than_two_values_are_asked_about(tmp_path: Path, pixels: np.ndarray, found: str) -> None:
    text = refused(stored(tmp_path / "m.png", pixels))
    assert f"a mask of background (0) and foreground (one other value) was expected. Found {found}" in text
    assert "Say in the catalogue what they mean, for instance `values: {0: background, " in text


def test_a_trimap_in_jpeg_is_asked_about_and_told_that_jpeg_keeps_no_labels(tmp_path: Path) -> None:
    text = refused(stored(tmp_path / "m.jpg", trimap(100), quality=90))
    assert "Lossy formats such as JPEG keep no labels: save it as PNG" in text
    named = Meaning(TUMOUR.classes, {"0": "background", "128": "liver", "255": "tumour"})
    assert "Lossy formats such as JPEG keep no labels: save it as PNG" in refused(tmp_path / "m.jpg", named)


def test_labels_in_jpeg_are_too_dark_to_be_told_apart(tmp_path: Path) -> None:
    assert "was expected. Found 0, 1" in refused(stored(tmp_path / "m.jpg", (disc(64, 64) > 127).astype(np.uint8)))


def test_a_red_and_a_green_class_are_asked_about(tmp_path: Path) -> None:
    path = palette(tmp_path / "m.png", spots(r1c1=1, r2c2=2), RED_GREEN)
    assert 'Found "#000000", "#00ff00", "#ff0000"' in refused(path)


@pytest.mark.parametrize("pixels", [spots(r1c1=127, r2c2=255), spots(r1c1=255), spots()], ids=["three", "two", "one"])
def test_three_classes_are_nowhere_guessed(tmp_path: Path, pixels: np.ndarray) -> None:
    text = refused(stored(tmp_path / "m.png", pixels), Meaning(("background", "liver", "tumour")))
    assert "a mask of background, liver, tumour was expected. Found 0" in text


# --- `values` ---


def test_values_say_which_number_is_which_class(tmp_path: Path) -> None:
    path = stored(tmp_path / "m.png", spots(r1c1=1, r2c2=2, r3c3=255))
    assert understood(path, TUMOUR)[[0, 1, 2, 3], [0, 1, 2, 3]].tolist() == [0, 1, 2, 255]


def test_the_issues_three_grey_levels(tmp_path: Path) -> None:
    meaning = Meaning(TUMOUR.classes, {"0": "background", "127": "liver", "255": "tumour"})
    path = stored(tmp_path / "m.png", spots(r1c1=127, r2c2=255))
    assert understood(path, meaning)[[0, 1, 2], [0, 1, 2]].tolist() == [0, 1, 2]


def test_several_values_may_mean_one_class(tmp_path: Path) -> None:
    meaning = Meaning(("background", "tumour"), {"0": "background", "1": "tumour", "2": "tumour", "4": "tumour"})
    assert understood(stored(tmp_path / "m.png", spots(r1c1=1, r2c2=4)), meaning).sum() == 2


def test_an_inverted_mask_is_read_by_what_values_say(tmp_path: Path) -> None:
    meaning = Meaning(("background", "lesion"), {"0": "lesion", "255": "background"})
    assert np.argwhere(understood(stored(tmp_path / "m.png", 255 - spots(r4c4=255)), meaning)).tolist() == [[4, 4]]
    whole = disc(120, 100)
    found = understood(stored(tmp_path / "m.jpg", 255 - whole, quality=90), meaning)
    assert np.mean(found != (whole > 127)) < 0.001


def test_sixteen_bits_may_be_named(tmp_path: Path) -> None:
    meaning = Meaning(TUMOUR.classes, {"0": "background", "1000": "liver", "40000": "tumour"})
    pixels = np.array([[0, 1000, 40000]], np.uint16)
    assert understood(stored(tmp_path / "m.png", pixels), meaning).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("meaning", [TUMOUR, COLOURS], ids=["by number", "by colour"])
def test_a_palette_is_read_by_number_or_by_colour(tmp_path: Path, meaning: Meaning) -> None:
    path = palette(tmp_path / "m.png", spots(r1c1=1, r2c2=2), RED_GREEN)
    assert understood(path, meaning)[[0, 1, 2], [0, 1, 2]].tolist() == [0, 1, 2]


def test_colours_are_read_from_pictures_without_a_palette(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[1, 1], pixels[2, 2] = (255, 0, 0, 255), (0, 255, 0, 255)
    assert understood(stored(tmp_path / "m.png", pixels), COLOURS)[[0, 1, 2], [0, 1, 2]].tolist() == [0, 1, 2]
    assert not understood(stored(tmp_path / "grey.png", spots()), COLOURS).any()


def test_numbers_do_not_fit_colours_and_are_asked_for(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[1, 1], pixels[2, 2] = (255, 0, 0), (0, 255, 0)
    assert '"#ff0000"' in refused(stored(tmp_path / "m.png", pixels), TUMOUR)


def test_a_grey_palette_is_read_by_grey_level_or_by_entry_but_not_by_chance(tmp_path: Path) -> None:
    path = palette(tmp_path / "m.png", spots(r1c1=1), [0, 0, 0, 255, 255, 255])
    by_entry = Meaning(("background", "lesion"), {"0": "background", "1": "lesion"})
    by_level = Meaning(("background", "lesion"), {"0": "background", "255": "lesion"})
    for meaning in (by_entry, by_level):
        assert np.argwhere(understood(path, meaning)).tolist() == [[1, 1]]
    both = Meaning(("background", "lesion"), {"0": "background", "1": "lesion", "255": "ignore"})
    assert "fit the grey levels of its palette, 0, 255, and the numbers of the palette's entries, 0, 1" in refused(
        path, both
    )


def test_a_value_that_is_not_listed_is_named_with_its_place_and_number_of_pixels(tmp_path: Path) -> None:
    text = refused(stored(tmp_path / "m.png", spots(r1c1=1, r4c5=7, r6c6=7)), TUMOUR)
    assert "expected the `values` of the catalogue, 0, 1, 2, 255. Found 7 in 2 pixels, the first at (4, 5)" in text
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[3, 3] = (1, 2, 3)
    assert "Found #010203 in 1 pixels" in refused(stored(tmp_path / "c.png", pixels), COLOURS)


def test_anti_aliased_labels_are_refused_not_blended(tmp_path: Path) -> None:
    labels = Image.fromarray(spots(r1c1=1, r2c2=2).repeat(8, 0).repeat(8, 1))
    path = stored(tmp_path / "m.png", np.asarray(labels.resize((50, 50), Image.Resampling.BILINEAR)))
    meaning = Meaning(("background", "tumour"), {"0": "background", "2": "tumour"})
    assert "Found 1 in" in refused(path, meaning)


def test_where_files_overlap_the_highest_class_counts_and_void_above_all(tmp_path: Path) -> None:
    first = stored(tmp_path / "a.png", np.array([[0, 1, 2, 1]], np.uint8))
    second = stored(tmp_path / "b.png", np.array([[0, 2, 1, 255]], np.uint8))
    assert load_mask([first, second], lambda path: understood(path, TUMOUR)).tolist() == [[0, 2, 2, 255]]


# --- resizing ---


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), size=st.integers(4, 40))
def test_resizing_never_blends_labels(seed: int, size: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.choice(np.array([0, 1, 2, 255], np.uint8), generator.integers(1, 50, 2))
    assert set(np.unique(resize_mask(labels, size))) <= set(np.unique(labels))
