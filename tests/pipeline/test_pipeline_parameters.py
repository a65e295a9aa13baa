"""What a user is told: help, unknown and bad parameters, no cohort, a bad cohort."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from nextflow_calls import Pipeline

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]


def test_help_lists_every_parameter_by_group_and_leaves_nothing(pipeline: Pipeline) -> None:
    answer = pipeline.run("--help")
    assert answer.status == 0, answer.output
    schema = json.loads((pipeline.checkout / "nextflow_schema.json").read_text(encoding="utf-8"))
    for group in schema["$defs"].values():
        assert f"\n{group['title']}\n" in answer.output
        assert [name for name in group["properties"] if f"\n  --{name} " not in answer.output] == []
    assert not (pipeline.folder / "results").exists()


def test_all_unknown_and_bad_parameters_are_told_at_once(pipeline: Pipeline) -> None:
    words = ("--lnc_window", 7, "--cases-per-task", 2, "--attention", "multipy", "--levels", 9, "--test_ratio", "1.5")
    more = ("--methods", "ants,demons", "--seed", "x", "--ants_preset", "--velocity", "maybe")
    large = ("--cohort_seed", "99999999999")
    answer = pipeline.run("-profile", "test", *words, *more, *large, "--outdir", "out")
    assert answer.status != 0
    for line in (
        "--lnc_window: no such parameter (did you mean --lncc_window?)",
        "--casesPerTask: no such parameter (did you mean --cases_per_task?)",
        "--attention: 'multipy' is not allowed (one of multiply, residual, none; ",
        "--levels: '9' is not allowed (a whole number, at least 2, at most 6; ",
        "--test_ratio: '1.5' is not allowed (a number, above 0, below 1; ",
        "--methods: 'ants,demons' is not allowed (a list of identity, affine, ants, ",
        "--seed: 'x' is not allowed (a whole number, at least 0; ",
        "--cohort_seed: '99999999999' is not allowed (a whole number below 2147483648; ",
        "--ants_preset: a value is missing",
        "--velocity: 'maybe' is not allowed (true or false; ",
    ):
        assert f"  {line}" in answer.output
    assert "Submitted process" not in answer.output
    assert not (pipeline.folder / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--container: apptainer needs an image of its own (--container /shared/wssamnet.sif, "),
        (
            ("--container", "/none/wssamnet.sif"),
            "--container: /none/wssamnet.sif does not exist (an image for apptainer)",
        ),
    ],
)
def test_an_image_that_would_be_looked_for_elsewhere_is_refused(
    pipeline: Pipeline, words: tuple[str, ...], said: str
) -> None:
    answer = pipeline.run("-profile", "test,apptainer", "-stub-run", "--outdir", "out", *words)
    assert answer.status != 0
    assert said in answer.output
    assert not (pipeline.folder / "out").exists()


ENGINES = ("docker", "podman", "apptainer", "singularity", "charliecloud")


@pytest.mark.parametrize("parser", ["v1", "v2"])
def test_profiles_in_the_documented_order_keep_what_each_asks_for(pipeline: Pipeline, parser: str) -> None:
    for profile, wanted in (
        ("apptainer,gpu,slurm", ("apptainer.runOptions = '--nv'", "maxForks = 0")),
        ("docker,gpu", ("docker.runOptions = '--gpus all ", "maxForks = 1")),
        *((name, (f"{name}.envWhitelist = 'CUDA_VISIBLE_DEVICES,SLURM_JOB_GPUS'",)) for name in ENGINES),
    ):
        shown = pipeline.nextflow("config", "-flat", "-profile", profile, pipeline.checkout, NXF_SYNTAX_PARSER=parser)
        assert [text for text in wanted if text not in shown.output] == [], shown.output


def test_gpus_that_a_training_cannot_share_its_pairs_out_to_are_refused(pipeline: Pipeline) -> None:
    answer = pipeline.run("-profile", "test", "-stub-run", "--gpus_per_training", 3, "--batch_size", 2)
    assert answer.status != 0
    line = "--gpus_per_training: '3' is not allowed (give --batch_size too, at least 3: the GPUs share "
    assert f"  {line}" in answer.output
    answer = pipeline.run("-profile", "test", "-stub-run", "--placement", "three_devices", "--gpus_per_training", 2)
    assert answer.status != 0
    assert "  --gpus_per_training: '2' is not allowed (three_devices takes three; leave it out)" in answer.output


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--lncc_window", 8), "  --lncc_window: '8' is not allowed (an odd number)"),
        (("--pyramid", "--preset", "best", "--levels", 2), "  --pyramid: 'true' is not allowed (--levels of at least "),
        (
            ("--ablations", "pyramid", "--preset", "best", "--levels", 2),
            "--ablations: a variant is not possible:\n  --pyramid: 'true' is not allowed (--levels of at least 3 with ",
        ),
    ],
)
def test_what_networks_refuse_is_refused_before_any_training(
    pipeline: Pipeline, words: tuple[object, ...], line: str
) -> None:
    answer = pipeline.run("-profile", "test", "-stub-run", *words, "--outdir", "out")
    assert answer.status != 0
    assert line in answer.output
    assert "Submitted process" not in answer.output


def test_words_that_look_like_numbers_stay_words(pipeline: Pipeline) -> None:
    words = ("-profile", "test", "-stub-run", "--outdir", "20241130", "--test_cases", 8, "--test_cases", "007")
    answer = pipeline.run(*words, "--preset", "best", "--gpus_per_training", 2)
    assert answer.status == 0, answer.output  # best has two pairs a step
    record = json.loads((pipeline.folder / "20241130" / "pipeline_info" / "params.json").read_text())["parameters"]
    assert record["test_cases"] == "007"
    assert (pipeline.folder / "20241130" / "report.html").is_file()
    answer = pipeline.run("-profile", "test", "-stub-run", "--outdir", "2024.10", "--slurm_account=0123")
    assert answer.status != 0
    assert (
        "  --slurm_account: Nextflow makes 123 of '0123' (in quotes in a -params-file it stays a word)" in answer.output
    )
    assert (
        "  --outdir: Nextflow makes 2024.1 of '2024.10' (in quotes in a -params-file it stays a word)" in answer.output
    )


# A scheduler that runs every job at once.
SBATCH = 'setsid bash "${@: -1}" >/dev/null 2>&1 &\necho Submitted batch job $$\n'
# A controller that answers at the third call.
SILENT = """
echo >> CALLS
if [ "$(wc -l < CALLS)" -lt 3 ]; then
    echo "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)" >&2
    exit 1
