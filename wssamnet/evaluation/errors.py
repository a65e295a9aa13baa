"""Errors of landmarks after, and before, registration.

Three kinds, each named wherever it is written and never mixed: ``euclidean`` (primary; what the
challenge ranks), ``l1`` (the sum over the axes, which the paper's own Table 1 fits on rounded
landmarks) and ``per_axis``.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from wssamnet.errors import GeometryError, SettingsError
from wssamnet.geometry import Array

ErrorKind = Literal["euclidean", "l1"]
KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)


def per_axis(points: ArrayLike, truth: ArrayLike) -> Array:
    """Absolute differences along x, y and z.

    Args:
        points: (N, 3), LPS mm.
        truth: (N, 3), LPS mm, same order.

    Returns:
        (N, 3), mm.

    Raises:
        GeometryError: the two are not (N, 3) of one length.
    """
    a, b = np.asarray(points, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 3:
        raise GeometryError(f"points of shapes {a.shape} and {b.shape} cannot be compared", remedy="two of (N, 3)")
    return np.asarray(np.abs(a - b))


def euclidean(points: ArrayLike, truth: ArrayLike) -> Array:
    """Euclidean distances, (N,) mm; arguments and errors as for `per_axis`."""
    return np.asarray(np.linalg.norm(per_axis(points, truth), axis=1))


def l1(points: ArrayLike, truth: ArrayLike) -> Array:
    """Sums of the absolute differences over the axes, (N,) mm; arguments and errors as for `per_axis`."""
    return np.asarray(per_axis(points, truth).sum(axis=1))


def check_kind(kind: str) -> ErrorKind:
    """The kind of error by its name.

    Raises:
        SettingsError: it is neither "euclidean" nor "l1".
    """
    for known in KINDS:
        if kind == known:
            return known
    raise SettingsError(f"'{kind}' is not a kind of error", "error", f"one of {', '.join(KINDS)}")


def landmark_errors(points: ArrayLike, truth: ArrayLike, kind: ErrorKind = "euclidean") -> Array:
    """The error of each landmark, (N,) mm; arguments and errors as for `per_axis`."""
    return euclidean(points, truth) if kind == "euclidean" else l1(points, truth)
