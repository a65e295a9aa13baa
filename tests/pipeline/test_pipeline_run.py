"""One real run of the profile `test`, and what a second run repeats."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import pytest
from nextflow_calls import REAL_RUN, Answer, Pipeline

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(REAL_RUN + 60)]

METHODS = ("identity", "affine", "ants", "voxelmorph", "wssamnet", "refinement", "wssamnet_refined")
MODELS = ("segmentation_fixed", "segmentation_moving", "pretrained", "wssamnet", "voxelmorph")
WORDS = ("-profile", "test", "--outdir", "out", "-resume")
Finished = tuple[Pipeline, Answer]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_it_ends_well_and_prints_the_table(finished: Finished) -> None:
    pipeline, answer = finished
    assert answer.status == 0, answer.output
    table = (pipeline.folder / "out" / "tables" / "table1.md").read_text(encoding="utf-8")
    assert table.strip() in answer.output
    assert "Median of median AE" in table
    assert f"Report: {pipeline.folder}/out/report.html" in answer.output


def test_every_output_is_there(finished: Finished) -> None:
    out = finished[0].folder / "out"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert 'src="http' not in page
    for name in ("table1.csv", "table1.md", "table1.tex", "per_case.csv", "per_landmark.csv", "statistics.csv"):
        assert (out / "tables" / name).stat().st_size > 0
    # the simulated cohort knows its tumours
    bands = _rows(out / "tables" / "error_by_distance.csv")
    landmarks = _rows(out / "tables" / "per_landmark.csv")
    assert {row["method"] for row in bands} == {"before registration", *METHODS}
    assert sum(int(row["n"]) for row in bands if row["method"] == "affine") == len(landmarks) / len(METHODS)
    worst = _rows(out / "tables" / "worst_landmarks.csv")
    assert len(worst) == 10
    assert "By distance to the tumour" in page
    assert page.count("data:image/webp", page.index('id="where"'), page.index('id="statistics"')) == 30
    for stem in ("error_by_case", "cumulative_error", "robustness_by_case", "training_0"):
        assert (out / "figures" / f"{stem}.pdf").read_bytes().startswith(b"%PDF")
        assert "<svg" in (out / "figures" / f"{stem}.svg").read_text(encoding="utf-8")
    assert re.search(r"<th>registration_steps</th><td[^>]*>4</td>", page)
    assert page.count('<script type="application/json">') == 2
    cases = {row["case"] for row in _rows(out / "tables" / "per_case.csv")}
    assert len(cases) == 2
    for method in METHODS:
        assert {path.name for path in (out / "registration" / method).iterdir()} == cases
        for case in cases:
            files = {path.name for path in (out / "registration" / method / case).iterdir()}
            assert files >= {
                *("warped.nii.gz", "fixed_to_moving.nii.gz", "moving_to_fixed.nii.gz"),
                *("landmarks.csv", "run.json"),
            }
    for model in MODELS:
        files = {path.name for path in (out / "models" / "fold1" / model).iterdir()}
        assert files >= {"model.safetensors", "settings.json", "losses.csv", "losses.png", "training.json"}
    info = out / "pipeline_info"
    assert json.loads((info / "params.json").read_text())["parameters"]["registration_steps"] == 4
    assert "TRAIN_REGISTRATION: wssamnet " in (info / "versions.txt").read_text()
    for name in ("trace.txt", "dag.mmd", "execution_report.html", "timeline.html"):
        assert (info / name).stat().st_size > 0


def test_every_method_has_a_finite_figure_for_every_case(finished: Finished) -> None:
    out = finished[0].folder / "out"
    rows = _rows(out / "tables" / "per_case.csv")
    assert {row["method"] for row in rows} == set(METHODS)
    for row in rows:
        figures = [float(row[name]) for name in ("median", "mean", "robustness", "seconds")]
        assert all(math.isfinite(figure) for figure in figures), row


def test_tasks_keep_to_their_cores(finished: Finished) -> None:
    out = finished[0].folder / "out"
    for path in sorted((out / "registration").glob("*/*/run.json")):
        assert json.loads(path.read_text())["threads"] == 1


def test_resuming_starts_no_task(finished: Finished) -> None:
    pipeline, _ = finished
    answer = pipeline.run(*WORDS)
    assert answer.status == 0, answer.output
    assert pipeline.again() == set()


def test_a_report_option_repeats_the_report_alone(finished: Finished) -> None:
    pipeline, _ = finished
    answer = pipeline.run(*WORDS, "--report_title", "It's another <title>")
    assert answer.status == 0, answer.output
    assert pipeline.again() == {"REPORT"}
    assert "It&#39;s another &lt;title&gt;" in (pipeline.folder / "out" / "report.html").read_text(encoding="utf-8")


def test_a_kind_of_error_repeats_tables_and_report(finished: Finished) -> None:
    pipeline, _ = finished
    answer = pipeline.run(*WORDS, "--error", "l1")
    assert answer.status == 0, answer.output
    assert pipeline.again() == {"TABULATE", "REPORT"}
