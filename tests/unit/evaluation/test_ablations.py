"""The table of variants: known numbers, missing evaluations, and what stays out of the main table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from wssamnet.errors import WssamnetError
from wssamnet.evaluation import write_tables
from wssamnet.evaluation.ablations import Run, compare_variants, read_runs, runs_per_case, variant_rows
from wssamnet.evaluation.results import Result

RUNS = (
    Run("wssamnet", "wssamnet", "", "1", True),
    Run("wssamnet.seed2", "wssamnet", "", "2", False),
    Run("wssamnet.no_mi", "wssamnet.no_mi", "mi_weight=0", "1", False),
    Run("wssamnet.no_mi.seed2", "wssamnet.no_mi", "mi_weight=0", "2", False),
    Run("refinement", "refinement", "", "", False),
)
CASES = "abcdef"
Errors = dict[str, list[float | None]]


def _metrics(method: str, case: str, error: float) -> dict[str, object]:
    kind = {
        "initial": {"median": 9.0, "mean": 9.0, "max": 9.0},
        "final": {"median": error / 2, "mean": error, "max": 2 * error},
        "robustness": {"share": 0.75, "improved": 3, "total": 4, "zero_initial": 0},
    }
    return {
        "method": method,
        "case": case,
        "landmarks": 4,
        "errors": {"euclidean": kind, "l1": kind},
        "regularity": {"folding": 0.01, "sd_log_jacobian": 0.1, "smallest": 0, "largest": 2, "voxels": 100},
        "problems": [],
        "run": {"seconds": {"register": 1.0}, "device": "cpu", "threads": 1},
    }


def _results(errors: Errors) -> list[Result]:
    return [
        Result(Path(method) / case, _metrics(method, case, error))
        for method, values in errors.items()
        for case, error in zip(CASES, values, strict=True)
        if error is not None
    ]


@pytest.fixture
def errors() -> Errors:
    """Six cases of 1 to 6 mm; the second seed is 0.2 mm worse; without MI 0.5 mm better; refinement helps one case."""
    base = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    return {
        "wssamnet": [*base],
        "wssamnet.seed2": [value + 0.2 for value in base],
        "wssamnet.no_mi": [value - 0.5 for value in base],
        "wssamnet.no_mi.seed2": [value - 0.3 for value in base],
        "refinement": [*(value + 0.1 for value in base[:5]), 3.0],
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Errors], tuple[list[Path], Path]]:
    """A function that writes evaluations, and the list of `RUNS`."""

    def write(errors: Errors) -> tuple[list[Path], Path]:
        for result in _results(errors):
            folder = tmp_path / "evaluation" / result.folder
            folder.mkdir(parents=True)
            (folder / "metrics.json").write_text(json.dumps(result.metrics))
        lines = [f"{run.method},{run.variant},{run.changes},{run.seed},{str(run.main).lower()}" for run in RUNS]
        (tmp_path / "variants.csv").write_text("\n".join(["method,variant,changes,seed,main", *lines]) + "\n")
        return [tmp_path / "evaluation"], tmp_path / "variants.csv"

    return write


def _table(errors: Errors) -> pd.DataFrame:
    return compare_variants(runs_per_case(_results(errors), RUNS, "euclidean")).set_index("variant")


def test_known_numbers(errors: Errors) -> None:
    table = _table(errors)
    assert table.index.tolist() == ["wssamnet", "wssamnet.no_mi", "refinement"]
    base, without, refined = (table.loc[name] for name in table.index)
    assert (base["cases"], base["seeds"], base["missing"]) == (6, 2, 0)
    assert base["mean_error"] == pytest.approx(3.6)  # 3.5 and 3.7
    assert base["median_error"] == pytest.approx(3.6)
    assert base["sd_seeds"] == pytest.approx(0.2 / np.sqrt(2))
    assert base["robustness"] == 0.75
    assert base["folding"] == pytest.approx(0.01)
    assert np.isnan([base["difference"], base["p"], base["p_holm"]]).all()
    assert without["difference"] == pytest.approx(-0.5)
    assert (without["ci_low"], without["ci_high"]) == pytest.approx((-0.5, -0.5))
    assert without["p"] == pytest.approx(2 / 2**6)  # six differences of one sign
    assert without["p_holm"] == pytest.approx(2 * 2 / 2**6)  # two comparisons
    # refinement, one "seed": five differences that vanish against the base's mean over seeds, one of 3.1 mm
    assert (refined["cases"], refined["seeds"]) == (6, 1)
    assert np.isnan(refined["sd_seeds"])
    assert refined["difference"] == pytest.approx(-3.1 / 6)
    assert refined["p"] == 1
    assert refined["p_holm"] == 1


def test_a_missing_evaluation_is_told_and_its_case_left_out_of_its_row(errors: Errors) -> None:
    errors["wssamnet.no_mi.seed2"][5] = None
    table = _table(errors)
    row = table.loc["wssamnet.no_mi"]
    assert (row["cases"], row["seeds"], row["missing"], row["compared"]) == (5, 2, 1, 5)
    assert row["mean_error"] == pytest.approx(3 - 0.4)  # cases a to e alone, of both seeds
    assert row["difference"] == pytest.approx(-0.5)
    assert table.loc["wssamnet", "cases"] == 6
    assert variant_rows(table.reset_index())[1][1][-1] == "5 × 2 (1 missing)"


def test_a_seed_or_a_variant_without_any_evaluation_stays_in_the_table(errors: Errors) -> None:
    errors["wssamnet.no_mi.seed2"] = [None] * 6
    errors["refinement"] = [None] * 6
    table = _table(errors)
    assert (table.loc["wssamnet.no_mi", "seeds"], table.loc["wssamnet.no_mi", "missing"]) == (1, 6)
    assert table.loc["wssamnet.no_mi", "difference"] == pytest.approx(-0.6)
    lost = table.loc["refinement"]
    assert (lost["cases"], lost["seeds"], lost["missing"], lost["compared"]) == (0, 0, 6, 0)
    assert np.isnan(lost["mean_error"])
    cells = variant_rows(table.reset_index())[2][1]
    assert cells == [*["–"] * 9, "0 × 0 (6 missing)"]


def test_a_case_that_failed_in_every_run_is_counted(errors: Errors) -> None:
    planned = {(run.method, "z"): "out of memory" for run in RUNS}
    table = compare_variants(runs_per_case(_results(errors), RUNS, "euclidean", planned))
    assert variant_rows(table)[0][1][-1] == "6 × 2 (2 missing)"


def test_a_small_p_is_not_zero(errors: Errors) -> None:
    table = _table(errors).reset_index()
    table.loc[1, "p_holm"] = 4e-4
    assert variant_rows(table)[1][1][6] == "< 0.001"


def test_the_main_table_holds_the_methods_alone(
    errors: Errors, write: Callable[[Errors], tuple[list[Path], Path]], tmp_path: Path
) -> None:
    evaluations, variants = write({**errors, "affine": [4.0] * 6})
    out = write_tables(evaluations, tmp_path / "tables", variants=variants)
    columns = [name for name in pd.read_csv(out / "table1.csv").columns if name.startswith("n ")]
    assert columns == ["n before registration", "n affine", "n wssamnet"]
    assert set(pd.read_csv(out / "per_case.csv")["method"]) == {"affine", "wssamnet"}
    table = pd.read_csv(out / "ablations.csv", keep_default_na=False, dtype=str)
    assert table["variant"].tolist() == ["wssamnet", "wssamnet.no_mi", "refinement"]
    assert table.loc[1, "difference"] == "-0.5"
    cases = pd.read_csv(out / "ablations_per_case.csv")
    assert len(cases) == 5 * 6
    assert cases.loc[cases["method"] == "wssamnet.seed2", "mean"].tolist() == pytest.approx(
        [1.2, 2.2, 3.2, 4.2, 5.2, 6.2]
    )
    text = (out / "ablations.md").read_text(encoding="utf-8")
    assert "| wssamnet.no_mi | mi_weight=0 |" in text
    assert "-0.50" in text
    assert "With 6 cases no p below 0.031 is possible" in text


def test_without_variants_there_is_no_such_table(
    errors: Errors, write: Callable[[Errors], tuple[list[Path], Path]], tmp_path: Path
) -> None:
    evaluations, _ = write(errors)
    out = write_tables(evaluations, tmp_path / "tables")
    assert not list(out.glob("ablations*"))
    assert "n wssamnet.no_mi" in pd.read_csv(out / "table1.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("method,variant\na,b\n", "lacks changes, seed, main"),
        ("method,variant,changes,seed,main\n", "lacks any run"),
        ("method,variant,changes,seed,main\na,b,,1,true\na,c,,1,true\n", "has method a twice"),
        ("method,variant,changes,seed,main\na,b,,1,true\nc,b,,1,true\n", "has variant b seed 1 twice"),
        ("method,variant,changes,seed,main\na,b,,1,yes\n", "has 'yes' in the column main"),
        (None, "cannot be read"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "variants.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(WssamnetError, match=message):
        read_runs(path)


def test_main_is_read_as_a_table_program_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "variants.csv"
    path.write_text("method,variant,changes,seed,main\na,b,,1,True\nc,d,,1,FALSE\n")
    assert [run.main for run in read_runs(path)] == [True, False]


def test_variants_alone_are_refused(
    errors: Errors, write: Callable[[Errors], tuple[list[Path], Path]], tmp_path: Path
) -> None:
    del errors["wssamnet"]
    evaluations, variants = write(errors)
    with pytest.raises(WssamnetError, match="no evaluation but of variants"):
        write_tables(evaluations, tmp_path / "tables", variants=variants)
    assert not (tmp_path / "tables").exists()
