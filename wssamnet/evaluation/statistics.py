"""Comparison of methods over cases: paired Wilcoxon signed-rank, Holm, bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import wilcoxon

from wssamnet.geometry import Array

RESAMPLES = 10_000
LEVEL = 0.95
METRICS = ("median", "mean", "robustness")


def bootstrap_interval(values: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean.

    Args:
        values: (N,) one value a case.
        seed: of the resampling.
        resamples: how many.

    Returns:
        lower and upper end; NaN for fewer than two values.
    """
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = x[rng.integers(0, len(x), size=(resamples, len(x)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def signed_rank(differences: ArrayLike) -> float:
    """Two-sided p of the Wilcoxon signed-rank test; zero differences are dropped, as Wilcoxon did.

    Args:
        differences: (N,) one paired difference a case.

    Returns:
        p; 1 if every difference is zero, NaN if there is none.
    """
    d = np.asarray(differences, dtype=np.float64)
    if not len(d):
        return float("nan")
    # below the files' resolution all is rounding: it must neither count as a rank nor part equal shares of landmarks
    d = np.round(d, 6)
    d = d[d != 0]
    return float(wilcoxon(d).pvalue) if len(d) else 1.0


def holm(p: Sequence[float]) -> Array:
    """Holm's step-down correction.

    Args:
        p: p values of one family; NaN are left out of it.

    Returns:
        corrected p values, same order, at most 1.
    """
    given = np.asarray(p, dtype=np.float64)
    out = np.full(len(given), np.nan)
    order = [index for index in np.argsort(given, kind="stable") if np.isfinite(given[index])]
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * float(given[index])))
        out[index] = running
    return out


@dataclass(frozen=True)
class Comparison:
    """One row of ``statistics.csv``.

    Args:
        metric: "median" or "mean" (a case's error, mm) or "robustness".
        method: the method.
        against: the method it is compared with on the same cases; empty for the method by itself.
        n: cases that the method, or both methods, have; 0 where there is none, and then all figures are NaN.
        estimate: mean over cases, or mean paired difference ``method - against``.
        ci_low, ci_high: 95 % bootstrap interval of `estimate` over cases.
        p: Wilcoxon signed-rank, two-sided.
        p_holm: corrected for all comparisons of this metric.
    """

    metric: str
    method: str
    against: str
    n: int
    estimate: float
    ci_low: float
    ci_high: float
    p: float = float("nan")
    p_holm: float = float("nan")


def compare(cases: pd.DataFrame, methods: Sequence[str], *, seed: int = 0) -> pd.DataFrame:
    """Compare every pair of methods on the cases that both have.

    Args:
        cases: `results.per_case`.
        methods: in the order wanted; each is compared against those before it.
        seed: of the bootstrap.

    Returns:
        one row a `Comparison`.
    """
    rows: list[Comparison] = []
    for metric in METRICS:
        table = {
            method: cases[cases["method"] == method].set_index("case")[metric].dropna().sort_index()
            for method in methods
        }
        if not any(map(len, table.values())):
            continue
        for method, values in table.items():
            interval = bootstrap_interval(values, seed=seed)
            rows.append(Comparison(metric, method, "", len(values), float(values.mean()), *interval))
        pairs = []
        for first, second in combinations(methods, 2):
            shared = table[first].index.intersection(table[second].index)
            if not len(shared):
                pairs.append(Comparison(metric, second, first, 0, *[float("nan")] * 3))
            else:
                difference = table[second][shared].to_numpy() - table[first][shared].to_numpy()
                interval = bootstrap_interval(difference, seed=seed)
                pairs.append(
                    Comparison(
                        metric,
                        second,
                        first,
                        len(shared),
                        float(difference.mean()),
                        *interval,
                        p=signed_rank(difference),
                    )
                )
        corrected = holm([pair.p for pair in pairs])
        rows += [Comparison(**(asdict(pair) | {"p_holm": float(p)})) for pair, p in zip(pairs, corrected, strict=True)]
    return pd.DataFrame([asdict(row) for row in rows], columns=list(Comparison.__dataclass_fields__))
