"""Pictures: as viewers show them, in size and pixels alike, or one sentence."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.core.console import StageError
from pipelines.datasets.cases import case_image, case_mask, read_cases
from pipelines.datasets.readers import images
from pipelines.datasets.readers.folders import PICTURES
from pipelines.datasets.readers.images import load_image, picture_size
from tests.support.formats import NEW_SUBFILE_TYPE, colour, grey, pages, pictures, stored, turned
from tests.support.layouts import make_entry
from tests.support.mutations import mutated

SEGMENTED = make_entry("image_mask_folders", ["lesion"], ["background", "lesion"], channels=1)


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_bright_pixel_of_a_picture_upside_down_is_where_viewers_show_it(tmp_path: Path) -> None:
    """By hand: stored at [0, 0] of 4 x 4, orientation 3 is half a turn, so it is seen at [3, 3]."""
    pixels = np.zeros((4, 4), np.uint8)
    pixels[0, 0] = 255
    assert np.argwhere(load_image(write(tmp_path / "a.png", stored(pixels, "PNG", 3)))).tolist() == [[3, 3]]


TIFFS = {
    "uncompressed": {},
    "of two strips": {"tiffinfo": {278: 7}},
    "LZW": {"compression": "tiff_lzw"},
    "deflate": {"compression": "tiff_deflate"},
    "PackBits": {"compression": "packbits"},
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pixels", [grey(), colour()], ids=["grey", "colour"])
@pytest.mark.parametrize("compression", TIFFS)
def test_a_tiff_is_turned_once_and_not_scrambled(
    tmp_path: Path, compression: str, pixels: np.ndarray, orientation: int
) -> None:
    path = write(tmp_path / "a.tif", stored(pixels, "TIFF", orientation, **TIFFS[compression]))
    np.testing.assert_array_equal(load_image(path), turned(pixels, orientation))
    assert picture_size(path) == turned(pixels, orientation).shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("format", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_others_are_turned_alike(tmp_path: Path, format: str, options: dict, orientation: int) -> None:
    path = write(tmp_path / f"a.{format.lower()}", stored(colour(), format, orientation, **options))
    np.testing.assert_array_equal(load_image(path), turned(colour(), orientation))
    assert picture_size(path) == turned(colour(), orientation).shape[:2]


@pytest.mark.parametrize("said", [0, 9, 300])
def test_an_orientation_that_is_none_is_not_obeyed(tmp_path: Path, said: int) -> None:
    np.testing.assert_array_equal(load_image(write(tmp_path / "a.png", stored(grey(), "PNG", said))), grey())


def test_a_mask_lies_where_its_image_does_whatever_either_says(tmp_path: Path) -> None:
    """An image on its side and an upright mask of it, and the other way round: both are of the upright size."""
    lesion = np.zeros((12, 20), np.uint8)
    lesion[2, 3] = 255
    on_side = lesion.T[:, ::-1].copy()  # under orientation 8 it is seen as `lesion`
    for name, image, mask in (("a", (on_side, 8), (lesion, 1)), ("b", (lesion, 1), (on_side, 8))):
        write(tmp_path / f"images/{name}.jpg", stored(image[0], "JPEG", image[1], quality=100))
        write(tmp_path / f"masks/{name}.png", stored(mask[0], "PNG", mask[1]))
    for case in read_cases(SEGMENTED, tmp_path):
        image, mask = case_image(SEGMENTED, tmp_path, case), case_mask(SEGMENTED, tmp_path, case)
        assert image.shape == mask.shape == (12, 20)
        assert np.unravel_index(image.argmax(), image.shape) == (2, 3)
        assert np.argwhere(mask).tolist() == [[2, 3]]


def test_an_image_that_only_its_orientation_makes_fit_is_named_if_it_does_not(tmp_path: Path) -> None:
    write(tmp_path / "images/a.png", stored(grey(), "PNG", 6))
    write(tmp_path / "masks/a.png", stored(np.zeros((12, 20), np.uint8), "PNG"))
    with pytest.raises(StageError, match=r"the mask has 12 x 20 pixels .* its image a\.png 20 x 12"):
        read_cases(SEGMENTED, tmp_path)


@pytest.mark.parametrize("count", [2, 50])
@pytest.mark.parametrize("format", ["TIFF", "GIF", "PNG", "WEBP"])
def test_pages_beyond_the_first_are_not_dropped_without_a_word(tmp_path: Path, format: str, count: int) -> None:
    pictures = [np.roll(colour(), page, axis=0) for page in range(count)]
    path = write(tmp_path / "stack.x", pages(pictures, format))
    for read in (load_image, picture_size):
        with pytest.raises(StageError, match=rf"stack\.x: {count} pages or frames. Expected one.* Save each"):
            read(path)


def test_a_page_that_is_a_smaller_copy_is_no_page_but_one_that_is_not_is(tmp_path: Path) -> None:
    first, copy, other = (Image.fromarray(pixels) for pixels in (grey(), grey()[::2, ::2].copy(), grey()[::-1].copy()))
    copy.encoderinfo = {"tiffinfo": {NEW_SUBFILE_TYPE: 1}}
    first.save(tmp_path / "one.tif", save_all=True, append_images=[copy])
    first.save(tmp_path / "two.tif", save_all=True, append_images=[copy, other])
    np.testing.assert_array_equal(load_image(tmp_path / "one.tif"), grey())
    with pytest.raises(StageError, match="2 pages"):
        load_image(tmp_path / "two.tif")


@pytest.mark.parametrize(("mode", "expected"), [("LA", 90), ("RGBA", [90, 90, 90])])
def test_what_is_transparent_is_laid_over_black(tmp_path: Path, mode: str, expected: object) -> None:
    """By hand: a grey of 180 with alpha 0, 128 and 255; 180 * 128 / 255 = 90."""
    seen = Image.fromarray(np.full((1, 3), 180, np.uint8)).convert(mode)
    seen.putalpha(Image.fromarray(np.array([[0, 128, 255]], np.uint8)))
    seen.save(tmp_path / "a.png")
    picture = load_image(tmp_path / "a.png")
    assert picture[0, 1].tolist() == expected
    assert (picture[0, 0].max(), picture[0, 2].min()) == (0, 180)


def test_so_is_a_colour_that_stands_for_nothing(tmp_path: Path) -> None:
    Image.fromarray(np.array([[7, 8]], np.uint8)).save(tmp_path / "a.png", transparency=7)
    assert load_image(tmp_path / "a.png").tolist() == [[0, 8]]


@pytest.mark.parametrize("suffix", PICTURES)
def test_files_of_every_suffix_become_cases(tmp_path: Path, suffix: str) -> None:
    """Of 24 pictures none is left out because of what it is called."""
    for number in range(3):
        write(tmp_path / f"images/{number}{suffix.upper()}", stored(grey(), "PNG"))
        write(tmp_path / f"masks/{number}.gif", stored(np.where(grey() > 99, 255, 0).astype(np.uint8), "GIF"))
    cases = read_cases(SEGMENTED, tmp_path)
    assert len(cases) == 3
    assert case_mask(SEGMENTED, tmp_path, cases[0]).sum() == (grey() > 99).sum()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "it begins as HEIC"),
        (bytes(128) + b"DICM", "it begins as DICOM"),
        (b"\xff\x0a\0\0", "it begins as JPEG XL"),
        (b"<html>Please log in</html>", "it begins as HTML or XML"),
        (b"%PDF-1.7", "it begins as PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "it begins with b'%!PS-Ado'"),
        (b"\x89PNG\r\n\x1a\n", "it begins as a picture, but is damaged"),
    ],
)
def test_what_is_no_picture_is_said_to_be_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(StageError) as caught:
        load_image(write(tmp_path / "a.png", content))
    assert f"a.png: cannot be read as a picture ({said})" in str(caught.value)
    assert not {"remove", "fetch"} & set(str(caught.value).lower().split())


@pytest.mark.slow
def test_two_hundred_megapixels_are_read(tmp_path: Path) -> None:
    """A blank map: Pillow alone takes it for an attack."""
    Image.new("1", (20_000, 10_000), 1).save(tmp_path / "map.png")
    assert picture_size(tmp_path / "map.png") == (10_000, 20_000)
    picture = load_image(tmp_path / "map.png")
    assert (picture.shape, picture.min()) == ((10_000, 20_000), 255)


def test_more_pixels_than_can_be_meant_are_counted_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MOST_PIXELS", 239)
    with pytest.raises(StageError, match=r"a\.png: 12 x 20 pixels .* at most 239 in all. Cut it"):
        load_image(write(tmp_path / "a.png", stored(grey(), "PNG")))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_thousand_damaged_files_are_read_or_answered_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MOST_PIXELS", 4_000_000)  # what a header may claim costs time, not truth
    chance, files = random.Random(0), [content for content, _ in pictures().values()]
    path, read, answers = tmp_path / "a.png", 0, []
    for number in range(2_000):
        path.write_bytes(mutated(files[number % len(files)], chance))
        try:
            size, picture = picture_size(path), load_image(path)
        except StageError as error:
            answers.append(str(error))
        else:
            assert picture.shape[:2] == size
            assert picture.dtype == np.uint8
            read += 1
    assert all(answer.startswith(f"{path}: ") and "\n" not in answer for answer in answers)
    assert min(read, len(answers)) > 300
