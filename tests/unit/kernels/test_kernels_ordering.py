"""The order of a file's content, against numpy's own."""

from __future__ import annotations

import numpy as np
import pytest
from wssamnet.kernels.ordering import first_axis_fastest


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
@pytest.mark.parametrize("shape", [(5, 4, 3), (1, 1, 1), (3, 40, 37), (6, 5, 20, 1, 3)])
@pytest.mark.parametrize("order", ["C", "F", "neither"])
def test_pieces_follow_each_other_as_in_fortran(dtype: str, shape: tuple[int, ...], order: str) -> None:
    data = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    if order == "F":
        data = np.asfortranarray(data)
    elif order == "neither":
        data = np.repeat(data, 2, axis=1)[:, ::2]
    found = b"".join(piece.data.cast("B") for piece in first_axis_fastest(data))
    assert found == data.tobytes(order="F")
