"""The command line: its start, its faults, and the verbs joined together on a small case."""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from wssamnet.cli.app import options
from wssamnet.cli.options import settings_from
from wssamnet.cli.progress import each
from wssamnet.errors import SettingsError
from wssamnet.preprocessing.prepared import PreparedCase

VERBS = (
    *("simulate", "check", "check-methods", "preprocess"),
    *("train-segmentation", "pretrain", "train-registration", "train-voxelmorph"),
    *("register", "apply", "register-cases", "external", "evaluate", "tables", "report", "settings"),
    *("generate-output", "apply-deformation"),
)


def wssamnet(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [sys.executable, "-m", "wssamnet.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd, check=False)


def test_help_answers_at_once_and_names_every_verb() -> None:
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        answer = wssamnet("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert answer.returncode == 0
    assert [verb for verb in VERBS if f"\n  {verb} " not in answer.stdout] == []
    assert min(seconds) < 0.5, "processor time: a busy machine does not count"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, wssamnet.cli.app; print([m for m in ('torch', 'numpy', 'numba', 'pydantic') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    answer = wssamnet(verb, "--help")
    assert answer.returncode == 0
    assert answer.stdout.startswith(f"Usage: wssamnet {verb}")


def test_version_names_what_matters_for_a_result() -> None:
    line = wssamnet("--version").stdout
    assert line.startswith("wssamnet ")
    assert all(f", {package} " in line for package in ("python", "torch", "antspyx", "voxelmorph", "numpy", "nibabel"))
    assert not set("$()`") & set(line), "the pipeline passes this line through bash"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--set", "lnc_window=9"), "wssamnet: lnc_window: is not a setting (did you mean lncc_window?)"),
        (("--set", "levels=99"), "wssamnet: levels: '99' is not allowed (Input should be less than or equal to 6)"),
        (("--set", "levels"), "wssamnet: --set: 'levels' has no value (NAME=VALUE)"),
        (("--set", "preset=good"), "wssamnet: preset: 'good' is not a preset (one of paper, best)"),
    ],
)
def test_a_bad_setting_is_one_line_and_status_2(tmp_path: Path, words: tuple[str, ...], line: str) -> None:
    answer = wssamnet("train-voxelmorph", tmp_path, "--out", tmp_path / "model", *words)
    assert (answer.returncode, answer.stderr, answer.stdout) == (2, line + "\n", "")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("register", "--nope", "x"), "wssamnet register: No such option: --nope; see wssamnet register -h"),
        (("register", "--fixd", "x"), "wssamnet register: No such option: --fixd (Possible options: --fixed, "),
        (("register", "--moving", "x"), "wssamnet register: Missing option '--fixed'; see wssamnet register -h"),
        (("evaluate", "x"), "wssamnet evaluate: Missing option '--prepared'; see wssamnet evaluate -h"),
        (("check",), "wssamnet check: Missing argument 'cohort'; see wssamnet check -h"),
        (("register", "x"), "wssamnet register: "),
        (("simulate", "--cases"), "wssamnet simulate: Option '--cases' requires an argument; see wssamnet simulate -h"),
        (("simulate", "--cases", "two", "--out", "x"), "wssamnet simulate: Invalid value for '--cases': "),
        (("apply", "--interpolation", "cubic"), "wssamnet apply: Invalid value for '--interpolation': "),
        (("--threads", "x", "check"), "wssamnet: Invalid value for '--threads': "),
        (("--threads", "2"), "wssamnet: Missing command; see wssamnet -h"),
        (("registr",), "wssamnet: No such command 'registr'. Did you mean 'register', 'register-cases'? See "),
    ],
)
def test_words_that_do_not_fit_are_one_line_and_status_2(tmp_path: Path, words: tuple[str, ...], line: str) -> None:
    answer = wssamnet(*words, cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    (said,) = answer.stderr.splitlines()
    assert said.startswith(line)
    assert said.endswith(f"ee {line.partition(':')[0]} -h")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("generate_output", "-i", "x"), "generate_output: Missing option '--output' / '-o'; see generate_output -h"),
        (("generate_output", "-q"), "generate_output: No such option: -q; see generate_output -h"),
        (("apply_deformation", "-f"), "apply_deformation: Option '-f' requires an argument; see apply_deformation -h"),
        (("apply_deformation", "-t", "cubic"), "apply_deformation: "),
    ],
)
def test_the_challenges_programs_tell_it_by_their_own_names(tmp_path: Path, words: tuple[str, ...], line: str) -> None:
    program = Path(sys.executable).with_name(words[0])
    answer = subprocess.run([program, *words[1:]], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    (said,) = answer.stderr.splitlines()
    assert said.startswith(line)
    assert said.endswith(f"; see {words[0]} -h")


def test_without_words_it_explains_itself() -> None:
    answer = wssamnet()
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout == wssamnet("--help").stdout


def test_an_unknown_method_is_told_with_the_nearest(tmp_path: Path) -> None:
    answer = wssamnet("register-cases", "voxelmorf", tmp_path, "--out", tmp_path / "out")
    assert answer.returncode == 2
    assert answer.stderr == "wssamnet: method: 'voxelmorf' is not a method (did you mean voxelmorph?)\n"


def test_every_problem_of_a_cohort_is_a_line_and_nothing_is_written(tmp_path: Path) -> None:
    for name in ("BraTSReg_001", "BraTSReg_002"):
        (tmp_path / "cohort" / name).mkdir(parents=True)
        (tmp_path / "cohort" / name / f"{name}_00_0000_t1ce.nii.gz").write_bytes(b"not an image")
    answer = wssamnet("check", tmp_path / "cohort", "--out", tmp_path / "out", "--test-ratio", 0.5)
    lines = answer.stderr.splitlines()
    assert answer.returncode == 2
    assert all(line.startswith("wssamnet: ") for line in lines)
    assert all(any(name in line for line in lines) for name in ("BraTSReg_001", "BraTSReg_002"))
    assert not (tmp_path / "out").exists()


def test_an_unwritable_output_is_one_line(tmp_path: Path, make_prepared: Callable[..., PreparedCase]) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    case = make_prepared(landmarks=3)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    answer = wssamnet("register-cases", "identity", case.folder, "--out", closed)
    assert answer.returncode == 2
    assert "Permission denied" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_threads_of_torch_wait_asleep_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    options(threads=None, asked=False)
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    options(threads=None, asked=False)
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_register_evaluate_and_tables_fit_together(tmp_path: Path, make_prepared: Callable[..., PreparedCase]) -> None:
    folders = [make_prepared(name, seed=seed).folder for seed, name in enumerate(("case_a", "case_b"))]
    cases = []
    for folder in folders:
        scans = {
            side: {
                "images": {"t1ce": str(folder / f"{side}.nii.gz")},
                "landmarks": str(folder / landmarks),
                "mask": None,
            }
            for side, landmarks in (("fixed", "truth.csv"), ("moving", "moving_landmarks.csv"))
        }
        cases.append(tmp_path / f"{folder.name}.json")
        cases[-1].write_text(json.dumps({"id": folder.name, **scans}))
    registered = wssamnet("--threads", 1, "register-cases", "identity", *folders, "--out", tmp_path / "registration")
    assert registered.returncode == 0, registered.stderr
    assert "wssamnet: registered by identity: case_b (2 of 2)" in registered.stderr
    runs = sorted((tmp_path / "registration").glob("*/*"))
    assert [json.loads((run / "run.json").read_text())["threads"] for run in runs] == [1, 1]
    words = [word for folder in folders for word in ("--prepared", folder)]
    words += [word for case in cases for word in ("--cases", case)]
    evaluated = wssamnet("evaluate", *runs, *words, "--out", tmp_path / "evaluation")
    assert evaluated.returncode == 0, evaluated.stderr
    twin = tmp_path / "copy" / "other" / "case_a"
    shutil.copytree(runs[0], twin)
    again = wssamnet("evaluate", *runs, twin, *words, "--out", tmp_path / "again")
    assert again.returncode == 2
    assert f"is identity on case_a, and so is {runs[0]}" in again.stderr
    assert not (tmp_path / "again").exists()
    tabled = wssamnet("tables", *sorted((tmp_path / "evaluation").glob("*/*")), "--out", tmp_path / "tables")
    assert tabled.returncode == 0, tabled.stderr
    with (tmp_path / "tables" / "per_case.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["method"], row["case"]) for row in rows] == [("identity", "case_a"), ("identity", "case_b")]
    assert all(0 < float(row["median"]) < 20 for row in rows)


def test_a_model_among_several_has_a_name_of_its_own(
    make_prepared: Callable[..., PreparedCase], tmp_path: Path
) -> None:
    case = make_prepared("case_a", shape=(12, 13, 14))
    words = ("register-cases", "identity", case.folder, "--out", tmp_path / "out", "--name")
    answer = wssamnet(*words, "../elsewhere")
    assert answer.returncode == 2
    assert "--name: '../elsewhere' is not allowed" in answer.stderr
    assert not (tmp_path / "out").exists()
    answer = wssamnet(*words, "identity.seed2")
    assert answer.returncode == 0, answer.stderr
    record = json.loads((tmp_path / "out" / "identity.seed2" / "case_a" / "run.json").read_text())
    assert record["method"] == "identity.seed2"


def test_evaluate_says_which_case_it_misses(tmp_path: Path) -> None:
    case = tmp_path / "a.json"
    case.write_text(json.dumps({"id": "a", "fixed": {"images": {}}, "moving": {"images": {}}}))
    words = ("--prepared", tmp_path / "a", "--cases", case, "--out", tmp_path / "out")
    answer = wssamnet("evaluate", tmp_path / "ants" / "b", *words)
    assert answer.returncode == 2
    assert "case 'b' is registered, but not among --prepared" in answer.stderr


def test_a_later_setting_wins() -> None:
    assert settings_from(["levels=2", "preset=best", "levels=4"]).levels == 4
    assert settings_from(["preset=best"]).attention == "residual"
    assert settings_from(None).preset == "paper"


def test_a_setting_without_a_value_is_refused() -> None:
    with pytest.raises(SettingsError, match="has no value"):
        settings_from(["levels"])


def test_progress_in_a_log_is_a_line_an_item(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(each(["a", "b"], "prepared", str.upper)) == ["a", "b"]
    assert capsys.readouterr().err == "wssamnet: prepared A (1 of 2)\nwssamnet: prepared B (2 of 2)\n"
