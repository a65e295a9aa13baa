"""The table of variants: what each change of WSSAMNet does to the error, over cases and seeds.

``<out>/``

    ablations.csv, ablations.md   one row a variant, compared with the first on the same cases
    ablations_per_case.csv        what they are made of: one row a variant, seed and case
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from wssamnet.errors import WssamnetError
from wssamnet.evaluation.errors import ErrorKind
from wssamnet.evaluation.formats import markdown, probability
from wssamnet.evaluation.planned import Planned
from wssamnet.evaluation.results import FIGURES, NONE_PLANNED, Result, cases_of
from wssamnet.evaluation.statistics import bootstrap_interval, holm, signed_rank
from wssamnet.files import written_atomically

ABLATIONS = ("ablations.csv", "ablations.md", "ablations_per_case.csv")
_COLUMNS = ("method", "variant", "changes", "seed", "main")


@dataclass(frozen=True)
class Run:
    """A variant trained with one seed.

    Args:
        method: its name among the evaluations.
        variant: the variant; its other seeds have the same.
        changes: the settings that differ from the study's, as text; empty for none.
        seed: of its training; empty where nothing is trained.
        main: whether it is also one of the methods of Table 1.
    """

    method: str
    variant: str
    changes: str
    seed: str
    main: bool


@dataclass(frozen=True)
class Variant:
    """One row of ``ablations.csv``. A case counts if every seed has it; a seed without any case does not count.

    Args:
        variant, changes: see `Run`.
        cases, seeds: behind the figures of this row.
        missing: evaluations of a case by a seed that should be there and are not, or lack an error.
        mean_error: over cases, of the case's mean landmark error (mm); the mean of this over seeds.
        median_error: the same with the median over cases.
        sd_seeds: standard deviation of the mean over cases between seeds, mm; NaN for one seed.
        robustness, folding: means over cases and seeds, shares in [0, 1].
        compared: cases that this variant and the first one both have.
        difference: mean over those of the case's error (mean over seeds) minus that of the first variant, mm.
        ci_low, ci_high: 95 % bootstrap interval of it over cases.
        p: Wilcoxon signed-rank over cases, two-sided.
        p_holm: corrected for all rows.
    """

    variant: str
    changes: str
    cases: int
    seeds: int
    missing: int
    mean_error: float
    median_error: float
    sd_seeds: float
    robustness: float
    folding: float
    compared: int = 0
    difference: float = float("nan")
    ci_low: float = float("nan")
    ci_high: float = float("nan")
    p: float = float("nan")
    p_holm: float = float("nan")


def read_runs(path: Path) -> list[Run]:
    """The runs that belong to variants, in the order of the table.

    Args:
        path: a CSV with the columns method, variant, changes, seed and main (true or false).

    Raises:
        WssamnetError: it cannot be read, lacks a column, holds no run, or one twice, or `main` is neither.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise WssamnetError(f"cannot be read: {error}", path, f"a CSV with {', '.join(_COLUMNS)}") from None
    lacking = [name for name in _COLUMNS if name not in frame]
    if lacking or frame.empty:
        raise WssamnetError(f"lacks {', '.join(lacking) or 'any run'}", path, f"a CSV with {', '.join(_COLUMNS)}")
    for names in (["method"], ["variant", "seed"]):
        twice = frame.loc[frame.duplicated(names), names]
        if len(twice):
            run = " ".join(f"{name} {value}" for name, value in twice.iloc[0].items())
            raise WssamnetError(f"has {run} twice", path, "every run once")
    main = frame["main"].str.lower().map({"true": True, "false": False})
    if main.isna().any():
        wrong = frame.loc[main.isna(), "main"].iloc[0]
        raise WssamnetError(f"has '{wrong}' in the column main", path, "true or false")
    return [
        Run(row["method"], row["variant"], row["changes"], row["seed"], bool(main[index]))
        for index, row in enumerate(frame.to_dict("records"))
    ]


def runs_per_case(
    results: Sequence[Result], runs: Sequence[Run], error: ErrorKind, planned: Planned = NONE_PLANNED
) -> pd.DataFrame:
    """One row a run and case, empty figures where there is no evaluation.

    Args:
        results: evaluations, of these runs and of any others.
        runs: in the order of the table.
        error: kind of the landmark error.
        planned: what should be there besides; a case that failed in every run is counted as missing.

    Returns:
        method, variant, changes, seed, case and `results.FIGURES`.
    """
    known = {(result.method, result.case): result for result in results}
    cases = cases_of(results, planned)
    rows = []
    for run in runs:
        about = {name: value for name, value in asdict(run).items() if name != "main"}
        for case in cases:
            result = known.get((run.method, case))
            figures = dict.fromkeys(FIGURES) if result is None else result.figures(error)
            rows.append({**about, "case": case, **figures})
    frame = pd.DataFrame(rows)
    frame[list(FIGURES)] = frame[list(FIGURES)].astype(float)
    return frame


