"""The pass over logits and labels that losses share, as loops that keep nothing between their two directions.

Both go block by block, and within a block class by class over rows of pixels that stay in the nearest cache. Two
classes need no softmax: all follows from the margin of the true class over the other.

Blocks are added up in parts, by whoever takes them: no sum depends on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dmf.kernels.compiler import compiled, inlined

Array = Any
"""Of numpy, in rows one behind the other: numba makes a version of a loop for every type that it meets."""

BLOCK = 1024
"""Pixels of a row."""
PART = 32
"""Blocks that are added up by themselves."""
LANES = 128
"""Sums that run side by side: of every so manieth pixel of a row."""

TP, FP, FN, FOUND, MOMENTS = range(5)
"""Rows of `sums`: counts of each class, its pixels, and from then on `Σ q^k (−log p)` over its pixels."""

_0, _1, _2, _HALF = np.float32(0), np.float32(1), np.float32(2), np.float32(0.5)
_LN2, _LOG2_E = np.float32(0.69314718), np.float32(1.44269504)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_E5, _E4, _E3 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
_E2, _E1, _E0 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
_A13, _A11, _A9 = np.float32(2 / 13), np.float32(2 / 11), np.float32(2 / 9)
_A7, _A5, _A3 = np.float32(2 / 7), np.float32(2 / 5), np.float32(2 / 3)
_ROOT_HALF, _MANTISSA, _DIGITS, _BIAS = np.int32(0x3F3504F3), np.int32(0x7FFFFF), np.int32(23), np.int32(127)
_LEAST = np.float32(-87)
_LEAST_MARGIN = np.float32(-80)
_MOST = np.float32(1e30)


@inlined
def _exp(x: Any) -> Any:
    """`e^x` of x <= 0 to 3e-7 of itself, 1e-7 above -20, that of -87 below; with the polynomial of Cephes' expf."""
    x = _LEAST if x < _LEAST else x
    n = np.floor(x * _LOG2_E + _HALF)
    x = (x - n * _LN2_HIGH) - n * _LN2_LOW
    y = ((((_E5 * x + _E4) * x + _E3) * x + _E2) * x + _E1) * x + _E0
    return (y * x * x + x + _1) * np.int32((np.int32(n) + _BIAS) << _DIGITS).view(np.float32)


@inlined
def _log_ratio(t: Any) -> Any:
    """`log((1 + t) / (1 − t))` of |t| <= 1/3 to 1.3e-7 of itself: twice the series of artanh."""
    s = t * t
    return t * (_2 + s * (_A3 + s * (_A5 + s * (_A7 + s * (_A9 + s * (_A11 + s * _A13))))))


@inlined
def _log(x: Any) -> Any:
    """`log x` of x >= 1 to 2.3e-7 of itself, of which the series is 3e-8."""
    shifted = np.int32(np.float32(x).view(np.int32) - _ROOT_HALF)
    n = np.float32(np.int32(shifted >> _DIGITS))
    mantissa = np.int32((shifted & _MANTISSA) + _ROOT_HALF).view(np.float32)
    return n * _LN2 + _log_ratio((mantissa - _1) / (mantissa + _1))


@inlined
def _fill(row: Array, n: Any, value: Any) -> None:
    for i in range(n):
        row[i] = value


@inlined
def _copy(source: Array, n: Any, row: Array) -> None:
    for i in range(n):
        row[i] = source[i]


@compiled
def _read_labels(source: Array, highest: Any, ignoring: Any, ignored: Any, y: Array) -> Any:
    """The class of each pixel, -1 if it is ignored or its label is none; how many labels are none."""
    odd = 0
    for i in range(len(source)):
        label = source[i]
        kept = not (ignoring and label == ignored)
        known = label >= 0 and label <= highest
        y[i] = np.int32(label) if kept and known else np.int32(-1)
        odd += 1 if kept and not known else 0
    return odd


