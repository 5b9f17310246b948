"""Parts: how they are written, that they cover an image, and what they hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipelines.datasets.readers.parts import Patches, Slices, cut_out, part_text, parts_of, tiles

side = st.integers(1, 40)


@given(length=side, piece=side)
def test_tiles_cover_every_place_and_are_as_large_as_asked(length: int, piece: int) -> None:
    covered = np.zeros(max(length, piece), int)
    for tile in tiles(length, piece):
        assert tile.stop - tile.start == piece
        covered[tile] += 1
    assert covered[:length].min() >= 1
    assert len(tiles(length, piece)) == -(-length // piece)


def test_the_last_tile_moves_back_over_its_neighbour() -> None:
    assert tiles(10, 4) == [slice(0, 4), slice(4, 8), slice(6, 10)]
    assert tiles(8, 4) == [slice(0, 4), slice(4, 8)]
    assert tiles(3, 4) == [slice(0, 4)]


@given(st.lists(side, min_size=1, max_size=3), st.data())
def test_what_is_written_is_cut_out(shape: list[int], data: st.DataObject) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    index = []
    for length in shape:
        start = data.draw(st.integers(0, length - 1))
        stop = data.draw(st.integers(start + 1, length))
        index.append(data.draw(st.sampled_from([start, slice(start, stop), slice(None)])))
    np.testing.assert_array_equal(cut_out(array, part_text(index)), array[tuple(index)])


def test_beyond_the_end_there_are_zeros() -> None:
    array = np.ones((2, 3, 4), np.uint8)
    piece = cut_out(array, "0001:0004,0000:0003")
    assert piece.shape == (3, 3, 4)
    assert piece.sum(axis=(1, 2)).tolist() == [12, 0, 0]


def test_texts_sort_as_the_places_do() -> None:
    texts = [part_text([number, slice(None)]) for number in (9, 10, 100)]
    assert texts == sorted(texts) == ["0009,:", "0010,:", "0100,:"]


def test_slices_are_cut_across_the_axis_that_is_asked_for() -> None:
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[1:3, 2, 3:6] = 1
    assert parts_of(mask, Slices(cut="slices")) == ["0001", "0002"]
    assert parts_of(mask, Slices(cut="slices", axis="coronal")) == [":,0002"]
    assert parts_of(mask, Slices(cut="slices", axis="sagittal")) == [":,:,0003", ":,:,0004", ":,:,0005"]
    assert parts_of(mask, Slices(cut="slices", axis="sagittal", every=2)) == [":,:,0003", ":,:,0005"]
    assert len(parts_of(mask, Slices(cut="slices", keep="all"))) == 4


def test_patches_cover_the_volume_or_only_the_lesion() -> None:
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[0, 0, 0] = 1
    assert parts_of(mask, Patches(cut="patches", size=(4, 4, 4))) == ["0000:0004,0000:0004,0000:0004"]
    assert len(parts_of(mask, Patches(cut="patches", size=(4, 4, 4), keep="all"))) == 4


@pytest.mark.parametrize("size", [(0, 4, 4), (4, 4), (4, 4, 4, 4)])
def test_a_patch_has_three_sides(size: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        Patches.model_validate({"cut": "patches", "size": size})
