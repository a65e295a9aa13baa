"""Registrations of small cases, made by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from wssamnet.cohort import Case, Scan
from wssamnet.fields import AffineMap
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.protocol import Registration, run


@dataclass(frozen=True)
class Shift:
    """A registrar that moves everything by so many mm along x."""

    name: str
    mm: float
    seed: int | None = None
    device: str = "cpu"

    def register(self, case: PreparedCase) -> Registration:
        matrix = np.eye(4)
        matrix[0, 3] = self.mm
        return Registration(AffineMap(matrix), AffineMap(matrix).inverse(), {"preset": "by hand"})


@dataclass(frozen=True)
class Cohort:
    """Some prepared cases and their registrations by ``identity`` and ``shift`` (2 mm)."""

    root: Path
    prepared: dict[str, Path]
    cases: dict[str, Case]

    def registration(self, method: str, case: str) -> Path:
        return self.root / "registration" / method / case


@pytest.fixture
def cohort(tmp_path: Path, make_prepared: Callable[..., PreparedCase]) -> Cohort:
    prepared, cases = {}, {}
    for index, name in enumerate(("case_a", "case_b", "case_c")):
        case = make_prepared(name, seed=index, shape=(22, 20, 18), amplitude=2, landmarks=6 + index)
        prepared[name] = case.folder
        fixed = Scan({"t1ce": case.folder / "fixed.nii.gz"}, case.folder / "truth.csv", None)
        moving = Scan({"t1ce": case.folder / "moving.nii.gz"}, case.folder / "moving_landmarks.csv", None)
        cases[name] = Case(name, fixed, moving)
        for registrar in (Shift("identity", 0), Shift("shift", 2)):
            run(registrar, case, tmp_path / "registration")
    return Cohort(tmp_path, prepared, cases)