@compiled
def _two_classes(z: Array, last: Any, at: Any, size: Any, y: Array, p: Array, q: Array, nll: Array) -> None:
    """`p` of the true class, `1 − p` and `−log p`, each to its own precision; p is kept above 0, its logarithm goes on.

    All are 0 where no class is true.
    """
    n = len(y)
    if last:
        pairs = z[2 * at : 2 * (at + n)]
        for i in range(n):
            nll[i] = pairs[2 * i + 1] - pairs[2 * i]
    else:
        one, other = z[at : at + n], z[at + size : at + size + n]
        for i in range(n):
            nll[i] = other[i] - one[i]
    for i in range(n):
        valid = y[i] >= 0
        margin = nll[i]
        margin = margin if y[i] == 1 else -margin
        wrong = margin < _0
        tail = margin if wrong else -margin  # −|margin|, or NaN
        e = _exp(_LEAST_MARGIN if tail < _LEAST_MARGIN else tail)
        most = _1 / (_1 + e)
        p[i] = (e * most if wrong else most) if valid else _0
        q[i] = (most if wrong else e * most) if valid else _0
        cost = _log_ratio(e / (_2 + e))
        nll[i] = (cost - margin if wrong else cost) if valid else _0


@compiled
def _softmax(
    z: Array, last: Any, at: Any, size: Any, ignoring: Any, y: Array, p: Array, q: Array, nll: Array, x: Array,
    scale: Array,
) -> None:  # fmt: skip
    """As `_two_classes`, and `x[c] scale`, the probability of each class."""
    n, classes = len(y), np.int32(len(x))
    top, total = p, scale  # until they are known
    for c in range(classes):
        row = x[c]
        if last:
            pixels = z[classes * at : classes * (at + n)]
            for i in range(n):
                row[i] = pixels[classes * i + c]
        else:
            _copy(z[at + c * size : at + c * size + n], n, row)
        if ignoring:  # what is ignored may be NaN, of which no product is 0
            for i in range(n):
                here = row[i]
                row[i] = here if y[i] >= 0 else _0
        if c == 0:
            _copy(row, n, top)
        for i in range(n):
            here, most = row[i], top[i]
            top[i] = here if here > most else most
    _fill(nll, n, _0)
    _fill(total, n, _0)
    for c in range(classes):
        row = x[c]
        for i in range(n):
            here, kept = row[i], nll[i]
            nll[i] = here if y[i] == c else kept
        for i in range(n):
            e = _exp(row[i] - top[i])
            row[i] = e
            total[i] += e
    for i in range(n):
        sum_i = total[i]
        log_sum = _log(sum_i) if sum_i < _MOST else sum_i  # NaN, whose digits would make a number
        cost, one = log_sum - (nll[i] - top[i]), _1 / sum_i
        nll[i] = cost if y[i] >= 0 else _0
        scale[i] = one if y[i] >= 0 else _0
    _fill(p, n, _0)
    _fill(q, n, _0)
    for c in range(classes):
        row = x[c]
        for i in range(n):
            here, kept, others = row[i] * scale[i], p[i], q[i]
            p[i] = here if y[i] == c else kept
            q[i] = others if y[i] == c else others + here


@compiled
def _count(y: Array, p: Array, q: Array, nll: Array, x: Array, scale: Array, sums: Array) -> None:
    """Adds to the lanes of each class; small sums are taken by themselves, not as differences. Leaves nll spoilt."""
    classes = np.int32(sums.shape[1])
    for start in range(0, len(y), LANES):
        here = slice(start, min(len(y), start + LANES))
        y_s, p_s, q_s, cost, scale_s = y[here], p[here], q[here], nll[here], scale[here]
        n = len(y_s)
        for c in range(classes):
            tp, fp, fn, found = sums[TP, c], sums[FP, c], sums[FN, c], sums[FOUND, c]
            for i in range(n):
                tp[i] += p_s[i] if y_s[i] == c else _0
                fn[i] += q_s[i] if y_s[i] == c else _0
                found[i] += _1 if y_s[i] == c else _0
            if classes == 2:
                for i in range(n):
                    fp[i] += q_s[i] if y_s[i] != c else _0
            else:
                row = x[c][here]
                for i in range(n):
                    fp[i] += row[i] * scale_s[i] if y_s[i] != c else _0
        for k in range(MOMENTS, len(sums)):
            for c in range(classes):
                moment = sums[k, c]
                for i in range(n):
                    moment[i] += cost[i] if y_s[i] == c else _0
            for i in range(n):
                cost[i] *= q_s[i]


