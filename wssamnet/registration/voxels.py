"""A displacement on the working grid becomes a registration in LPS mm."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wssamnet.errors import ModelError
from wssamnet.fields import Chain, DisplacementField, InverseField
from wssamnet.geometry import Frame
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.protocol import Registration


def registration_from_field(case: PreparedCase, field: DisplacementField, record: dict[str, Any]) -> Registration:
    """Put both directions together around the case's pre-alignment.

    The push-forward solves for the inverse of the field at every point that is asked for, so
    landmarks are as exact as the field, and so is the exported file.

    Args:
        case: the case that it belongs to.
        field: pull-back on ``case.grid``, LPS mm, fixed scan to pre-aligned moving scan.
        record: for ``run.json``.
    """
    start = case.prealignment
    return Registration(Chain((field, start)), Chain((start.inverse(), InverseField(field))), record)


def registration_from_voxels(
    case: PreparedCase, displacement: NDArray[np.float32], record: dict[str, Any]
) -> Registration:
    """Turn a displacement in voxels into both directions in LPS mm; see `registration_from_field`.

    Args:
        case: the case that it belongs to.
        displacement: (X, Y, Z, 3), voxels of ``case.grid``, ijk order, pull-back.
        record: for ``run.json``.

    Raises:
        ModelError: the field holds values that are not finite.
    """
    if not np.isfinite(displacement.sum()):  # one NaN or infinite number is enough
        raise ModelError("the network gave a displacement that is not finite", case.id, "a model that was trained")
    grid = case.grid
    field = DisplacementField(displacement @ grid.matrix(Frame.IJK, Frame.LPS)[:3, :3].T.astype(np.float32), grid)
    return registration_from_field(case, field, record)
