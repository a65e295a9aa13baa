"""The flow without its work: stubs, the stricter parser, the linter, folds, and leaving methods out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from nextflow_calls import Pipeline

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]

METHODS = ("identity", "affine", "ants", "voxelmorph", "wssamnet", "refinement", "wssamnet_refined")
ONE_EACH = dict.fromkeys(
    (
        *("SIMULATE", "CHECK_COHORT", "PREPROCESS"),
        *("PRETRAIN", "TRAIN_REGISTRATION", "TRAIN_VOXELMORPH", "TABULATE", "REPORT"),
    ),
    1,
)


@pytest.mark.parametrize("parser", ["v1", "v2"])
def test_the_flow_runs_as_stubs_under_both_parsers(pipeline: Pipeline, parser: str) -> None:
    answer = pipeline.run("-profile", "test", "-stub-run", "--outdir", "out", NXF_SYNTAX_PARSER=parser)
    assert answer.status == 0, answer.output
    # the v2 parser of 25.04 reads the configuration without the parameters of the command line
    default = (pipeline.folder / "results").exists() and parser == "v2"
    counts = Counter(process for process, _ in pipeline.trace("results" if default else "out"))
    assert counts == {**ONE_EACH, "TRAIN_SEGMENTATION": 2, "REGISTER": 7, "EVALUATE": 7}
    assert (pipeline.folder / "out" / "report.html").is_file()


def test_the_linter_has_nothing_to_say(pipeline: Pipeline) -> None:
    checkout = pipeline.checkout
    parts = [checkout / name for name in ("main.nf", "nextflow.config", "modules", "conf")]
    answer = pipeline.nextflow("lint", *parts)
    assert answer.status == 0, answer.output
    assert "Warn" not in answer.output
    assert "had no errors" in answer.output


def test_each_fold_trains_its_own_models_and_the_others_are_shared(pipeline: Pipeline) -> None:
    sheet = pipeline.folder / "cohort"
    for number in range(8):
        (sheet / f"case_{number}").mkdir(parents=True)
    words = ("-stub-run", "--input", sheet, "--folds", 2, "--cases_per_task", 3, "--outdir", "out")
    answer = pipeline.run(*words)
    assert answer.status == 0, answer.output
    counts = Counter(process for process, _ in pipeline.trace())
    assert counts["TRAIN_SEGMENTATION"] == 4
    assert counts["TRAIN_VOXELMORPH"] == counts["PRETRAIN"] == counts["TRAIN_REGISTRATION"] == 2
    # 4 test cases a fold in batches of 3 for three learned methods; 8 at once for the four others
    assert counts["REGISTER"] == 3 * 2 * 2 + 4 * 3
    assert counts["PREPROCESS"] == 3
    assert {path.name for path in (pipeline.folder / "out" / "models").iterdir()} == {"fold1", "fold2"}
    for method in METHODS:
        found = {path.name for path in (pipeline.folder / "out" / "registration" / method).iterdir()}
        assert found == {f"case_{number}" for number in range(8)}


def test_methods_left_out_are_not_trained(pipeline: Pipeline) -> None:
    words = ("-profile", "test", "-stub-run", "--methods", "affine,wssamnet", "--pretraining_steps", 0)
    answer = pipeline.run(*words, "--outdir", "out")
    assert answer.status == 0, answer.output
    processes = {process for process, _ in pipeline.trace()}
    assert "TRAIN_REGISTRATION" in processes
    assert not processes & {"PRETRAIN", "TRAIN_VOXELMORPH"}
    assert {path.name for path in (pipeline.folder / "out" / "registration").iterdir()} == {"affine", "wssamnet"}


@pytest.mark.parametrize(
    ("words", "tested"),
    [
        ((), {"1", "2", "3", "4", "5"}),
        (("--test_ratio", 0.4), {"1", "5"}),
        (("--methods", "affine,voxelmorph"), {"1", "5"}),
    ],
)
def test_without_a_training_every_case_is_registered(
    pipeline: Pipeline, words: tuple[object, ...], tested: set[str]
) -> None:
    for number in range(1, 6):
        (pipeline.folder / "cohort" / str(number)).mkdir(parents=True)
    words = ("-stub-run", "--input", "cohort", "--methods", "affine,refinement", *words, "--outdir", "out")
    answer = pipeline.run(*words)
    assert answer.status == 0, answer.output
    assert {path.name for path in (pipeline.folder / "out" / "registration" / "affine").iterdir()} == tested


def test_brackets_in_paths_are_letters(pipeline: Pipeline) -> None:
    cohort, out = pipeline.folder / "my [co]hort" / "visit [1]", pipeline.folder / "out [2]"
    for name in ("a", "b"):
        (cohort / name).mkdir(parents=True)
        (cohort / name / f"{name}[1].nii.gz").write_bytes(b"")
    answer = pipeline.run("-stub-run", "--input", cohort, "--methods", "affine", "--outdir", out)
    assert answer.status == 0, answer.output
    assert {path.name for path in (out / "registration" / "affine").iterdir()} == {"a", "b"}


def test_a_changed_cohort_is_noticed_and_an_unchanged_one_is_not_read_again(pipeline: Pipeline) -> None:
    cohort = pipeline.folder / "cohort"
    for number in range(4):
        (cohort / f"case_{number}").mkdir(parents=True)
    image = Path(cohort / "case_0" / "image.nii.gz")
    image.write_bytes(b"one")
    words = ("-stub-run", "-resume", "--input", cohort, "--outdir", "out")
    assert pipeline.run(*words).status == 0
    assert pipeline.run(*words).status == 0
    assert pipeline.again() == set()
    image.write_bytes(b"changed")
    assert pipeline.run(*words).status == 0
    # case_0 is a test case: no training has seen it
    expected = {"CHECK_COHORT", "PREPROCESS", "REGISTER", "EVALUATE", "TABULATE", "REPORT"}
    assert pipeline.again() == expected


# Runs what it is given on this machine: which folders a container would see stands in the task's own script.
DOCKER = '#!/bin/bash\n[ "$1" = run ] || exit 0\nwhile [ "$1" != wssamnet:latest ]; do shift; done\nshift\nexec "$@"\n'


def _contained(pipeline: Pipeline, *words: object) -> Callable[[str], str]:
    """Run in pretended containers; the script of a process's task."""
    docker = pipeline.folder / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    path = f"{docker.parent}:{os.environ['PATH']}"
    answer = pipeline.run("-stub-run", "-profile", "docker", *words, "--outdir", "out", PATH=path)
    assert answer.status == 0, answer.output

    def script(process: str) -> str:
        (row,) = (row for row in pipeline.trace_rows() if row["process"].endswith(process))
        (found,) = (pipeline.folder / "work").glob(f"{row['hash']}*/.command.run")
        return found.read_text(encoding="utf-8")

    return script


