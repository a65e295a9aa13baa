"""What the page says of tables and trainings."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from wssamnet.errors import WssamnetError
from wssamnet.evaluation.tables import BEFORE, Column, Row, Table
from wssamnet.report.content import problem_lines, read_models, table_rows

METHODS = ("affine", "ants", "wssamnet")


def _marked(values: tuple[float, ...], counts: tuple[int, ...]) -> list[str]:
    """The methods marked as best in a row of errors of these values over so many of ten cases."""
    columns = tuple(Column(name) for name in (BEFORE, *METHODS))
    row = Row("mean_mean", "Mean of mean AE", "mm", 2, (5.0, *values), (10, *counts))
    ((_, _, cells),) = table_rows(Table("euclidean", 10, columns, (row,), (), ()))
    return [column.name for column, cell in zip(columns, cells, strict=True) if cell.best]


@pytest.mark.parametrize(
    ("values", "counts", "best"),
    [
        ((2.0, 0.5, 0.9), (10, 10, 10), ["ants"]),
        ((2.0, 0.5, 0.9), (10, 2, 10), ["wssamnet"]),  # easy cases alone
        ((2.0, 0.9, 0.9), (9, 9, 9), ["ants", "wssamnet"]),  # a case without landmarks
        ((2.0, 0.5, 0.9), (10, 2, 2), []),  # nothing to compare with
    ],
)
def test_the_best_is_marked_among_those_with_the_most_cases(
    values: tuple[float, ...], counts: tuple[int, ...], best: list[str]
) -> None:
    assert _marked(values, counts) == best


def _trained(folder: Path, stage: str, **more: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "training.json").write_text(json.dumps({"stage": stage, **more}), encoding="utf-8")
    return folder


def test_trainings_of_one_stage_are_told_apart_by_fold_or_folder(tmp_path: Path) -> None:
    folders = [
        _trained(tmp_path / name, stage)
        for name, stage in (("1/net", "registration"), ("2/net", "registration"), ("1/vxm", "voxelmorph"))
    ]
    names = [model.name for model in read_models(folders, [1, 2, 1])]
    assert names == ["registration, fold 1", "registration, fold 2", "voxelmorph"]
    assert [model.name for model in read_models(folders)][:2] == ["registration (net)"] * 2
    with pytest.raises(WssamnetError, match="3 models and 2 folds are given"):
        read_models(folders, [1, 2])


def test_what_a_training_was_warned_of_is_told(tmp_path: Path) -> None:
    models = read_models([_trained(tmp_path / "m", "registration", problems=["PyTorch sees no GPU"])])
    cases = pd.DataFrame(columns=["method", "case", "status", "problems"])
    assert problem_lines(cases, models) == [("registration", "PyTorch sees no GPU", "warning")]
