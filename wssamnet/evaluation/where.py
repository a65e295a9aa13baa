"""Where the error is: by distance to the lesion, where one is known, and the landmarks where it is largest.

``<out>/``

    error_by_distance.csv   one row a method and band of distance; there where a lesion is known
    worst_landmarks.csv     the landmarks at which the best method errs most; there where a landmark was warped
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from wssamnet.evaluation.errors import ErrorKind
from wssamnet.files import written_atomically
from wssamnet.geometry import Array, Frame
from wssamnet.images import Volume

DISTANCE = "lesion_distance_mm"
WORST = 10  # landmarks in the list
BANDS = ((0.0, 5.0), (5.0, 10.0), (10.0, 20.0), (20.0, float("inf")))
"""mm from the lesion; the lower end is in the band before, but 0 in the first."""


def lesion_distance(points: Array, lesion: Volume) -> Array:
    """How far points lie from the nearest voxel of a lesion: from its surface, so 0 within.

    Args:
        points: (N, 3) LPS mm.
        lesion: (X, Y, Z) bool.

    Returns:
        (N,) mm; NaN where the mask is empty.
    """
    voxels = np.argwhere(lesion.data)
    if not len(voxels):
        return np.full(len(points), np.nan)
    spacing = lesion.grid.spacing
    out = np.empty(len(points))
    # one point at a time: a lesion of 1 mm voxels has 100,000; axes are perpendicular, as every image's are
    for number, place in enumerate(lesion.grid.convert(points, Frame.LPS, Frame.IJK)):
        gap = np.maximum(np.abs(voxels - place) - 0.5, 0) * spacing
        out[number] = np.sqrt((gap**2).sum(axis=1).min())
    return out


def error_by_distance(landmarks: pd.DataFrame, before: str, error: ErrorKind) -> pd.DataFrame | None:
    """Landmark errors of each method in each of the `BANDS`, pooled over cases.

    Args:
        landmarks: `evaluation.results.per_landmark`.
        before: what to call the state before registration, which has rows of its own.
        error: kind of the landmark error.

    Returns:
        a row a method and band: method, from_mm, to_mm (empty in the last), n (landmarks with an error), mean, median
        (mm; empty for none). None where no landmark's distance is known.
    """
    if DISTANCE not in landmarks or landmarks[DISTANCE].isna().all():
        return None
    known = landmarks.dropna(subset=[DISTANCE])
    once = known.drop_duplicates(["case", "landmark"])
    groups = {before: once.assign(**{error: once[f"initial_{error}"]})}
    groups |= {str(method): table for method, table in known.groupby("method", sort=False)}
    rows = []
    for method, table in groups.items():
        for low, high in BANDS:
            distance = table[DISTANCE]
            within = table.loc[(distance <= high) & ((distance > low) | (low == 0)), error].dropna()
            rows.append(
                {
                    "method": method,
                    "from_mm": low,
                    "to_mm": high if np.isfinite(high) else None,
                    "n": len(within),
                    "mean": within.mean(),
                    "median": within.median(),
                }
            )
    return pd.DataFrame(rows)


def common_errors(cases: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Mean errors of the cases on which methods can be compared: those that each of them has an error for.

    Where there is no such case, methods are left out until there is one, those with the fewest cases first.

    Args:
        cases: `evaluation.results.per_case`.
        methods: to be compared; one without any error is left out.

    Returns:
        a row a case, a column a method, mm; empty where no method has an error.
    """
    wide = cases.pivot(index="case", columns="method", values="mean").reindex(columns=list(methods))
    counts = wide.count()
    kept = [method for method in methods if counts[method]]
    while kept and (common := wide[kept].dropna()).empty:
        kept.remove(min(reversed(kept), key=lambda method: int(counts[method])))
    return common if kept else wide.iloc[:0, :0]


def worst_landmarks(
    landmarks: pd.DataFrame, best: str, methods: Sequence[str], error: ErrorKind, count: int = WORST
) -> pd.DataFrame:
    """The landmarks with the largest error by one method, and what every method does to them.

    Args:
        landmarks: `evaluation.results.per_landmark`.
        best: whose errors choose.
        methods: in the order of the columns.
        error: kind of the landmark error.
        count: at most so many rows.

    Returns:
        the largest error first: method (`best`), case, landmark, `DISTANCE`, initial, and ``error METHOD`` for each
        method; mm, empty where not known.
    """
    own = landmarks[landmarks["method"] == best].dropna(subset=[error])
    own = own.sort_values([error, "case", "landmark"], ascending=[False, True, True]).head(count)
    out = own[["method", "case", "landmark"]].reset_index(drop=True)
    out[DISTANCE] = own[DISTANCE].to_numpy() if DISTANCE in own else np.nan
    out["initial"] = own[f"initial_{error}"].to_numpy()
    errors = landmarks.set_index(["method", "case", "landmark"])[error]
    for method in methods:
        places = pd.MultiIndex.from_frame(out[["method", "case", "landmark"]].assign(method=method))
        out[f"error {method}"] = errors.reindex(places).to_numpy()
    return out


def write_where(
    landmarks: pd.DataFrame, cases: pd.DataFrame, methods: Sequence[str], before: str, error: ErrorKind, out: Path
) -> None:
    """Write the tables of this module, each whole or not at all; one that does not apply is not there.

    Args:
        landmarks, cases: `evaluation.results.per_landmark` and `per_case`.
        methods: in the order to be shown.
        before: what to call the state before registration.
        error: kind of the landmark error.
        out: the folder, which exists.
    """
    common = common_errors(cases, methods)
    best = str(common.mean().idxmin()) if error in landmarks and len(common) else None
    frames = {
        "error_by_distance.csv": error_by_distance(landmarks, before, error),
        "worst_landmarks.csv": None if best is None else worst_landmarks(landmarks, best, methods, error),
    }
    for name, frame in frames.items():
        if frame is None or frame.empty:
            (out / name).unlink(missing_ok=True)  # of an earlier cohort
            continue
        with written_atomically(out / name) as temporary:
            frame.to_csv(temporary, index=False, float_format="%.6g")