def _mounted(pipeline: Pipeline, *words: object) -> Callable[[str], list[str]]:
    """Run so; which folders the task of a process would see."""
    script = _contained(pipeline, *words)
    return lambda process: re.findall(r" -v (/[^ :]+):", script(process).replace("\\", ""))


def test_containers_see_where_links_lead_and_what_the_methods_are_asked_about(pipeline: Pipeline) -> None:
    # far from the run: Nextflow mounts what folders have in common
    with tempfile.TemporaryDirectory(dir="/var/tmp") as far, tempfile.TemporaryDirectory(dir="/dev/shm") as farther:
        cohort, store = Path(far, "cohort"), Path(far, "store")
        between, other = Path(farther, "between"), pipeline.folder / "other"
        for number in range(2):
            (store / str(number)).mkdir(parents=True)
            (store / str(number) / "scan.nii.gz").write_bytes(b"")
            (between / str(number)).mkdir(parents=True)
            (between / str(number) / "link.nii.gz").symlink_to(store / str(number) / "scan.nii.gz")
            (cohort / f"case_{number}").mkdir(parents=True)
            (cohort / f"case_{number}" / "scan.nii.gz").symlink_to(between / str(number) / "link.nii.gz")
        other.mkdir()
        mounted = _mounted(pipeline, "--input", cohort, "--methods", "affine", "--external", f"tool={other}")
        for process, wanted in (
            ("CHECK_COHORT", (cohort, store / "1", between / "1")),
            ("CHECK_METHODS", (other, store / "1")),
        ):
            for folder in wanted:
                assert any(folder.is_relative_to(seen) for seen in mounted(process)), (process, folder)


def test_containers_see_what_a_samplesheet_names_whatever_it_is_called(pipeline: Pipeline) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as far, tempfile.TemporaryDirectory(dir="/dev/shm") as farther:
        before, after = Path(far, "Doe,John", "before.nii.gz"), Path(farther, "after.NII.GZ")
        for scan in (before, after):
            scan.parent.mkdir(exist_ok=True)
            scan.write_bytes(b"")
        sheet = pipeline.folder / "sheet.csv"
        sheet.write_text(f'case,fixed_t1ce,moving_t1ce\np01,"{before}",{after}\n', encoding="utf-8")
        mounted = _mounted(pipeline, "--input", sheet, "--methods", "affine")
        for scan in (before, after):
            assert any(scan.is_relative_to(seen) for seen in mounted("CHECK_COHORT")), scan


def test_trainings_in_containers_see_their_checkpoints_and_are_told_their_gpus(pipeline: Pipeline) -> None:
    kept = pipeline.folder / "check points"
    kept.mkdir()
    (pipeline.folder / "small.yml").write_text("embedded_cohort: true\ncohort_cases: 2\ntest_ratio: 0.5\n")
    words = ("-params-file", "small.yml", "--methods", "voxelmorph", "--checkpoint_dir", kept)
    script = _contained(pipeline, *words)("TRAIN_VOXELMORPH")
    assert f" -v '{kept}:{kept}' " in script
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS"):
        assert f' -e "{name}" ' in script


def test_the_record_names_the_code(editable: Pipeline) -> None:
    def revision() -> str:
        answer = editable.run("-profile", "test", "-stub-run", "--methods", "identity", "--outdir", "out")
        assert answer.status == 0, answer.output
        return str(json.loads((editable.folder / "out" / "pipeline_info" / "params.json").read_text())["revision"])

    assert re.fullmatch("code [0-9a-f]{16}", revision())
    git = ["git", "-C", str(editable.checkout), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "main.nf"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    with (editable.checkout / "main.nf").open("a", encoding="utf-8") as stream:
        stream.write("// changed\n")
    assert revision() == f"{commit}-dirty"
