"""What fails on purpose: left out or stopping the run, named in the terminal and in the tables, tried again alone.

Faults are put into a copy of the checkout: into stubs, where which tasks start matters, and once into the code, for the
tables. They ask whether a file is there, so that a fault is mended without an edit, and the tasks stay what they are.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from nextflow_calls import REAL_RUN, Answer, Pipeline
from wssamnet.evaluation.planned import read_planned

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(2 * REAL_RUN + 60)]

CASES = tuple(f"case_{number:02}" for number in range(12))
TESTED = ("case_00", "case_04", "case_08")  # every fourth, as the stub of the check has it
METHODS = "affine,ants,voxelmorph"


@pytest.fixture
def faulty(editable: Pipeline) -> Pipeline:
    """Stubs of registration and of VoxelMorph's training run a script of the test's, where there is one."""
    for name, words in (("register", "${meta.method} ${meta.ids.join(' ')}"), ("train_voxelmorph", "train ${meta.id}")):
        module = editable.checkout / "modules" / f"{name}.nf"
        head, stub = module.read_text(encoding="utf-8").split('    stub:\n    """\n')
        call = f"    if [ -e {editable.folder}/fault ]; then . {editable.folder}/fault {words}; fi\n"
        module.write_text(f'{head}    stub:\n    """\n{call}{stub}', encoding="utf-8")
    for case in CASES:
        (editable.folder / "cohort" / case).mkdir(parents=True)
    return editable


def _run(pipeline: Pipeline, *words: object) -> Answer:
    return pipeline.run(
        *("-stub-run", "--input", "cohort", "--outdir", "out", "--methods", METHODS),
        *("-resume", *words),
    )


def _fault(pipeline: Pipeline, text: str) -> None:
    """Bash that a faulty task runs first; $1 is the method, or "train", and the other words its cases, or its fold."""
    (pipeline.folder / "fault").write_text(text, encoding="utf-8")


def _kept(pipeline: Pipeline) -> Path:
    return pipeline.folder / "out" / "pipeline_info" / "failure.txt"


def _plan(pipeline: Pipeline) -> dict[tuple[str, str], str]:
    """The plan that the tables were given: (method, case) -> why it is missing."""
    return read_planned(pipeline.folder / "out" / "tables" / "table1.md")


def test_a_tolerated_failure_is_left_out_and_alone_tried_again(faulty: Pipeline) -> None:
    _fault(
        faulty,
        'if [ "$1" = ants ] && [ "$2" = case_04 ]; then echo "RuntimeError: diverged" >&2; exit 1; fi\n'
        'if [ "$1" = train ]; then echo "wssamnet: step 3: the loss is not finite (a lower rate)" >&2; exit 2; fi\n',
    )
    answer = _run(faulty, "--tolerate", "ants,voxelmorph")
    assert answer.status == 0, answer.output
    training = "TRAIN_VOXELMORPH (fold1) failed: step 3: the loss is not finite (a lower rate)"
    assert _plan(faulty) == {
        **{("affine", case): "" for case in TESTED},
        **{("ants", case): "" for case in TESTED},
        **{("voxelmorph", case): training for case in TESTED},
        ("ants", "case_04"): "RuntimeError: diverged",
    }
    told = answer.output.split("Failed and left out, as --tolerate allows:")[1]
    for line in ("REGISTER (ants, case_04):", "  RuntimeError: diverged", "TRAIN_VOXELMORPH (fold1):", "/.command.log"):
        assert line in told
    assert not _kept(faulty).exists()
    assert faulty.again() >= {"REGISTER", "EVALUATE", "TABULATE"}

    answer = _run(faulty, "--tolerate", "ants,voxelmorph")
    assert answer.status == 0, answer.output
    assert faulty.again() == {"REGISTER", "TRAIN_VOXELMORPH"}, "neither the tables nor what had succeeded"
    assert Counter(status for _, status in faulty.trace())["FAILED"] == 2

    (faulty.folder / "fault").unlink()
    answer = _run(faulty, "--tolerate", "ants,voxelmorph")
    assert answer.status == 0, answer.output
    assert faulty.started() == {"TRAIN_VOXELMORPH": 1, "REGISTER": 1 + 3, "EVALUATE": 1 + 3, "TABULATE": 1, "REPORT": 1}
    assert set(_plan(faulty).values()) == {""}
    assert "left out" not in answer.output


