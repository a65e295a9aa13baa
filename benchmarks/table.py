"""Every benchmark's CSV as one Markdown table and one picture.

    python benchmarks/table.py FOLDER

Reads FOLDER/*.csv, prints the table, writes FOLDER/benchmark.md, benchmark.csv and benchmark.png.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from harness import SIZES, machine
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Row = dict[str, str]


def read(folder: Path) -> list[Row]:
    """All rows of the measurements, in the order of the scripts."""
    rows: list[Row] = []
    for name in ("kernels", "networks", "pairs", "cases"):
        path = folder / f"{name}.csv"
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                rows += csv.DictReader(file)
    return rows


def markdown(rows: list[Row]) -> str:
    """One line a measurement; the ratio is to the job's first line of that size."""
    lines = [
        "| job | size | who | median s | quartiles s | ratio | CPU s | peak MiB | n |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        value = {name: float(row[name]) for name in ("seconds", "lower", "upper", "slower", "cpu_seconds", "peak_mib")}
        lines.append(
            f"| {row['job'].replace('_', ' ')} | {row['size']} | {row['who']} | {value['seconds']:.3g} | "
            f"{value['lower']:.3g} to {value['upper']:.3g} | {value['slower']:.3g} | {value['cpu_seconds']:.3g} | "
            f"{value['peak_mib']:.0f} | {row['n']} |"
        )
    return "\n".join(lines)


def draw(rows: list[Row], path: Path) -> None:
    """Seconds against voxels, a panel a job; the cases in a task are all of one size."""
    jobs = [job for job in dict.fromkeys(row["job"] for row in rows) if job != "cases_in_a_task"]
    columns = min(4, len(jobs))
    lines = -(-len(jobs) // columns)
    figure = Figure(figsize=(4 * columns, 3.2 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    for place, job in enumerate(jobs, start=1):
        axes = figure.add_subplot(lines, columns, place)
        for who in dict.fromkeys(row["who"] for row in rows if row["job"] == job):
            chosen = [row for row in rows if row["job"] == job and row["who"] == who]
            voxels = [SIZES[row["size"]][0] * SIZES[row["size"]][1] * SIZES[row["size"]][2] for row in chosen]
            axes.loglog(voxels, [float(row["seconds"]) for row in chosen], "o-", label=who, markersize=4)
        axes.set_title(job.replace("_", " "), fontsize=9)
        axes.set_xlabel("voxels", fontsize=8)
        axes.set_ylabel("seconds", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=6)
    figure.savefig(path, dpi=110)


def main() -> None:
    folder = Path(sys.argv[1])
    rows = read(folder)
    if not rows:
        sys.exit(f"{folder}: holds no measurements")
    text = f"{machine()}\n\n{markdown(rows)}\n"
    print(text)
    (folder / "benchmark.md").write_text(text, encoding="utf-8")
    with (folder / "benchmark.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, folder / "benchmark.png")


if __name__ == "__main__":
    main()
