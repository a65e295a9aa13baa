"""Evaluations read back: one `Result` a method and case."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from wssamnet.errors import WssamnetError
from wssamnet.evaluation.errors import ErrorKind
from wssamnet.evaluation.planned import Planned

# columns in this order, then other methods by name
ORDER = (
    *("identity", "affine", "ants", "greedy", "elastix", "convexadam", "fireants"),
    *("voxelmorph", "wssamnet", "refinement", "wssamnet_refined"),
)
ERROR_FIGURES = ("initial_median", "initial_mean", "median", "mean", "max", "robustness")
SHOWN_CASES = 6  # of a method that fails alike on many
FIGURES = (*ERROR_FIGURES, "folding", "sd_log_jacobian", "seconds")
NONE_PLANNED: Planned = {}


@dataclass(frozen=True)
class Result:
    """The evaluation of one method on one case.

    Args:
        folder: where ``metrics.json`` lies.
        metrics: its content.
    """

    folder: Path
    metrics: dict[str, Any]

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.metrics["method"])

    @property
    def case(self) -> str:
        """The case's name."""
        return str(self.metrics["case"])

    @property
    def run(self) -> dict[str, Any]:
        """The method's ``run.json``; empty if there was none."""
        return dict(self.metrics.get("run") or {})

    @property
    def problems(self) -> list[str]:
        """What evaluation found wrong or missing, and what the method itself warned of."""
        warned = self.run.get("warnings") or []
        lines = [*self.metrics["problems"], *([warned] if isinstance(warned, str) else warned)]
        if self.run.get("worse_than_start"):
            lines.append("by the method's own measure the images are less alike than before it")
        trip = self.run.get("landmark_round_trip") or {}
        if trip.get("not_inverted"):
            lines.append(
                f"at {trip['not_inverted']} landmarks the two directions do not undo each other, "
                f"by up to {trip.get('max_mm', float('nan')):.2f} mm"
            )
        return [str(line) for line in lines]

    def figures(self, error: ErrorKind) -> dict[str, float | None]:
        """The numbers of a case (`FIGURES`): mm, shares in [0, 1], seconds; None where not defined."""
        errors = (self.metrics.get("errors") or {}).get(error) or {}
        initial, final = errors.get("initial") or {}, errors.get("final") or {}
        regular = self.metrics.get("regularity") or {}
        found = {
            "initial_median": initial.get("median"),
            "initial_mean": initial.get("mean"),
            "median": final.get("median"),
            "mean": final.get("mean"),
            "max": final.get("max"),
            "robustness": (errors.get("robustness") or {}).get("share"),
            "folding": regular.get("folding"),
            "sd_log_jacobian": regular.get("sd_log_jacobian"),
            "seconds": (self.run.get("seconds") or {}).get("register"),
        }
        return {name: None if value is None else float(value) for name, value in found.items()}

    @property
    def prealign_seconds(self) -> float | None:
        """Seconds of the affine start, which all methods share and which their own time leaves out."""
        seconds = ((self.metrics.get("preparation") or {}).get("seconds") or {}).get("prealign")
        return None if seconds is None else float(seconds)

    def zero_initial(self, error: ErrorKind) -> int:
        """Landmarks without any error before registration; they can never improve."""
        errors = (self.metrics.get("errors") or {}).get(error) or {}
        return int((errors.get("robustness") or {}).get("zero_initial", 0))

    def landmarks(self) -> pd.DataFrame | None:
        """The case's ``landmarks.csv``, or None if it has no landmarks."""
        path = self.folder / "landmarks.csv"
        return pd.read_csv(path) if path.is_file() else None


def read_results(evaluations: Sequence[Path]) -> list[Result]:
    """Read evaluations, sorted by method (in the table's order) and case.

    Args:
        evaluations: ``<method>/<case>`` folders, or roots that hold such folders.

    Raises:
        WssamnetError: a folder holds no evaluation, or a method's case occurs twice.
    """
    results: dict[tuple[str, str], Result] = {}
    for given in map(Path, evaluations):
        paths = [given / "metrics.json"]
        if not paths[0].is_file():
            # without what is being written, or was when it was killed
            paths = sorted(given.glob("*/[!.]*/metrics.json"))
        if not paths:
            raise WssamnetError("holds no evaluation", given, "a folder made by `wssamnet evaluate`")
        for path in paths:
            try:
                result = Result(path.parent, json.loads(path.read_text(encoding="utf-8")))
                key = (result.method, result.case)
            except (ValueError, KeyError) as error:
                raise WssamnetError(f"is not an evaluation: {error}", path, "run `wssamnet evaluate` again") from None
            if key in results:
                raise WssamnetError(
                    f"{key[0]} on {key[1]} occurs twice: also in {results[key].folder}", path.parent, "one of them"
                )
            results[key] = result
    if not results:
        raise WssamnetError("there is no evaluation", remedy="at least one folder made by `wssamnet evaluate`")
    return [results[key] for key in sorted(results, key=lambda key: (*method_rank(key[0]), key[1]))]


