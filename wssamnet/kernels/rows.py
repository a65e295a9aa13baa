"""Building stones of the stencil kernels: operations on rows, which the compiler turns into vector instructions."""

from __future__ import annotations

from typing import Any

from numba import njit

# contract: a multiplication and an addition may become one fused instruction. Nothing else of IEEE is given up:
# NaN stays NaN, and sums keep their order.
COMPILE: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract"}}


@njit(**COMPILE)
def box_along_row(row: Any, scratch: Any, out: Any, window: int) -> None:  # pragma: no cover - compiled
    """out[i] = Σ_{k < window} row[i + k], by sums of 1, 2, 4, … neighbours; no running sum, hence no drift.

    `row` (n,) holds its own zero margins; the last window - 1 entries of `out` (n,) are not written.
    `scratch` is (2, n).
    """
    length = row.shape[0]
    n = length - window + 1
    if window & 1:
        for i in range(n):
            out[i] = row[i]
    else:
        for i in range(n):
            out[i] = 0.0
    offset, width, turn = window & 1, 2, 0
    current = row
    while width <= window:
        valid = length - width + 1
        ahead, following = current[width // 2 :], scratch[turn]
        for i in range(valid):
            following[i] = current[i] + ahead[i]
        current = following
        turn = 1 - turn
        if window & width:
            part = current[offset : offset + n]
            for i in range(n):
                out[i] += part[i]
            offset += width
        width *= 2


@njit(**COMPILE)
def add_rows(rows: Any, start: int, stop: int, out: Any) -> None:  # pragma: no cover - compiled
    """out[i] = Σ_{start <= k < stop} rows[k, i], in order."""
    n = out.shape[0]
    first = rows[start]
    for i in range(n):
        out[i] = first[i]
    k = start + 1
    while k + 3 < stop:
        a, b, c, d = rows[k], rows[k + 1], rows[k + 2], rows[k + 3]
        for i in range(n):
            out[i] += (a[i] + b[i]) + (c[i] + d[i])
        k += 4
    while k < stop:
        a = rows[k]
        for i in range(n):
            out[i] += a[i]
        k += 1


@njit(**COMPILE)
def scale_row(row: Any, weight: float, out: Any) -> None:  # pragma: no cover - compiled
    """out = weight · row."""
    for i in range(out.shape[0]):
        out[i] = weight * row[i]


@njit(**COMPILE)
def add_pairs(a: Any, b: Any, v: float, c: Any, d: Any, w: float, out: Any) -> None:  # pragma: no cover - compiled
    """out += v · (a + b) + w · (c + d): two taps on either side of a symmetric kernel."""
    for i in range(out.shape[0]):
        out[i] += v * (a[i] + b[i]) + w * (c[i] + d[i])


@njit(**COMPILE)
def add_pair(a: Any, b: Any, v: float, out: Any) -> None:  # pragma: no cover - compiled
    """out += v · (a + b)."""
    for i in range(out.shape[0]):
        out[i] += v * (a[i] + b[i])


@njit(**COMPILE)
def convolve_line(line: Any, half: Any, stride: int, out: Any) -> None:  # pragma: no cover - compiled
    """out[i] = Σ_k half[|k|] line[i + (r + k) · stride], k from -r to r; `line` has margins of r · stride."""
    n = out.shape[0]
    r = half.shape[0] - 1
    scale_row(line[r * stride : r * stride + n], half[0], out)
    k = 1
    while k < r:
        add_pairs(
            line[(r - k) * stride :],
            line[(r + k) * stride :],
            half[k],
            line[(r - k - 1) * stride :],
            line[(r + k + 1) * stride :],
            half[k + 1],
            out,
        )
        k += 2
    if k == r:
        add_pair(line, line[2 * r * stride :], half[r], out)