@compiled
def _fold(lanes: Array, sums: Array) -> None:
    """The sums of all lanes, which are 0 again."""
    for k in range(len(sums)):
        for c in range(sums.shape[1]):
            total = 0.0
            for i in range(lanes.shape[2]):
                total += np.float64(lanes[k, c, i])
                lanes[k, c, i] = _0
            sums[k, c] = total


@compiled
def _slope(
    y: Array, p: Array, q: Array, nll: Array, own: Array, polynomials: Array, a: Array, d: Array, at: Array
) -> None:
    """Writes over nll the derivative by `log p` of `Σ_k a_k q^k (−log p)`, by class or for all alike, plus `own`."""
    n, classes, degree = len(y), np.int32(len(polynomials)), polynomials.shape[1]
    _fill(a, n, _0)
    _fill(d, n, _0)
    for k in range(degree - 1, -1, -1):  # Horner's rule for the polynomial and its derivative
        _fill(at, n, polynomials[0, k])
        for c in range(np.int32(1), classes):
            coefficient = polynomials[c, k]
            for i in range(n):
                kept = at[i]
                at[i] = coefficient if y[i] == c else kept
        for i in range(n):
            d[i] = d[i] * q[i] + a[i]
            a[i] = a[i] * q[i] + at[i]
    for i in range(n):
        cost = nll[i]
        slope = -a[i] - (_MOST if cost > _MOST else cost) * p[i] * d[i]  # p log p has a limit where log p has none
        nll[i] = slope if y[i] >= 0 else _0
    for i in range(len(own)):
        nll[i] += own[i]


@compiled
def _write_two(y: Array, p: Array, q: Array, slope: Array, w: Array, last: Any, at: Any, size: Any, out: Array) -> None:
    """The gradient: that of the true class's logit is `q (slope + p w)`, w that of its class."""
    n = len(y)
    w_0, w_1 = w[0], w[1]
    for i in range(n):
        pull = q[i] * (slope[i] + p[i] * (w_1 if y[i] == 1 else w_0))
        slope[i] = pull if y[i] == 1 else -pull
    if last:
        pairs = out[2 * at : 2 * (at + n)]
        for i in range(n):
            pairs[2 * i] = -slope[i]
            pairs[2 * i + 1] = slope[i]
    else:
        one, other = out[at : at + n], out[at + size : at + size + n]
        for i in range(n):
            one[i] = -slope[i]
            other[i] = slope[i]


@compiled
def _write_softmax(
    y: Array, p: Array, q: Array, slope: Array, x: Array, scale: Array, a: Array, b: Array, pull: Array,
    last: Any, at: Any, size: Any, out: Array,
) -> None:  # fmt: skip
    """The gradient `p_c (b_c − Σ_k b_k p_k)`, and `e q` where c is true, else `−e p_c`: `e = slope + a p`."""
    n, classes = len(y), np.int32(len(x))
    _fill(pull, n, _0)
    for c in range(classes):
        row, a_c, b_c = x[c], a[c], b[c]
        for i in range(n):
            row[i] *= scale[i]
            pull[i] += b_c * row[i]
        for i in range(n):
            pulled = a_c * p[i]
            slope[i] += pulled if y[i] == c else _0
    for c in range(classes):
        row, b_c = x[c], b[c]
        for i in range(n):
            here, true, other = row[i] * (b_c - pull[i]), slope[i] * q[i], row[i] * slope[i]
            row[i] = here + true if y[i] == c else here - other
        if last:
            pixels = out[classes * at : classes * (at + n)]
            for i in range(n):
                pixels[classes * i + c] = row[i]
        else:
            _copy(row, n, out[at + c * size : at + c * size + n])


