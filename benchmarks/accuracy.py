"""The tables of docs/accuracy.md, from the cases' figures that `wssamnet tables` writes.

    python benchmarks/accuracy.py PER_CASE.csv [--of wssamnet_refined] [--rows METHOD,METHOD]

Prints one row a method (errors in mm; the best of those with all cases in bold), then the paired comparison of one of
them with every other. docs/ holds the files that its tables were made from.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from wssamnet.evaluation.results import method_rank
from wssamnet.evaluation.statistics import compare

BEFORE = "before registration"
# what the page calls a method, where that is more than its name
LABELS = {
    "ants.fast": "ANTs `fast`",
    "ants.defaults": "ANTs `defaults`",
    "ants.good": "ANTs `good`",
    "ants.strong": "ANTs `strong`",
    "voxelmorph": "VoxelMorph",
    "wssamnet.paper": "WSSAMNet, `paper`",
    "wssamnet.best": "WSSAMNet, `best`",
    "refinement.fast": "refinement `fast`",
    "refinement.accurate": "refinement `accurate`",
    "wssamnet_refined.paper": "WSSAMNet `paper` + refinement `accurate`",
    "wssamnet_refined.best": "WSSAMNet `best` + refinement `accurate`",
}
# heading, column of per_case.csv, how the cases are put together, decimals, factor, whether less is better
COLUMNS = (
    ("median of median errors, mm", "median", "median", 2, 1, True),
    ("mean of median", "median", "mean", 2, 1, True),
    ("median of mean", "mean", "median", 2, 1, True),
    ("mean of mean", "mean", "mean", 2, 1, True),
    ("worst case's mean", "mean", "max", 1, 1, True),
    ("robustness, mean", "robustness", "mean", 2, 1, False),
    ("median", "robustness", "median", 2, 1, False),
    ("folding, %", "folding", "mean", 3, 100, True),
)
UNJUDGED = ("robustness", "folding")  # nothing was registered yet


def figures(cases: pd.DataFrame) -> list[str]:
    """One method's row: a text a column of `COLUMNS`."""
    return [
        f"{factor * cases[column].agg(how):.{digits}f}" if column in cases else "–"
        for _, column, how, digits, factor, _ in COLUMNS
    ]


def table(frame: pd.DataFrame, methods: Sequence[str]) -> list[str]:
    """One Markdown line a method, that before registration first."""
    first = frame.drop_duplicates("case").drop(columns=["median", "mean", *UNJUDGED])
    first = first.rename(columns={"initial_median": "median", "initial_mean": "mean"})
    rows = {BEFORE: (len(first), figures(first))}
    for method in methods:
        own = frame[(frame["method"] == method) & (frame["status"] == "ok") & frame["mean"].notna()]
        rows[method] = (len(own), figures(own))
    whole = [cells for n, cells in rows.values() if n == len(first) and "–" not in cells]
    for index, (heading, *_, less) in enumerate(COLUMNS):
        values = [float(cells[index]) for cells in whole]
        if not values or heading.startswith("folding"):
            continue
        best = min(values) if less else max(values)
        for cells in whole:
            if float(cells[index]) == best:
                cells[index] = f"**{cells[index]}**"
    head = [f"| | n | {' | '.join(heading for heading, *_ in COLUMNS)} |", "|---" + "|--:" * (len(COLUMNS) + 1) + "|"]
    return head + [f"| {LABELS.get(name, name)} | {n} | {' | '.join(cells)} |" for name, (n, cells) in rows.items()]


def comparison(frame: pd.DataFrame, of: str, methods: Sequence[str]) -> list[str]:
    """`of` against each of the others: mean paired difference of the mean errors, mm, and p after Holm's correction."""
    rows = ["| against | difference, mm | n | p |", "|---|--:|--:|--:|"]
    # the others first, so that every difference is `of` minus the other
    found = compare(frame, [*(method for method in methods if method != of), of])
    for row in found[(found["metric"] == "mean") & (found["method"] == of) & (found["against"] != "")].itertuples():
        p = "< 0.001" if row.p_holm < 0.001 else f"{row.p_holm:.2g}"
        difference = f"{row.estimate:+.2f} ({row.ci_low:+.2f} to {row.ci_high:+.2f})"
        rows.append(f"| {LABELS.get(row.against, row.against)} | {difference} | {row.n} | {p} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--of", help="the method that is compared with the others")
    parser.add_argument("--rows", help="the methods, with commas; all of the file when absent")
    args = parser.parse_args()
    frame = pd.read_csv(args.cases)
    methods = args.rows.split(",") if args.rows else sorted(frame["method"].unique(), key=method_rank)
    print(*table(frame, methods), sep="\n")
    if args.of:
        print("", *comparison(frame, args.of, methods), sep="\n")


if __name__ == "__main__":
    main()