def test_a_batch_that_is_lost_loses_the_one_case_alone(faulty: Pipeline) -> None:
    _fault(
        faulty,
        'case "$*" in "ants "*case_04*) echo "slurmstepd: error: Detected 1 oom_kill event"; kill -9 $$;; esac\n',
    )
    answer = _run(faulty, "--tolerate", "ants", "--cases_per_task", 2, "--max_retries", 1)
    assert answer.status == 0, answer.output
    plan = _plan(faulty)
    assert {pair for pair, why in plan.items() if why} == {("ants", "case_04")}
    for words in ("slurmstepd: error: Detected 1 oom_kill event", "exit status 137: it was killed", "tried 2 times"):
        assert words in plan["ants", "case_04"]
    evaluated = Counter(process for process, _ in faulty.trace())["EVALUATE"]
    assert evaluated == 2 * 2 + 2, "ants: the batch of one, and the case that was with the faulty one"
    assert "REGISTER (ants, case_04):" in answer.output
    assert "and 1 more" not in answer.output.split("as --tolerate allows:")[1]


def test_going_on_uses_up_no_retry_and_keeps_the_memory(faulty: Pipeline) -> None:
    statuses = (137, 85, 143, 85, 85, 137, 85, 143)
    _fault(
        faulty,
        f'if [ "$1" = train ]; then echo >> {faulty.folder}/tries; tries=({" ".join(map(str, statuses))})\n'
        f'exit "${{tries[$(wc -l < {faulty.folder}/tries) - 1]}}"; fi\n',
    )
    settings = faulty.folder / "large.config"
    settings.write_text("executor.cpus = 8\nexecutor.memory = 99.GB\n", encoding="utf-8")
    limits = ("-c", settings, "--max_cpus", 8, "--max_memory", "40 GB")
    answer = _run(faulty, *limits, "--methods", "voxelmorph", "--tolerate", "voxelmorph", "--max_retries", 3)
    assert answer.status == 0, answer.output
    rows = [row for row in faulty.trace_rows() if row["process"].endswith("TRAIN_VOXELMORPH")]
    rows.sort(key=lambda row: int(row["attempt"]))
    assert tuple(int(row["exit"]) for row in rows) == statuses, "the fourth kill is one too many"
    assert [row["memory"] for row in rows] == ["12 GB", *["24 GB"] * 5, *["36 GB"] * 2]
    assert "tried 8 times" in " ".join(_plan(faulty).values())


def test_what_stops_a_run_is_told_whole_and_kept(faulty: Pipeline) -> None:
    _fault(
        faulty,
        # the training dies while ants runs, so that Nextflow's own report is of the one that says nothing
        f"here={faulty.folder}; touch $here/begun_$1\n"
        'until_() { for try in $(seq 600); do "$@" 2>/dev/null && return; sleep 0.2; done; }\n'
        '[ "$1" != train ] || { until_ [ -e $here/begun_ants ]; kill -9 $$; }\n'
        '[ "$1" != ants ] || { until_ grep -q TRAIN $here/out/pipeline_info/failed_tasks.tsv; '
        'echo "wssamnet: no such transform" >&2; exit 2; }\n',
    )
    settings = faulty.folder / "side by side.config"
    settings.write_text("executor.cpus = 4\nexecutor.memory = 8.GB\n", encoding="utf-8")
    words = ("-c", settings, "--max_cpus", 1, "--max_memory", "2 GB", "--cases_per_task", 3, "--max_retries", 0)
    answer = _run(faulty, *words, "--tolerate", "affine")
    assert answer.status != 0
    told = answer.output[answer.output.index("The run stopped in ") :]
    for line in (
        "REGISTER (ants, case_00 and 2 more):",
        "  wssamnet: no such transform",
        "TRAIN_VOXELMORPH (fold1):",
        "  exit status 137: it was killed (SIGKILL): most often for want of memory (it had asked for 2 GB), or its",
        f"  cd {faulty.folder}",
    ):
        assert line in told
    logs = [line.split("Log: ")[1] for line in told.splitlines() if "Log: " in line]
    assert len(logs) == 2
    assert all(Path(log).is_file() for log in logs)
    kept = _kept(faulty).read_text(encoding="utf-8")
    assert kept.strip() in told
    assert "-resume" in kept

    # tolerance is no part of what -resume compares, and a run that ends well takes the message away
    (faulty.folder / "fault").write_text('[ "$1" != ants ] || exit 3\n', encoding="utf-8")
    answer = _run(faulty, *words, "--tolerate", "ants")
    assert answer.status == 0, answer.output
    assert not _kept(faulty).exists()
    assert set(_plan(faulty).values()) == {"", "exit status 3: no meaning is known"}
    cached = {process for process, status in faulty.trace() if status == "CACHED"}
    assert cached >= {"CHECK_COHORT", "PREPROCESS"}


