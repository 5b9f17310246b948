"""Batch norm and ReLU over pixels of C channels that lie side by side, in float32 or in bfloat16 (as uint16).

Loops go over tiles: some pixels in a row, of which each has its C channels, so that what belongs to a channel is laid
out as often as a tile has pixels and the innermost loop is long whatever C is. Sums are those of a block of pixels, in
float32; the caller adds up the blocks in float64.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from dmf.kernels.compiler import compiled, inlined

Array = NDArray[np.float32] | NDArray[np.uint16]

TILE = 1024
"""Values of a tile, at least."""


def wide(value: np.float32 | np.uint16) -> np.float32:
    """A value as float32; bfloat16 is its upper half."""
    raise NotImplementedError


def narrow(values: Array, value: np.float32) -> np.float32 | np.uint16:
    """A value as `values` holds it; bfloat16 rounds to the nearest, a tie to even."""
    raise NotImplementedError


@overload(wide, inline="always")
def _wide(value):  # type: ignore[no-untyped-def]
    if value == types.uint16:
        return lambda value: np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)
    return lambda value: value


@overload(narrow, inline="always")
def _narrow(values, value):  # type: ignore[no-untyped-def]
    if values.dtype == types.uint16:  # what arithmetic makes of a NaN has no low bits that could be carried
        return lambda values, value: np.uint16(
            np.uint32(
                np.float32(value).view(np.uint32)
                + np.uint32(0x7FFF)
                + ((np.float32(value).view(np.uint32) >> np.uint32(16)) & np.uint32(1))
            )
            >> np.uint32(16)
        )
    return lambda values, value: value


@inlined
def tiled(values: Array, tile: int) -> Array:
    """What belongs to the channels, for every pixel of a tile."""
    laid = np.empty(tile, np.float32)
    for at in range(tile):
        laid[at] = wide(values[at % values.size])
    return laid


@inlined
def folded(laid: Array, into: Array) -> None:
    """The sums over a tile's pixels."""
    into[:] = 0
    for at in range(laid.size):
        into[at % into.size] += laid[at]


