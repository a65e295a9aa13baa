"""Every command in README.md and docs/ is run by a test: one that takes it from the document, or one named here."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

from reference_pages import verbs
from wssamnet.cohort import read_cohort

from documents import DOCUMENTS, LANGUAGES, ROOT, Command, commands, fences

HERE = "tests/unit/test_documents.py"
PAIR = "tests/unit/pair/test_pair_documented.py::test_the_how_to_runs"
CHALLENGE = "tests/unit/pair/test_pair_challenge.py::test_every_file_is_what_the_challenge_calls_it"
FLOW = "tests/pipeline/test_pipeline_documented.py"
FIRST = f"{FLOW}::test_a_first_run_on_a_cluster_begins_with_these_commands"
SLURM = "tests/slurm/test_slurm_run.py::test_the_cluster_can_be_asked_as_the_documents_say"
IMAGE = "tests/containers/test_container.py"
TORCHRUN = "tests/unit/training/test_training_documented.py::test_a_training_is_shared_out_by_torchrun"
BENCHMARK = f"{HERE}::test_what_make_benchmark_calls_measures"
BASELINES = (
    "tests/unit/registration/test_registration_baselines.py::test_without_its_package_the_command_to_install_is_said"
)
ACCURACY = "tests/unit/test_accuracy_page.py::test_the_commands_of_the_accuracy_page_run"

# (document, or * for all; how a command in a block begins) -> the test that runs each such line of the document itself
TAKEN = {
    ("*", "nextflow run main.nf"): f"{FLOW}::test_the_commands_of_a_document_run",
    ("README.md", "wssamnet"): PAIR,
    ("docs/one-pair.md", "wssamnet"): PAIR,
    ("docs/conventions.md", "antsApplyTransforms"): PAIR,
    ("docs/methods.md", "wssamnet"): "tests/unit/test_methods_documented.py::test_the_commands_run",
    ("docs/one-pair.md", "docker run"): f"{IMAGE}::test_it_keeps_the_challenges_contract",
    ("docs/one-pair.md", "apptainer exec"): f"{IMAGE}::test_it_keeps_the_challenges_contract",
    ("docs/accuracy.md", "python benchmarks/accuracy.py"): (
        "tests/unit/test_accuracy_page.py::test_the_tables_of_the_accuracy_page_are_those_of_its_files"
    ),
    **{("docs/accuracy.md", word): ACCURACY for word in ("wssamnet", "export OMP_NUM_THREADS", "SET=", "JUDGED=")},
    ("docs/cluster.md", "head="): TORCHRUN,
    ("docs/cluster.md", "export PYTHONPATH"): TORCHRUN,
    ("docs/cluster.md", "srun torchrun"): TORCHRUN,
}

# command -> the test that runs it. With …, ... or [ ] it is a form, of which the test runs one.
RUN_BY = {
    "make demo": f"{FLOW}::test_make_demo_runs",
    "make environment": FIRST,
    "make help": f"{HERE}::test_make_knows_what_the_documents_name",
    "make test": f"{HERE}::test_make_test_runs_what_it_is_given",
    "make scale": f"{FLOW}::test_make_scale_measures",
    "make benchmark": BENCHMARK,
    "make benchmark SIZE=quarter": BENCHMARK,
    "make test-container": f"{IMAGE}::test_the_pipeline_runs_in_it",
    "git clone URL wssamnet && cd wssamnet": FIRST,
    "git clone": FIRST,
    ". .venv/bin/activate": FIRST,
    "cp conf/site.yml site.yml": FIRST,
    "nextflow clean": f"{FLOW}::test_the_commands_of_a_document_run",
    "rm -r work": f"{FLOW}::test_the_commands_of_a_document_run",
    "cd /scratch/me": "tests/pipeline/test_pipeline_failures.py::test_what_stops_a_run_is_told_whole_and_kept",
    "nextflow run main.nf -profile demo …": f"{FLOW}::test_the_rows_of_decisions_md_are_parameters_of_the_demo",
    "nextflow run main.nf --NAME VALUE": "tests/pipeline/test_pipeline_flow.py::test_methods_left_out_are_not_trained",
    "wssamnet --threads 16 train-registration ... --processes 4": (
        "tests/unit/training/test_training_processes.py::test_two_processes_ask_to_be_called_again_and_go_on"
    ),
    "wssamnet register-cases wssamnet ... --three-devices": (
        "tests/unit/registration/test_registration_network.py::test_three_devices_predict_what_one_does"
    ),
    "wssamnet [--threads N] VERB …": "tests/unit/test_cli.py::test_register_evaluate_and_tables_fit_together",
    "wssamnet VERB --help": "tests/unit/test_cli.py::test_every_verb_explains_itself",
    "wssamnet --help": "tests/unit/test_cli.py::test_help_answers_at_once_and_names_every_verb",
    "wssamnet simulate --out cohort --cases 1 --spacing-mm 2": f"{HERE}::test_simulate_writes_cases",
    "wssamnet simulate --out cohort --seed 4242 --cases 5 --spacing-mm 1": f"{HERE}::test_simulate_writes_cases",
    # in the prose, a verb's name
    **{f"wssamnet {verb}": "tests/unit/test_cli.py::test_every_verb_explains_itself" for verb in verbs()},
    "wssamnet settings": f"{HERE}::test_settings_are_printed",
    "generate_output -i INPUT -o OUTPUT [-d] [-r]": CHALLENGE,
    "apply_deformation -f FIELD -i IMAGE -t linear|nearest|label [-p FILE]": CHALLENGE,
    "antsApplyTransforms -i moving -r fixed -t …": PAIR,
    "pip install": f"{HERE}::test_the_extra_can_be_installed",
    "pip install 'wssamnet[baselines]'": f"{HERE}::test_the_extra_can_be_installed",
    "pip install --no-deps fireants SimpleITK": BASELINES,
    "python tests/unit/catalogue/catalogue_all.py": (
        "tests/unit/catalogue/test_catalogue.py::test_the_table_is_up_to_date"
    ),
    "python tests/unit/reference_pages.py": "tests/unit/test_reference.py::test_the_reference_is_current",
    "docker build -f containers/Dockerfile -t wssamnet:latest .": f"{IMAGE}::test_the_labels_say_what_is_inside",
    "apptainer build wssamnet.sif containers/apptainer.def": (
        "tests/unit/test_containers.py::test_both_copy_the_same_files_and_call_the_same_installation"
    ),
    "ch-convert -i podman -o dir wssamnet:latest /shared/wssamnet": (
        f"{IMAGE}::test_charliecloud_takes_an_image_from_podman"
    ),
    "squeue -u $USER": SLURM,
}

# command -> why no test can run it
NOT_RUN = {"sacctmgr show assoc user=$USER": "asks Slurm's accounting database, which the cluster of the tests lacks"}


def test_every_block_says_what_it_holds() -> None:
    said = {(path.name, language) for path in DOCUMENTS for language, _ in fences(path.read_text(encoding="utf-8"))}
    assert {pair for pair in said if pair[1] not in LANGUAGES} == set(), "bash for commands alone, else text"


def _is_taken(one: Command, document: str, beginning: str) -> bool:
    return not one.inline and document in ("*", one.document) and one.text.startswith(beginning)


def test_every_command_is_run_by_a_test() -> None:
    every = commands()
    assert len(every) > 50
    listed = {*RUN_BY, *NOT_RUN}
    without = [one for one in every if one.text not in listed and not any(_is_taken(one, *key) for key in TAKEN)]
    assert without == [], "each needs a test that runs it, and a line here that names the test"


def test_the_list_names_nothing_that_is_gone() -> None:
    every = commands()
    texts = {*(one.text for one in every), *(f"wssamnet {verb}" for verb in verbs())}
    assert [text for text in (*RUN_BY, *NOT_RUN) if text not in texts] == []
    assert [key for key in TAKEN if not any(_is_taken(one, *key) for one in every)] == []
    for test in {*RUN_BY.values(), *TAKEN.values()}:
        path, name = test.split("::")
        defined = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
        assert name in {part.name for part in defined if isinstance(part, ast.FunctionDef)}, test


def _call(*words: object, cwd: Path = ROOT) -> str:
    done = subprocess.run([*map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _make(*words: object) -> str:
    return _call("make", "-o", ".venv/ready", *words)  # never set up anew from a test


def test_make_knows_what_the_documents_name() -> None:
    listed = _make("help")
    for text in {one.text for one in commands() if one.text.startswith("make ")}:
        words = shlex.split(text)[1:]
        assert re.search(rf"^  make {words[0]} ", listed, re.MULTILINE), text
        _make("-n", *words)


def test_make_test_runs_what_it_is_given() -> None:
    said = _make("test", "TESTS=tests/unit/test_errors.py -p no:cacheprovider -v")
    assert re.search(r"\d+ passed", said), said


def test_what_make_benchmark_calls_measures(tmp_path: Path) -> None:
    """Its scripts on the one measurement that takes the least time; all of them take minutes."""
    called = _make("-n", "benchmark", "SIZE=quarter", f"BENCHMARK={tmp_path}")
    assert "for what in kernels networks pairs" in called
    for name in ("kernels", "networks", "pairs"):
        assert "--only" in _call(sys.executable, f"benchmarks/{name}.py", "--help")
    script = [sys.executable, "benchmarks/kernels.py", "--size", "quarter"]
    _call(*script, "--only", "smoothness", "--out", tmp_path / "kernels.csv")
    (table,) = re.findall(r"python (benchmarks/table\.py \S+)", called)
    assert re.search(
        r"^\| smoothness \| quarter \| wssamnet \| [\d.e-]+ \|", _call(sys.executable, *table.split()), re.M
    )
    assert (tmp_path / "benchmark.png").stat().st_size > 0


def test_simulate_writes_cases(tmp_path: Path) -> None:
    lines = {one.text for one in commands() if one.text.startswith("wssamnet simulate --")}
    assert len(lines) == 3
    for place, line in enumerate(lines):
        folder = tmp_path / str(place)
        folder.mkdir()
        _call(sys.executable, "-m", "wssamnet.cli", *shlex.split(line)[1:], "--cases", 1, "--spacing-mm", 8, cwd=folder)
        assert [case.id for case in read_cohort(folder / "cohort")] == ["BraTSReg_001"]


def test_settings_are_printed() -> None:
    assert re.search(r"^features +8 +8 ", _call(sys.executable, "-m", "wssamnet.cli", "settings"), re.MULTILINE)


def test_the_extra_can_be_installed() -> None:
    """What is installed is taken as it is, and knows the extra; what the extra needs would be fetched."""
    (line,) = {one.text for one in commands() if one.text.startswith("pip install 'wssamnet")}
    words = shlex.split(line)[1:]
    said = _call(sys.executable, "-m", "pip", *words, "--dry-run", "--no-deps", "--no-index")
    assert "Requirement already satisfied: wssamnet[baselines]" in said
    assert "baselines" in (metadata("wssamnet").get_all("Provides-Extra") or ())