fi
"""


def _scheduler(folder: Path, sbatch: str) -> str:
    """The PATH on which a Slurm of these scripts is found."""
    for name, script in (("sbatch", sbatch), ("squeue", "")):
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/bash\n{script}")
        program.chmod(0o755)
    return f"{folder / 'bin'}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("gpus", "asked"), [("none", "--qos=long"), ("--gpus=a100:1", "--nodes=1 --gpus=a100:2 --qos=long")]
)
def test_slurm_is_asked_for_gpus_or_for_none(pipeline: Pipeline, gpus: str, asked: str) -> None:
    path = _scheduler(pipeline.folder, SBATCH)
    file = pipeline.folder / "site.yml"
    file.write_text(f"slurm_gpus: {gpus}\nslurm_account: '0123'\nslurm_options: --qos=long\n")
    (pipeline.folder / "quick.config").write_text("executor.pollInterval = '1 sec'\n")
    words = ("-params-file", file, "--gpus_per_training", 2, "--batch_size", 2, "--methods", "voxelmorph")
    answer = pipeline.run(
        "-c", "quick.config", "-profile", "test,slurm", "-stub-run", *words, "--outdir", "out", PATH=path
    )
    assert answer.status == 0, answer.output
    (row,) = (row for row in pipeline.trace_rows() if row["process"].endswith("TRAIN_VOXELMORPH"))
    (script,) = (pipeline.folder / "work").glob(f"{row['hash']}*/.command.run")
    head = re.findall(r"^#SBATCH (.*)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert [line for line in head if line.endswith("--qos=long")] == [asked]
    assert "-A 0123" in head


def test_a_controller_that_does_not_answer_is_asked_again(pipeline: Pipeline) -> None:
    path = _scheduler(pipeline.folder, SILENT.replace("CALLS", str(pipeline.folder / "calls")) + SBATCH)
    (pipeline.folder / "quick.config").write_text("executor { pollInterval = '1 sec'\nretry.delay = '1 sec' }\n")
    words = ("-c", "quick.config", "-profile", "test,slurm", "-stub-run", "--methods", "identity", "--outdir", "out")
    answer = pipeline.run(*words, PATH=path)
    assert answer.status == 0, answer.output
    assert (pipeline.folder / "calls").read_text().count("\n") == 2 + 3  # preparation, registration, evaluation
    assert {row["attempt"] for row in pipeline.trace_rows()} == {"1"}


def test_a_parameter_file_works_and_is_judged_the_same_way(pipeline: Pipeline) -> None:
    file = pipeline.folder / "params.yml"
    file.write_text("modalities: [t1ce, flair]\nlevels: 2\nregistration_lr: 1e-3\nlncc_squared: false\noutdir: out\n")
    answer = pipeline.run("-profile", "test", "-stub-run", "-params-file", file)
    assert answer.status == 0, answer.output
    record = json.loads((pipeline.folder / "out" / "pipeline_info" / "params.json").read_text())["parameters"]
    assert record["modalities"] == "t1ce,flair"
    assert (record["levels"], record["registration_lr"], record["lncc_squared"]) == (2, 0.001, False)
    file.write_text("modalities: [t1ce, pet]\n")
    answer = pipeline.run("-profile", "test", "-stub-run", "-params-file", file, "--outdir", "other")
    assert answer.status != 0
    assert "--modalities: 't1ce,pet' is not allowed (a list of t1, t1ce, t2, flair, with commas" in answer.output


def test_without_a_cohort_the_run_says_what_to_give(pipeline: Pipeline) -> None:
    answer = pipeline.run("--outdir", "out")
    assert answer.status != 0
    assert "No cohort: give --input COHORT" in answer.output
    answer = pipeline.run("--input", "nowhere", "--outdir", "out")
    assert answer.status != 0
    assert "--input: nowhere does not exist" in answer.output


def test_a_bad_cohort_is_told_whole_and_no_result_is_left(pipeline: Pipeline) -> None:
    for name in ("BraTSReg_001", "BraTSReg_002"):
        folder = pipeline.folder / "cohort" / name
        folder.mkdir(parents=True)
        (folder / f"{name}_00_0000_t1ce.nii.gz").write_bytes(b"not an image")
    answer = pipeline.run("--input", pipeline.folder / "cohort", "--outdir", "out")
    assert answer.status != 0
    told = answer.output.split("The run stopped in CHECK_COHORT:")[1]
    assert "wssamnet: " in told
    assert "BraTSReg_001" in told
    assert "BraTSReg_002" in told
    assert "-resume" in told
    assert "Traceback" not in answer.output
    assert [path.name for path in (pipeline.folder / "out").iterdir()] == ["pipeline_info"]