def machine_of(results: Sequence[Result], method: str) -> str:
    """The device and threads that a method ran on, as text; several where its runs differ."""
    found = sorted(
        {
            f"{result.run.get('device') or 'unknown device'}, {_threads(result.run.get('threads'))}"
            for result in results
            if result.method == method
        }
    )
    return " or ".join(found)


def _threads(count: Any) -> str:
    if count is None:
        return "unknown threads"
    return "1 thread" if count == 1 else f"{count} threads"


def method_rank(method: str) -> tuple[int, str]:
    """Sorting key of a method: the table's order, variants (`ants.good`) beside their method, then by name."""
    known = method.split(".")[0]
    return (ORDER.index(known) if known in ORDER else len(ORDER), method)


def methods_of(results: Sequence[Result], planned: Planned = NONE_PLANNED) -> list[str]:
    """The methods evaluated or planned, in the table's order."""
    return sorted({result.method for result in results} | {method for method, _ in planned}, key=method_rank)


def cases_of(results: Sequence[Result], planned: Planned = NONE_PLANNED) -> list[str]:
    """The cases that any method was evaluated on, or should have been, sorted."""
    return sorted({result.case for result in results} | {case for _, case in planned})


def per_case(results: Sequence[Result], error: ErrorKind, planned: Planned = NONE_PLANNED) -> pd.DataFrame:
    """One row a method and case; a case that a method lacks has a row too, empty, ``status`` missing.

    Args:
        results: all evaluations.
        error: kind of the landmark error.
        planned: what should be there besides, and why it is not.

    Columns: method, case, status (ok, incomplete, missing), error, landmarks, zero_initial, `FIGURES`,
    prealign_seconds, device, threads, prealigned_by, problems.
    """
    known = {(result.method, result.case): result for result in results}
    # the state before registration belongs to the case: it is known even where the method is missing
    initial: dict[str, dict[str, float | None]] = {}
    for result in results:
        found = result.figures(error)
        if found["initial_median"] is not None:
            initial[result.case] = {name: found[name] for name in ("initial_median", "initial_mean")}
    rows = []
    cases = cases_of(results, planned)
    for method in methods_of(results, planned):
        for case in cases:
            row: dict[str, Any] = {"method": method, "case": case, "status": "missing", "error": error}
            row |= dict.fromkeys(
                ("landmarks", "zero_initial", *FIGURES, "prealign_seconds", "device", "threads", "prealigned_by")
            )
            row |= initial.get(case, {}) | {"problems": planned.get((method, case)) or "no evaluation of this case"}
            own = known.get((method, case))
            if own is not None:
                figures = own.figures(error)
                judged = own.metrics.get("landmarks") is not None
                regular = figures["folding"] is not None or bool(own.run.get("landmarks_alone"))
                complete = regular and (figures["median"] is not None or not judged)
                row |= figures | initial.get(case, {})
                row |= {
                    "status": "ok" if complete else "incomplete",
                    "landmarks": own.metrics.get("landmarks"),
                    "zero_initial": own.zero_initial(error) if judged else None,
                    "prealign_seconds": own.prealign_seconds,
                    "problems": "; ".join(own.problems),
                }
                row |= {name: own.run.get(name) for name in ("device", "threads", "prealigned_by")}
            rows.append(row)
    frame = pd.DataFrame(rows)
    numbers = [*FIGURES, "prealign_seconds"]
    frame[numbers] = frame[numbers].astype(float)
    frame[["landmarks", "zero_initial"]] = frame[["landmarks", "zero_initial"]].astype("Int64")
    return frame


def failed_lines(cases: pd.DataFrame) -> list[tuple[str, str, str]]:
    """(method and case or cases, status, problems) of what is missing or incomplete, in the order of `per_case`.

    Cases that a method lacks for one reason, a training that failed for example, share a line.
    """
    alike: dict[tuple[str, str, str], list[str]] = {}
    bad = cases[cases["status"] != "ok"]
    for row in zip(bad["method"], bad["status"], bad["problems"], bad["case"], strict=True):
        method, status, problems, case = map(str, row)
        alike.setdefault((method, status, problems), []).append(case)
    lines = []
    for (method, status, problems), names in alike.items():
        shown = ", ".join(names[:SHOWN_CASES])
        if 1 < len(names) == cases["case"].nunique():
            shown = f"all {len(names)} cases"
        elif len(names) > SHOWN_CASES:
            shown += f" and {len(names) - SHOWN_CASES} more"
        lines.append((f"{method}, {shown}", status, problems))
    return lines


def per_landmark(results: Sequence[Result]) -> pd.DataFrame:
    """Every evaluation's ``landmarks.csv``, with its method and case; empty where there are no landmarks."""
    frames = []
    for result in results:
        table = result.landmarks()
        if table is not None:
            table.insert(0, "case", result.case)
            table.insert(0, "method", result.method)
            frames.append(table)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["method", "case", "landmark"])
