"""Faults of a cluster: each is survived, and the numbers are those of the run left in peace."""

from __future__ import annotations

import re

import pytest
from cluster import Job
from study import TRAININGS, Crowded, Ended, Suffered

pytestmark = pytest.mark.timeout(3300)


def attempts(run: Ended, name: str) -> list[Job]:
    return [job for job in run.jobs if name in job.name]


def went_on(job: Job) -> int:
    """The step after which a training went on; 0 where it began afresh."""
    found = re.search(r"goes on after step (\d+) of", job.errors)
    return int(found.group(1)) if found else 0


def test_the_table_is_that_of_the_undisturbed_run(peaceful: Ended, disturbed: Suffered) -> None:
    assert disturbed.numbers == peaceful.numbers


def test_only_the_trainings_and_what_needs_them_ran_again(disturbed: Suffered) -> None:
    ran = {re.sub(r".*STUDY_(?:LEARN_)?(\w+?)_\((\w+).*", r"\1 \2", job.name) for job in disturbed.jobs}
    learned = {f"{step} {method}" for step in ("REGISTER", "EVALUATE") for method in ("voxelmorph", "wssamnet")}
    assert {name.split()[0] for name in ran} == {*TRAININGS, "REGISTER", "EVALUATE"}
    assert {name for name in ran if name.startswith(("REGISTER", "EVALUATE"))} >= learned
    assert not any("ants" in name or "affine" in name for name in ran)


def test_a_cancelled_training_goes_on(disturbed: Suffered) -> None:
    jobs = attempts(disturbed, "TRAIN_SEGMENTATION_(fold1,_fixed)")
    assert jobs[0].state == "CANCELLED"
    assert jobs[-1].state == "COMPLETED"
    assert went_on(jobs[-1]) >= 2


def test_a_training_killed_while_it_saves_goes_on(disturbed: Suffered) -> None:
    jobs = attempts(disturbed, "TRAIN_SEGMENTATION_(fold1,_moving)")
    assert jobs[0].state == "FAILED"
    assert jobs[-1].state == "COMPLETED"
    assert went_on(jobs[-1]) >= 2
    assert (jobs[0].folder / ".exitcode").read_text() == "137"


def test_a_training_whose_node_is_lost_goes_on(disturbed: Suffered) -> None:
    jobs = attempts(disturbed, "PRETRAIN")
    assert jobs[0].state == "NODE_FAIL"
    assert jobs[-1].state == "COMPLETED"
    assert went_on(jobs[-1]) >= 2


def test_a_training_whose_time_is_up_asks_to_go_on(disturbed: Suffered) -> None:
    jobs = attempts(disturbed, "TRAIN_VOXELMORPH")
    asked = [job for job in jobs if "the wall time is nearly used up after step" in job.errors]
    assert {(job.folder / ".exitcode").read_text() for job in asked} == {"85"}
    assert [went_on(job) for job in asked] == list(range(len(asked)))  # a step each
    assert len(asked) >= 1
    assert jobs[-1].state == "COMPLETED"
    assert went_on(jobs[-1]) >= 2


def test_after_the_head_is_lost_a_training_goes_on_from_the_checkpoint_before_the_bad_one(disturbed: Suffered) -> None:
    jobs = attempts(disturbed, "TRAIN_REGISTRATION")
    assert jobs[0].state == "CANCELLED"
    assert jobs[-1].state == "COMPLETED"
    assert f"wssamnet: {disturbed.bad}: is damaged; the one before it is used" in jobs[-1].errors
    assert went_on(jobs[-1]) >= 1


def test_a_task_over_its_memory_gets_more(disturbed: Suffered) -> None:
    jobs = attempts(disturbed, "REGISTER_(wssamnet_refined")
    assert len(jobs) == 2
    assert jobs[0].state != "COMPLETED"
    assert jobs[1].state == "COMPLETED"
    requests = [re.search(r"#SBATCH --mem (\d+)M", (job.folder / ".command.run").read_text()) for job in jobs]
    assert [int(request.group(1)) for request in requests if request] == [500, 1000]


def test_a_full_disk_stops_the_run_with_its_reason(crowded: Crowded) -> None:
    assert crowded.status == 1
    said = crowded.refusal.rpartition("The run stopped")[2]
    assert "REGISTER" in said
    assert "No space left on device" in said
    # on a slow machine others that were retried after the head was lost are made again as well
    assert any("REGISTER_(refinement" in job.name for job in crowded.jobs)
    # a batch leaves a case that fails out; alone, the case fails its job
    assert any(job.state == "FAILED" and "REGISTER_ALONE_(refinement" in job.name for job in crowded.jobs)
    assert {path.name for path in crowded.left} <= {".exitcode", "prepared"}  # links to inputs, and no output


def test_with_room_again_the_table_is_that_of_the_undisturbed_run(peaceful: Ended, crowded: Crowded) -> None:
    assert crowded.numbers == peaceful.numbers
    ran = [re.sub(r".*STUDY_(\w+?)_\((\w+).*", r"\1 \2", job.name) for job in crowded.jobs]
    assert {"REGISTER refinement", "EVALUATE refinement"} <= set(ran)
    assert not [name for name in ran if "TRAIN" in name]