@compiled
def look(
    z: Array, last: Any, labels: Array, highest: Any, ignoring: Any, ignored: Any, size: Any, first: Any, stop: Any,
    sums: Array, true_p: Array, true_l: Array,
) -> None:  # fmt: skip
    """Sums over blocks, and p and log p of the true class, where arrays of any length are given for them.

    `z` are float32 logits of images of `size` pixels, class by class, or with `last` pixel by pixel; an image has
    `ceil(size / BLOCK)` blocks, of which `first` to `stop` are taken, whole parts. `labels` are of any integer type,
    and with them `highest`, the last class, and `ignored`, which counts if `ignoring`. `sums`, float64 `(parts,
    MOMENTS + k, classes)`, are written; the pixels found are NaN where a label is none.
    """
    count = sums.shape[2]
    lanes = np.zeros((sums.shape[1], count, LANES), np.float32)
    softmax = count > 2
    rows = np.empty((4, BLOCK), np.float32)
    x = np.empty((count if softmax else 0, BLOCK), np.float32)
    kinds = np.empty(BLOCK, np.int32)
    blocks = (size + BLOCK - 1) // BLOCK
    for block in range(first, stop):
        image, start = block // blocks, block % blocks * BLOCK
        n = min(BLOCK, size - start)
        pixel = image * size + start
        at = pixel if last else image * size * count + start
        y, p, q, nll, scale = kinds[:n], rows[0, :n], rows[1, :n], rows[2, :n], rows[3, :n]
        if _read_labels(labels[pixel : pixel + n], highest, ignoring, ignored, y):
            lanes[FOUND, 0, 0] = np.nan
        if softmax:
            _softmax(z, last, at, size, ignoring, y, p, q, nll, x, scale)
        else:
            _two_classes(z, last, at, size, y, p, q, nll)
        if len(true_p):
            _copy(p, n, true_p[pixel : pixel + n])
            log_p = true_l[pixel : pixel + n]
            for i in range(n):
                log_p[i] = -nll[i]
        _count(y, p, q, nll, x, scale, lanes)
        if block + 1 == stop or (block + 1) % PART == 0:
            _fold(lanes, sums[block // PART])


@compiled
def gradient(
    z: Array, last: Any, labels: Array, highest: Any, ignoring: Any, ignored: Any, size: Any, first: Any, stop: Any,
    per_count: Array, polynomials: Array, own: Array, out: Array,
) -> None:  # fmt: skip
    """Writes the gradient of the logits, in their order; what is not said here is as for `look`.

    `per_count`, float32 `(3, classes)`, are derivatives by TP, FP and FN; `polynomials`, float32 `(1 or classes, k)`,
    stand for the pixelwise losses `Σ_k a_k q^k (−log p)` together; `own`, as long as `labels` or empty, are
    derivatives by log p of others.
    """
    count = per_count.shape[1]
    softmax = count > 2
    rows = np.empty((7, BLOCK), np.float32)
    x = np.empty((count if softmax else 0, BLOCK), np.float32)
    kinds = np.empty(BLOCK, np.int32)
    b = per_count[FP]
    a = per_count[TP] - per_count[FN] - (b if softmax else b[::-1])
    blocks = (size + BLOCK - 1) // BLOCK
    for block in range(first, stop):
        image, start = block // blocks, block % blocks * BLOCK
        n = min(BLOCK, size - start)
        pixel = image * size + start
        at = pixel if last else image * size * count + start
        y, p, q, nll, scale = kinds[:n], rows[0, :n], rows[1, :n], rows[2, :n], rows[3, :n]
        _read_labels(labels[pixel : pixel + n], highest, ignoring, ignored, y)
        if softmax:
            _softmax(z, last, at, size, ignoring, y, p, q, nll, x, scale)
        else:
            _two_classes(z, last, at, size, y, p, q, nll)
        others = own[pixel : pixel + n] if len(own) else own
        _slope(y, p, q, nll, others, polynomials, rows[4, :n], rows[5, :n], rows[6, :n])
        if softmax:
            _write_softmax(y, p, q, nll, x, scale, a, b, rows[4, :n], last, at, size, out)
        else:
            _write_two(y, p, q, nll, a, last, at, size, out)
