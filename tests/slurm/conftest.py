"""One cluster, and on it one run left in peace and one that suffers everything at once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import faults
import pytest
from cluster import Cluster, obstacle
from study import TRAININGS, Crowded, Ended, Study, Suffered, end

STEPS = {"segmentation_steps": 20, "pretraining_steps": 12, "registration_steps": 12, "voxelmorph_steps": 3}
WORDS = [word for name, count in STEPS.items() for word in (f"--{name}", count)]
LIMIT = 1500.0  # seconds for a run; an idle machine with two cores takes about 120, a busy one much longer
# Memory that grows as it does in conf/base.config, from too little; a wall time that is used up after each step,
# of which Slurm itself knows nothing: it would round it up to a minute, and warn from the start.
SCARCE = """
    withLabel: image {
        memory = {
            ((task.previousTrace?.memory ?: 0L) as MemoryUnit) +
                500.MB * (!task.previousTrace || task.exitStatus in [137, Integer.MAX_VALUE] ? 1 : 0)
        }
    }
    withName: TRAIN_VOXELMORPH {
        time = 2.s
        clusterOptions = '--gres=gpu:1 --time=10'
    }
"""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The tests' cluster."""
    reason = obstacle()
    if reason is not None:
        pytest.skip(f"no Slurm here: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="slurm"))  # munge's socket wants a short path
    folder.chmod(0o755)
    made = Cluster(folder)
    made.start()
    try:
        yield made
    finally:
        stubborn = made.stop()
        shutil.rmtree(folder)
    assert stubborn == []


@pytest.fixture(scope="session")
def peaceful(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """``-profile slurm,test`` from the start to the end."""
    study = Study.make(tmp_path_factory.mktemp("study"), cluster)
    head = study.begin(*WORDS)
    log = study.finish(head, LIMIT)
    return Ended(study, log, cluster.jobs(), study.numbers(), study.trace())


@pytest.fixture(scope="session")
def disturbed(peaceful: Ended) -> Suffered:
    """The same study, its trainings forgotten and made again, with a fault for each of them."""
    study, cluster = replace(peaceful.study, results="again"), peaceful.study.cluster
    for row in peaceful.trace:
        if row["process"].split(":")[-1] in TRAININGS:
            shutil.rmtree(row["workdir"])
    words = (*WORDS, "-resume", "--checkpoint_minutes", 0, "--max_retries", 4)
    known = {job.id for job in peaceful.jobs}
    head = study.begin(*words, process=SCARCE)
    try:
        with ThreadPoolExecutor() as threads:
            done = [threads.submit(fault, study) for fault in (faults.cancel, faults.kill_while_saving)]
            done.append(threads.submit(faults.lose_the_node, study))
            bad = threads.submit(faults.lose_the_head, study, head).result()
        for fault in done:
            fault.result()
    finally:
        end(head)
    log = study.finish(study.begin(*words, process=SCARCE), LIMIT)
    jobs = [job for job in cluster.jobs() if job.id not in known]
    return Suffered(study, log, jobs, study.numbers(), study.trace(), bad)


@pytest.fixture(scope="session")
def crowded(peaceful: Ended) -> Iterator[Crowded]:
    """One registration made again on a disk that is full, and once more when there is room."""
    study, cluster = replace(peaceful.study, results="crowded"), peaceful.study.cluster
    for row in peaceful.trace:
        if row["process"].endswith("REGISTER") and row["tag"].startswith("refinement,"):
            shutil.rmtree(row["workdir"])
    known = {job.id for job in cluster.jobs()}
    with faults.small_disk(study.folder / "small") as disk:
        process = f"withName: REGISTER {{ scratch = '{disk.folder}' }}"
        log, status = study.outcome(study.begin(*WORDS, "-resume", process=process), LIMIT)
        refused = [job for job in cluster.jobs() if job.id not in known]
        left = [path for path in refused[0].folder.iterdir() if not path.name.startswith(".command")]
        disk.grow()
        rest = study.finish(study.begin(*WORDS, "-resume", process=process), LIMIT)
        jobs = [job for job in cluster.jobs() if job.id not in known]
        yield Crowded(study, rest, jobs, study.numbers(), study.trace(), log, status, left)