def _rows(pipeline: Pipeline, name: str) -> list[dict[str, str]]:
    with (pipeline.folder / "out" / "tables" / name).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_tables_show_what_is_missing_and_why(editable: Pipeline) -> None:
    """Really run: ANTs raises on one of two cases of a batch, VoxelMorph's training diverges."""
    broken = editable.folder / "broken"
    broken.touch()
    code = editable.checkout / "wssamnet" / "registration" / "ants.py"
    text = code.read_text(encoding="utf-8")
    place = "        preset = PRESETS[self.preset]\n"
    fault = f'if case.id == "BraTSReg_002" and Path("{broken}").exists(): raise RuntimeError("no overlap")'
    assert place in text
    code.write_text(
        text.replace(place, f"        from pathlib import Path\n        {fault}\n{place}"), encoding="utf-8"
    )
    edited = {"PYTHONPATH": str(editable.checkout)}  # before the package that the environment has installed
    words = (
        *("-profile", "test", "--outdir", "out", "-resume", "--test_cases", "BraTSReg_001,BraTSReg_002"),
        *("--methods", "affine,ants,voxelmorph", "--tolerate", "ants,voxelmorph", "--voxelmorph_lr", "1e30"),
    )
    answer = editable.run(*words, seconds=REAL_RUN, **edited)
    assert answer.status == 0, answer.output
    cases = {(row["method"], row["case"]): row for row in _rows(editable, "per_case.csv")}
    assert {pair: row["status"] for pair, row in cases.items()} == {
        ("affine", "BraTSReg_001"): "ok",
        ("affine", "BraTSReg_002"): "ok",
        ("ants", "BraTSReg_001"): "ok",
        ("ants", "BraTSReg_002"): "missing",
        ("voxelmorph", "BraTSReg_001"): "missing",
        ("voxelmorph", "BraTSReg_002"): "missing",
    }
    assert cases["ants", "BraTSReg_002"]["problems"] == "RuntimeError: no overlap"
    diverged = cases["voxelmorph", "BraTSReg_001"]["problems"]
    assert diverged.startswith("TRAIN_VOXELMORPH (fold1) failed: voxelmorph: the loss is not finite at step ")
    table = (editable.folder / "out" / "tables" / "table1.md").read_text(encoding="utf-8")
    first = [cell.strip() for cell in table.splitlines()[2].split("|")]
    assert "n=" not in first[3]
    assert first[4].endswith("(n=1)")
    assert first[5] == "missing (n=0)"
    for line in (
        "- ants, BraTSReg_002: missing (RuntimeError: no overlap).",
        f"- voxelmorph, all 2 cases: missing ({diverged}).",
    ):
        assert line in table
        assert line in answer.output
    pairs = {(row["method"], row["against"]): row["n"] for row in _rows(editable, "statistics.csv")}
    assert pairs["ants", "affine"] == "1"
    assert pairs["voxelmorph", "affine"] == pairs["voxelmorph", "ants"] == "0"
    head = (editable.folder / "out" / "report.html").read_text(encoding="utf-8").split("<main>")[0]
    assert "<b>ants, BraTSReg_002</b>: RuntimeError: no overlap" in head
    assert "<b>voxelmorph, all 2 cases</b>" in head
    assert [path.name for path in (editable.folder / "out" / "registration" / "ants").iterdir()] == ["BraTSReg_001"]

    broken.unlink()
    answer = editable.run(*words, seconds=REAL_RUN, **edited)
    assert answer.status == 0, answer.output
    ended = {"TRAIN_VOXELMORPH FAILED": 1, "REGISTER_ALONE": 1, "EVALUATE": 1, "TABULATE": 1, "REPORT": 1}
    assert editable.started() == ended
    again = {(row["method"], row["case"]): row for row in _rows(editable, "per_case.csv")}
    assert again["ants", "BraTSReg_002"]["status"] == "ok"
    for method, case in (("affine", "BraTSReg_001"), ("ants", "BraTSReg_001")):
        assert again[method, case] == cases[method, case]
