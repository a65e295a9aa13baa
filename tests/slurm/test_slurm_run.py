"""The tiny cohort from the start to the end with ``-profile slurm,test``, on a real Slurm."""

from __future__ import annotations

import getpass
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from cluster import Cluster
from study import ROOT, TRAININGS, Ended

pytestmark = pytest.mark.timeout(3300)

METHODS = ("identity", "affine", "ants", "voxelmorph", "wssamnet", "refinement", "wssamnet_refined")


def test_every_output_is_there(peaceful: Ended) -> None:
    out = peaceful.study.out
    assert {path.name for path in (out / "registration").iterdir()} == set(METHODS)
    assert {path.name for path in (out / "models" / "fold1").iterdir()} == {
        *("segmentation_fixed", "segmentation_moving", "pretrained", "wssamnet", "voxelmorph")
    }
    assert (out / "tables" / "table1.md").read_text(encoding="utf-8").strip() in peaceful.log
    assert (out / "report.html").stat().st_size > 0
    assert {(row["method"], row["status"]) for row in peaceful.numbers} == {(method, "ok") for method in METHODS}


def test_jobs_go_where_they_belong(peaceful: Ended) -> None:
    assert {job.state for job in peaceful.jobs} == {"COMPLETED"}
    trainings = [job for job in peaceful.jobs if any(name in job.name for name in TRAININGS)]
    assert len(trainings) == 5
    assert {(job.partition, job.gres) for job in trainings} == {("gpu", "gres:gpu:1")}
    others = [job for job in peaceful.jobs if job not in trainings]
    assert {(job.partition, job.gres) for job in others} == {("cpu", "N/A")}
    assert {job.name.split("_")[1] for job in others} == {"PREPROCESS", "REGISTER", "EVALUATE"}


def test_each_training_has_a_gpu_to_itself(peaceful: Ended) -> None:
    gpus = peaceful.study.gpu_of()
    trainings = [job for job in peaceful.jobs if job.partition == "gpu"]
    assert {gpus[job.id] for job in trainings} == {"0", "1"}
    for one, other in combinations(trainings, 2):
        if gpus[one.id] == gpus[other.id]:
            assert one.end <= other.start or other.end <= one.start, (one, other)
    assert {gpus[job.id] for job in peaceful.jobs if job.partition == "cpu"} == {"none"}


def test_independent_tasks_run_at_the_same_time(peaceful: Ended) -> None:
    def overlapping(first: str, second: str) -> bool:
        pairs = [
            (a, b) for a in peaceful.jobs for b in peaceful.jobs if first in a.name and second in b.name and a != b
        ]
        return any(a.start < b.end and b.start < a.end for a, b in pairs)

    # which two, the scheduler decides: with two GPUs, the third training to be queued waits
    assert overlapping("TRAIN", "TRAIN")
    assert overlapping("REGISTER_", "TRAIN")
    assert overlapping("REGISTER_", "REGISTER_")


def test_a_training_gets_the_gpus_that_it_is_given(peaceful: Ended, tmp_path: Path) -> None:
    study = replace(peaceful.study, results=str(tmp_path / "two"))
    known = {job.id for job in study.cluster.jobs()}
    head = study.begin("-stub-run", "--gpus_per_training", 2, "--batch_size", 2)
    study.finish(head, 240)
    jobs = [job for job in study.cluster.jobs() if job.id not in known]
    assert {job.state for job in jobs} == {"COMPLETED"}
    trainings = [job for job in jobs if any(name in job.name for name in TRAININGS)]
    assert len(trainings) == 5
    assert {job.gres for job in trainings} == {"gres:gpu:2"}


def test_the_cluster_can_be_asked_as_the_documents_say(cluster: Cluster) -> None:
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    for line, column in (("squeue -u $USER", "PARTITION"), ("sinfo", "TIMELIMIT")):
        assert f"`{line}`" in text
        words = line.replace("$USER", getpass.getuser()).split()
        assert column in cluster.call(*words).splitlines()[0]


def test_the_trace_shows_tasks_side_by_side(peaceful: Ended) -> None:
    rows = [row for row in peaceful.trace if row["process"].split(":")[-1] in (*TRAININGS, "REGISTER")]
    pairs = [
        (one["process"], other["process"])
        for one, other in combinations(rows, 2)
        if one["start"] < other["complete"] and other["start"] < one["complete"]  # one width, so they sort as text
    ]
    assert any("TRAIN_" in first and "TRAIN_" in second for first, second in pairs)  # two GPUs, in whatever order
    assert any(("TRAIN_" in first) != ("TRAIN_" in second) for first, second in pairs)


def test_small_jobs_can_be_submitted_as_arrays(peaceful: Ended, tmp_path: Path) -> None:
    study = replace(peaceful.study, results=str(tmp_path / "arrays"))
    known = {job.id for job in study.cluster.jobs()}
    head = study.begin("-stub-run", "--cases_per_task", 1, "--slurm_array_size", 4, "--methods", "identity")
    study.finish(head, 240)
    jobs = [job for job in study.cluster.jobs() if job.id not in known]
    assert {job.state for job in jobs} == {"COMPLETED"}
    sizes = {step: Counter(job.array for job in jobs if step in job.name) for step in ("PREPROCESS", "REGISTER")}
    assert sorted(sizes["PREPROCESS"].values()) == [4]
    assert sorted(sizes["REGISTER"].values()) == [1]
