"""An edit in the package repeats what depends on it, and nothing else. As stubs: which tasks start is what matters."""

from __future__ import annotations

import pytest
from nextflow_calls import Pipeline

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]

WORDS = ("-profile", "test", "-stub-run", "-resume", "--outdir", "out")
TABLES = {"TABULATE": 1, "REPORT": 1}


@pytest.mark.parametrize(
    ("edited", "started"),
    [
        ("report/page.py", {"REPORT": 1}),
        ("report/style.css", {"REPORT": 1}),
        ("evaluation/regularity.py", {"EVALUATE": 7, **TABLES}),
        ("registration/ants.py", {"REGISTER": 1, "EVALUATE": 1, **TABLES}),
        (
            "training/loop.py",
            {
                **{"TRAIN_SEGMENTATION": 2, "PRETRAIN": 1, "TRAIN_REGISTRATION": 1, "TRAIN_VOXELMORPH": 1},
                **{"REGISTER": 3, "EVALUATE": 3, **TABLES},
            },
        ),
    ],
)
def test_an_edit_repeats_what_depends_on_it(stubbed: Pipeline, edited: str, started: dict[str, int]) -> None:
    file = stubbed.checkout / "wssamnet" / edited
    before = file.read_bytes()
    file.write_bytes(before + b"\n")
    try:
        answer = stubbed.run(*WORDS)
    finally:
        file.write_bytes(before)
    assert answer.status == 0, answer.output
    assert stubbed.started() == started


@pytest.mark.parametrize(
    ("words", "started"),
    [
        (("--registration_steps", 5), {"TRAIN_REGISTRATION": 1, "REGISTER": 2, "EVALUATE": 2, **TABLES}),
        (
            ("--network_spacing_mm", 8),
            {
                **{"TRAIN_SEGMENTATION": 2, "PRETRAIN": 1, "TRAIN_REGISTRATION": 1, "TRAIN_VOXELMORPH": 1},
                **{"REGISTER": 3, "EVALUATE": 3, **TABLES},
            },
        ),
        (("--refinement", "accurate"), {"REGISTER": 2, "EVALUATE": 2, **TABLES}),
        (("--ants_preset", "fast,good"), {"REGISTER": 2, "EVALUATE": 2, **TABLES}),
    ],
)
def test_a_parameter_repeats_the_steps_that_it_concerns(
    stubbed: Pipeline, words: tuple[object, ...], started: dict[str, int]
) -> None:
    answer = stubbed.run(*WORDS, *words)
    assert answer.status == 0, answer.output
    assert stubbed.started() == started