@inlined
def gathered(values: Array, channels: int, stride: int, row: int, into: Array) -> None:
    """Copies as many pixels as `into` has, from one on, that lie `stride` values apart: eight bytes at a time."""
    step = 8 // values.itemsize
    if channels % step == 0 and stride % step == 0:
        source, target = values[: values.size // step * step].view(np.uint64), into.view(np.uint64)
        width, gap = np.uint64(channels // step), np.uint64((stride - channels) // step)
        read, written = np.uint64(row * stride // step), np.uint64(0)  # unsigned: a signed index may count from the end
        for _ in range(into.size // channels):
            for _ in range(width):
                target[written] = source[read]
                written += np.uint64(1)
                read += np.uint64(1)
            read += gap
    else:
        for pixel in range(into.size // channels):
            start, here = (row + pixel) * stride, pixel * channels
            for at in range(channels):
                into[here + at] = values[start + at]


@compiled
def moments(y: Array, rows: int, block: int, first: int, last: int, sums: Array) -> None:
    """Of each block: the sums of the values less those of the first pixel, and of the squares of that."""
    channels = sums.shape[2]
    tile = max(1, TILE // channels) * channels
    middle = tiled(y[:channels], tile)
    total, squares = np.empty(tile, np.float32), np.empty(tile, np.float32)
    for index in range(first, last):
        total[:] = 0
        squares[:] = 0
        end = min(rows, (index + 1) * block) * channels
        start = index * block * channels
        while start + 2 * tile <= end:
            part, after = y[start : start + tile], y[start + tile : start + 2 * tile]
            for at in range(tile):
                one, two = wide(part[at]) - middle[at], wide(after[at]) - middle[at]
                total[at] += one + two
                squares[at] += one * one + two * two
            start += 2 * tile
        while start < end:
            part = y[start : min(end, start + tile)]
            for at in range(part.size):
                one = wide(part[at]) - middle[at]
                total[at] += one
                squares[at] += one * one
            start += tile
        folded(total, sums[index, 0])
        folded(squares, sums[index, 1])


@compiled
def statistics(
    y: Array,
    rows: int,
    sums: Array,
    weight: Array,
    bias: Array,
    mean: Array,
    variance: Array,
    eps: float,
    momentum: float,
    linear: Array,
) -> None:
    """From `moments`: scale, shift, mean and `1 / sqrt(var + eps)` of the channels.

    Moves the running mean and the running variance, which is the unbiased one, by `momentum`.
    """
    for c in range(weight.size):
        total, squares = 0.0, 0.0
        for index in range(len(sums)):
            total += np.float64(sums[index, 0, c])
            squares += np.float64(sums[index, 1, c])
        off = total / rows
        middle, spread = wide(y[c]) + off, max(squares / rows - off * off, 0.0)
        inverse = 1 / np.sqrt(spread + eps)
        linear[0, c] = weight[c] * inverse
        linear[1, c] = bias[c] - middle * weight[c] * inverse
        linear[2, c] = middle
        linear[3, c] = inverse
        mean[c] += momentum * (middle - mean[c])
        variance[c] += momentum * (spread * rows / (rows - 1) - variance[c])


@compiled
def normalise(y: Array, first: int, last: int, linear: Array, out: Array) -> None:
    """`max(0, y scale + shift)` of the pixels first to last, `linear` being that of `statistics`."""
    channels = linear.shape[1]
    tile = max(1, TILE // channels) * channels
    factor, term = tiled(linear[0], tile), tiled(linear[1], tile)
    end = last * channels
    for start in range(first * channels, end, tile):
        part, written = y[start : min(end, start + tile)], out[start : min(end, start + tile)]
        for at in range(part.size):
            value = wide(part[at]) * factor[at] + term[at]
            written[at] = narrow(out, np.float32(0) if value < 0 else value)


@compiled
def gradient_sums(
    y: Array,
    g: Array,
    stride: int,
    other: Array,
    rows: int,
    block: int,
    first: int,
    last: int,
    linear: Array,
    sums: Array,
    out: Array,
) -> None:
    """Writes the gradient `h` that ReLU lets through, of g and, if it is not empty, of `other`, which add up.

    Of each block: the sums of h and of `h (y - mean)`. `linear` is that of `statistics`.
    """
    channels = linear.shape[1]
    tile = max(1, TILE // channels) * channels
    factor, term, middle = tiled(linear[0], tile), tiled(linear[1], tile), tiled(linear[2], tile)
    total, products, near = np.empty(tile, np.float32), np.empty(tile, np.float32), np.empty(tile, g.dtype)
    for index in range(first, last):
        total[:] = 0
        products[:] = 0
        end = min(rows, (index + 1) * block) * channels
        for start in range(index * block * channels, end, tile):
            part, written = y[start : min(end, start + tile)], out[start : min(end, start + tile)]
            given = g[start : start + part.size] if stride == channels else near[: part.size]
            if stride != channels:
                gathered(g, channels, stride, start // channels, given)
            if other.size:
                more = other[start : start + part.size]
                for at in range(part.size):
                    value = wide(part[at])
                    h = wide(given[at]) + wide(more[at])
                    h = h if value * factor[at] + term[at] > 0 else np.float32(0)
                    total[at] += h
                    products[at] += h * (value - middle[at])
                    written[at] = narrow(out, h)
            else:
                for at in range(part.size):
                    value = wide(part[at])
                    h = wide(given[at]) if value * factor[at] + term[at] > 0 else np.float32(0)
                    total[at] += h
                    products[at] += h * (value - middle[at])
                    written[at] = narrow(out, h)
        folded(total, sums[index, 0])
        folded(products, sums[index, 1])


@compiled
def slopes(rows: int, sums: Array, linear: Array, weight: Array, bias: Array, line: Array) -> None:
    """From `gradient_sums`: gradients of weight and bias, and scale, offset and slope of the gradient of y."""
    for c in range(weight.size):
        total, products = 0.0, 0.0
        for index in range(len(sums)):
            total += np.float64(sums[index, 0, c])
            products += np.float64(sums[index, 1, c])
        scale, inverse = np.float64(linear[0, c]), np.float64(linear[3, c])
        weight[c] = products * inverse
        bias[c] = total
        slope = scale * inverse * inverse * products / rows
        line[0, c] = scale
        line[1, c] = scale * total / rows - slope * linear[2, c]
        line[2, c] = slope


@compiled
def gradient(y: Array, first: int, last: int, line: Array, out: Array) -> None:
    """From h in `out`: `scale h - offset - slope y` of the pixels first to last."""
    channels = line.shape[1]
    tile = max(1, TILE // channels) * channels
    factor, offset, slope = tiled(line[0], tile), tiled(line[1], tile), tiled(line[2], tile)
    end = last * channels
    for start in range(first * channels, end, tile):
        part, written = y[start : min(end, start + tile)], out[start : min(end, start + tile)]
        for at in range(part.size):
            h = wide(written[at]) * factor[at]
            written[at] = narrow(out, h - offset[at] - slope[at] * wide(part[at]))
