"""Ablations, seeds and folds: one parameter becomes many tasks, what they share is trained once, one table ends it."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from nextflow_calls import REAL_RUN, Pipeline

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(REAL_RUN + 60)]

STUB = ("-profile", "test", "-stub-run", "-resume", "--outdir", "out")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _counts(pipeline: Pipeline) -> dict[str, int]:
    return dict(Counter(process for process, _ in pipeline.trace()))


def _cohort(pipeline: Pipeline, cases: int) -> Path:
    folder = pipeline.folder / "cohort"
    for number in range(cases):
        (folder / f"case_{number}").mkdir(parents=True)
    return folder


def test_what_variants_share_is_trained_once(pipeline: Pipeline) -> None:
    words = ("--methods", "affine,wssamnet", "--ablations", "all", "--seeds", "7,8")
    answer = pipeline.run(*STUB, *words, seconds=600)
    assert answer.status == 0, answer.output
    # WSSAMNet itself; without pretraining, LoG, MI, with correlation; two of attention; frozen; from the identity;
    # with a velocity, a pyramid, the landmarks' distance, the ROIs' overlap
    setups = 1 + 4 + 2 + 1 + 1 + 4
    # by seed: fixed and moving, and again for the cases that are not pre-aligned; no pretraining, or the same, for four
    counts = {"TRAIN_SEGMENTATION": 2 * 2 * 2, "PRETRAIN": 2 * (setups - 4), "TRAIN_REGISTRATION": 2 * setups}
    # refinement from the affine, from the identity, and by seed from the network
    registered = 1 + 2 * setups + 2 + 2
    counts |= {"REGISTER": registered, "EVALUATE": registered, "PREPROCESS": 2}
    assert _counts(pipeline) == counts | dict.fromkeys(("SIMULATE", "CHECK_COHORT", "TABULATE", "REPORT"), 1)
    out = pipeline.folder / "out"
    assert _names(out / "registration") == {"affine", "wssamnet", "refinement", "wssamnet_refined"}
    models = out / "models" / "fold1"
    assert _names(models / "seed8") == {"segmentation_fixed", "segmentation_moving", "pretrained", "wssamnet"}
    assert _names(models / "stage2_frozen.seed8") == _names(models / "no_pretraining") == {"wssamnet"}
    assert _names(models / "no_log") == {"pretrained", "wssamnet"}
    rows = _rows(out / "tables" / "ablations.csv")  # as stub, the list from which the table is made
    assert rows[0] == {"method": "wssamnet", "variant": "wssamnet", "changes": "", "seed": "7", "main": "true"}
    assert len(rows) == registered - 1
    by_name = {row["method"]: (row["variant"], row["changes"], row["seed"]) for row in rows}
    assert by_name["wssamnet.attention_none.seed8"] == ("wssamnet.attention_none", "attention=none", "8")
    assert by_name["wssamnet.with_pyramid"] == ("wssamnet.with_pyramid", "pyramid=true", "7")
    assert by_name["wssamnet.with_landmarks"] == ("wssamnet.with_landmarks", "landmark_weight=0.05", "7")
    assert by_name["refinement.prealign_identity"] == ("refinement.prealign_identity", "prealign=identity", "")


def test_a_variant_starts_from_the_preset_and_adds_only_its_own_tasks(pipeline: Pipeline) -> None:
    words = (*STUB, "--methods", "voxelmorph,wssamnet", "--preset", "best", "--pyramid", "true")
    assert pipeline.run(*words).status == 0
    answer = pipeline.run(*words, "--ablations", "attention,stage2,pyramid")
    assert answer.status == 0, answer.output
    started = pipeline.started()
    # the preset's residual attention and frozen segmentation are the study's own, and its pyramid
    variants = ["attention_multiply", "attention_none", "stage2_end_to_end", "no_pyramid"]
    assert started == {"PRETRAIN": 3, "TRAIN_REGISTRATION": 4, "REGISTER": 4, "EVALUATE": 4, "TABULATE": 1, "REPORT": 1}
    rows = _rows(pipeline.folder / "out" / "tables" / "ablations.csv")
    assert [row["method"] for row in rows] == ["wssamnet", *(f"wssamnet.{name}" for name in variants), "voxelmorph"]


def test_seeds_alone_repeat_every_learned_method_by_fold(pipeline: Pipeline) -> None:
    cohort = _cohort(pipeline, 4)
    words = ("-stub-run", "--input", cohort, "--folds", 2, "--seeds", "1, 2", "--cases_per_task", 9, "--outdir", "out")
    methods = ("--methods", "identity,voxelmorph,wssamnet", "--pretraining_steps", 0)
    answer = pipeline.run(*words, *methods, seconds=600)
    assert answer.status == 0, answer.output
    counts = _counts(pipeline)
    assert (counts["PREPROCESS"], counts["TRAIN_SEGMENTATION"]) == (1, 2 * 2 * 2)
    assert counts["TRAIN_REGISTRATION"] == counts["TRAIN_VOXELMORPH"] == 2 * 2
    assert counts["REGISTER"] == counts["EVALUATE"] == 1 + 2 * 2 * 2
    out = pipeline.folder / "out"
    assert _names(out / "registration" / "wssamnet") == _names(cohort)
    assert [(row["variant"], row["seed"]) for row in _rows(out / "tables" / "ablations.csv")] == [
        *(("wssamnet", "1"), ("wssamnet", "2"), ("voxelmorph", "1"), ("voxelmorph", "2")),
    ]


@pytest.mark.parametrize("own", [(), ("--seed", 3)])
def test_seeds_are_added_to_a_finished_study(pipeline: Pipeline, own: tuple[object, ...]) -> None:
    words = (*STUB, "--methods", "voxelmorph", *own)
    assert pipeline.run(*words).status == 0
    answer = pipeline.run(*words, "--seeds", f"7,{own[-1] if own else 0}")
    assert answer.status == 0, answer.output
    assert pipeline.started() == {"TRAIN_VOXELMORPH": 1, "REGISTER": 1, "EVALUATE": 1, "TABULATE": 1, "REPORT": 1}
    rows = _rows(pipeline.folder / "out" / "tables" / "ablations.csv")
    assert [(row["method"], row["seed"]) for row in rows] == [
        ("voxelmorph", str(own[-1] if own else 0)),
        ("voxelmorph.seed7", "7"),
    ]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--ablations", "mutual"), "--ablations: 'mutual' is not allowed (a list of all, pretraining, attention, "),
        (("--seeds", "1,x"), "--seeds: '1,x' is not allowed (whole numbers with commas, such as 1,2,3; "),
        (("--ablations", "mi", "--methods", "ants"), "--ablations: variants are compared with wssamnet, which is not"),
        (("--seeds", "1,2", "--methods", "ants"), "--seeds: none of --methods is trained (ants); "),
    ],
)
def test_what_cannot_be_varied_is_refused(pipeline: Pipeline, words: tuple[str, ...], line: str) -> None:
    answer = pipeline.run(*STUB, *words)
    assert answer.status != 0
    assert line in answer.output
    assert "Submitted process" not in answer.output
    assert not (pipeline.folder / "out").exists()


def test_a_real_cross_validation_of_a_variant_ends_in_one_table(pipeline: Pipeline) -> None:
    words = ("--folds", 2, "--methods", "wssamnet", "--ablations", "stage2", "--pretraining_steps", 0)
    steps = ("--cohort_spacing_mm", 8, "--segmentation_steps", 2, "--registration_steps", 2)
    answer = pipeline.run("-profile", "test", "--outdir", "out", *words, *steps, seconds=REAL_RUN)
    assert answer.status == 0, answer.output
    out = pipeline.folder / "out"
    cases = [f"BraTSReg_{number:03d}" for number in range(1, 5)]
    assert [row["case"] for row in _rows(out / "tables" / "per_case.csv")] == cases, "each case tested once"
    table = _rows(out / "tables" / "ablations.csv")
    assert [(row["variant"], row["cases"], row["seeds"], row["missing"]) for row in table] == [
        ("wssamnet", "4", "1", "0"),
        ("wssamnet.stage2_frozen", "4", "1", "0"),
    ]
    assert 0 < float(table[0]["mean_error"]) < 30
    assert float(table[1]["difference"]) != 0
    per_case = _rows(out / "tables" / "ablations_per_case.csv")
    main = [row["mean"] for row in _rows(out / "tables" / "per_case.csv") if row["method"] == "wssamnet"]
    assert [row["mean"] for row in per_case if row["method"] == "wssamnet"] == main
    assert (out / "tables" / "ablations.md").read_text(encoding="utf-8").strip() in answer.output
    assert '<h2 id="variants">' in (out / "report.html").read_text(encoding="utf-8")
    assert _names(out / "registration") == {"wssamnet"}
