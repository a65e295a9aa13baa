"""The run that the reports are of."""

from __future__ import annotations

import pytest

from report_runs import Run, finish_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return finish_run(tmp_path_factory.mktemp("report"))