def compare_variants(per_case: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """One row a `Variant`, in the order in which they first occur; all are compared with the first.

    Args:
        per_case: `runs_per_case`.
        seed: of the bootstrap.
    """
    rows: list[Variant] = []
    errors: dict[str, pd.Series[float]] = {}
    for name, table in per_case.groupby("variant", sort=False):
        wide = table.pivot(index="case", columns="seed", values="mean")
        done = wide.dropna(axis="columns", how="all")
        complete = done.dropna() if len(done.columns) else done.iloc[:0]
        shown = table[table["case"].isin(complete.index) & table["seed"].isin(complete.columns)]
        by_seed = complete.mean()
        errors[str(name)] = complete.mean(axis="columns")
        rows.append(
            Variant(
                str(name),
                str(table["changes"].iloc[0]),
                len(complete),
                len(complete.columns),
                int(wide.isna().sum().sum()),
                float(by_seed.mean()),
                float(complete.median().mean()),
                float(by_seed.std()),
                float(shown["robustness"].mean()),
                float(shown["folding"].mean()),
            )
        )
    base = errors[rows[0].variant]
    compared = []
    for row in rows[1:]:
        both = errors[row.variant].index.intersection(base.index)
        difference = (errors[row.variant][both] - base[both]).to_numpy()
        low, high = bootstrap_interval(difference, seed=seed)
        found = {
            "compared": len(both),
            "difference": float(difference.mean()) if len(both) else float("nan"),
            "ci_low": low,
            "ci_high": high,
            "p": signed_rank(difference),
        }
        compared.append(Variant(**(asdict(row) | found)))
    corrected = holm([row.p for row in compared])
    rest = [Variant(**(asdict(row) | {"p_holm": float(p)})) for row, p in zip(compared, corrected, strict=True)]
    return pd.DataFrame([asdict(row) for row in (rows[0], *rest)], columns=list(Variant.__dataclass_fields__))


def write_ablations(
    results: Sequence[Result], runs: Sequence[Run], out: Path, error: ErrorKind, planned: Planned, *, seed: int = 0
) -> None:
    """Write the table of variants and what it is made of, each file whole or not at all.

    Args:
        results: evaluations, of these runs and of any others.
        runs: `read_runs`.
        out: the folder, which exists.
        error: kind of the landmark error.
        planned: see `runs_per_case`.
        seed: of the bootstrap.
    """
    per_case = runs_per_case(results, runs, error, planned)
    table = compare_variants(per_case, seed=seed)
    figures, text_file, cases = ABLATIONS
    for name, frame in ((figures, table), (cases, per_case)):
        with written_atomically(out / name) as temporary:
            frame.to_csv(temporary, index=False, float_format="%.6g")
    with written_atomically(out / text_file) as temporary:
        text = markdown(HEADINGS, variant_rows(table), variant_notes(table, error))
        temporary.write_text(text, encoding="utf-8")


HEADINGS = (
    *("changed", "mean error, mm", "median, mm", "SD over seeds", "difference, mm", "95 % interval", "p (Holm)"),
    *("robustness", "folding, %", "cases × seeds"),
)


def variant_rows(table: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """The variants as text: name, and one cell for each of `HEADINGS`.

    Args:
        table: `compare_variants`, or ``ablations.csv`` read back.
    """

    def number(value: float, form: str) -> str:
        return "–" if np.isnan(value) else f"{value:{form}}"

    rows = []
    for row in (Variant(**{str(name): value for name, value in line.items()}) for line in table.to_dict("records")):
        figures = [
            *(number(row.mean_error, ".2f"), number(row.median_error, ".2f"), number(row.sd_seeds, ".2f")),
            number(row.difference, "+.2f"),
            "–" if np.isnan(row.ci_low) else f"{row.ci_low:+.2f} to {row.ci_high:+.2f}",
            probability(row.p_holm),
            *(number(row.robustness, ".2f"), number(100 * row.folding, ".3f")),
        ]
        count = f"{row.cases} × {row.seeds}" + (f" ({row.missing} missing)" if row.missing else "")
        rows.append((row.variant, [row.changes or "–", *figures, count]))
    return rows


def variant_notes(table: pd.DataFrame, error: str) -> list[str]:
    """How to read the table, as lines."""
    base, cases = table["variant"].iloc[0], int(table["compared"].max())
    kind = "Euclidean" if error == "euclidean" else "l1"
    lines = [
        f"Error: mean landmark error of a case ({kind}); its mean and median over cases, averaged over seeds. "
        "SD: of the mean over cases, between seeds.",
        f"Difference: to {base}, on the same cases, each case's error averaged over seeds; above 0 is worse. "
        "p: two-sided Wilcoxon signed-rank over cases, corrected by Holm over all rows.",
    ]
    if 0 < cases < 10:
        lines.append(
            f"With {cases} {'case' if cases == 1 else 'cases'} no p below {2 / 2**cases:.3f} is possible, "
            "even before correction."
        )
    if table["missing"].any():
        lines.append("Missing: evaluations without an error; such a case is left out of the variant's row.")
    return lines
