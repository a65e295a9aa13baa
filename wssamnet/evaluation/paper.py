"""The paper's own Table 1, the reference of every table here."""

from __future__ import annotations

PAPER_NOTE = "paper, 20 validation pairs"

# keys are those of `tables`' rows; mm, shares in [0, 1], minutes
PAPER: dict[str, dict[str, float]] = {
    "ANTs": {
        "median_median": 5.50,
        "mean_median": 7.88,
        "median_mean": 5.75,
        "mean_mean": 8.55,
        "mean_robustness": 0.13,
        "median_robustness": 0.15,
        "minutes": 0.83,
    },
    "VoxelMorph": {
        "median_median": 6.25,
        "mean_median": 9.10,
        "median_mean": 6.86,
        "mean_mean": 9.29,
        "mean_robustness": 0.31,
        "median_robustness": 0.23,
        "minutes": 0.18,
    },
    "WSSAMNet": {
        "median_median": 5.00,
        "mean_median": 8.37,
        "median_mean": 6.68,
        "mean_mean": 9.09,
        "mean_robustness": 0.32,
        "median_robustness": 0.28,
        "minutes": 0.18,
    },
}
