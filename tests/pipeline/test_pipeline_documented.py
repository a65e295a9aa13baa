"""The commands of README.md and docs/ that start Nextflow, as they stand there: with stubs, in a copy of the checkout.

Every line ``nextflow run main.nf ...`` of a block is taken from the documents themselves, so a new one is run as well.
The folders and files that they name are made; `STUBS` or `PREVIEW` is added to the line.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from nextflow_calls import Answer, Pipeline

from documents import DOCUMENTS, ROOT, commands, lines

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(900)]

RUN = "nextflow run main.nf"
LINES = {document.name: lines(document, RUN) for document in DOCUMENTS}
CLUSTER = ROOT / "docs" / "cluster.md"
# The flow alone matters here: tests/slurm sends it to a real Slurm, tests/containers runs it in an image.
HERE = """
process.executor = 'local'
executor { pollInterval = '100 ms'; submitRateLimit = null }
apptainer.enabled = false
"""
STUBS = ("-stub-run", "-c", "here.config", "--max_cpus", "1", "--max_memory", "'2 GB'", "--cases_per_task", "9")
PATH = 'PATH="$PWD/bin:$PATH"'  # before the activated environment, which has the whole program
# Hundreds of tasks: looked through without running one. test_pipeline_ablations.py runs such a study.
PREVIEW = ("-preview", "-c", "here.config")


def _shell(folder: Path, line: str, seconds: int = 600) -> Answer:
    """One line of a document in bash, in the environment that a user has activated."""
    # `make test` tells a make that it calls that it is not the first; a user's is
    before = f". .venv/bin/activate\nunset MAKEFLAGS MAKELEVEL\nexport NXF_ANSI_LOG=false {PATH}"
    words = ["bash", "-euc", f"{before}\n{line}"]
    done = subprocess.run(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False
    )
    return Answer(done.returncode, done.stdout)


@pytest.fixture
def here(editable: Pipeline) -> Pipeline:
    """A checkout in which Nextflow is called, as the documents do, with what they name beside it."""
    folder = editable.checkout
    shutil.copy2(ROOT / "Makefile", folder)
    (folder / "here.config").write_text(HERE, encoding="utf-8")
    # all that a stub asks of it
    (folder / "bin" / "wssamnet").write_text("#!/bin/sh\necho wssamnet stub\n", encoding="utf-8")
    for number in range(5):
        (folder / "COHORT" / f"case_{number}").mkdir(parents=True)
    for name in ("its/results", "results/of/the/tool", "results/of/another", "my"):
        (folder / name).mkdir(parents=True)
    for name in ("my/file.py", "my/centres.py"):
        (folder / name).touch()
    return Pipeline(folder, folder)


def _site(folder: Path) -> None:
    """Copy and edit the site's file, as docs/cluster.md says."""
    (line,) = lines(CLUSTER, "cp ")
    answer = _shell(folder, line)
    assert answer.status == 0, answer.output
    file = folder / line.split()[-1]
    text = file.read_text(encoding="utf-8")
    edited = re.sub(r"^(max_cpus|max_memory): .*", r"\1: SMALL", text, flags=re.MULTILINE)
    assert edited.count("SMALL") == 2
    file.write_text(edited.replace("SMALL", "1", 1).replace("SMALL", "2 GB", 1), encoding="utf-8")


@pytest.mark.parametrize("document", [name for name, told in LINES.items() if told])
def test_the_commands_of_a_document_run(here: Pipeline, document: str) -> None:
    folder = here.checkout
    _site(folder)
    for line in LINES[document]:
        words = shlex.split(line)
        out, preview = words[words.index("--outdir") + 1], "--ablations" in words
        shutil.rmtree(folder / out, ignore_errors=True)
        answer = _shell(folder, f"{line} {' '.join(PREVIEW if preview else STUBS)}")
        assert answer.status == 0, f"{line}\n{answer.output}"
        if preview:
            assert "Submitted process" not in answer.output
            continue
        named = words[words.index("--methods") + 1] if "--methods" in words else _default_methods(folder)
        methods = {*named.split(","), *re.findall(r"--registrar (\w+)=", line)}
        assert {path.name for path in (folder / out / "registration").iterdir()} == methods, line
        assert (folder / out / "report.html").is_file()
        if "-resume" in words:
            assert here.again(out) == set()
    if document == CLUSTER.name:
        _clean(folder)


def _clean(folder: Path) -> None:
    """What docs/cluster.md says of a run that is done."""
    told = [one.text for one in commands(CLUSTER) if one.inline]
    made = {path.parent for path in (folder / "work").glob("*/*/.command.sh")}
    assert "nextflow clean" in told
    answer = _shell(folder, "nextflow clean -f")
    assert answer.status == 0, answer.output
    assert any(path.exists() for path in made), "then the document may name it again"
    assert "rm -r work" in told
    assert _shell(folder, "rm -r work").status == 0
    assert (folder / "results" / "study" / "report.html").stat().st_size > 0


def _default_methods(folder: Path) -> str:
    schema = json.loads((folder / "nextflow_schema.json").read_text(encoding="utf-8"))
    return str(schema["$defs"]["methods"]["properties"]["methods"]["default"])


def test_a_first_run_on_a_cluster_begins_with_these_commands(here: Pipeline, tmp_path: Path) -> None:
    clone, make, activate, copy, run = lines(CLUSTER, "")[:5]
    assert (make, activate, copy) == ("make environment", ". .venv/bin/activate", "cp conf/site.yml site.yml")
    assert run.startswith(RUN)
    if (ROOT / ".git").exists():
        done = subprocess.run(
            ["bash", "-euc", f"{clone.replace('URL', shlex.quote(str(ROOT)))}; ls main.nf bin/set-up conf/site.yml"],
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0
    folder = here.checkout
    # .venv is there already
    assert _shell(folder, f"{make} -o .venv/ready").output.strip().endswith("Nothing to be done for 'environment'.")
    _site(folder)


def test_make_demo_runs(here: Pipeline) -> None:
    answer = _shell(here.checkout, "make demo -o .venv/ready OUT='results/demo -stub-run --cases_per_task 9'")
    assert answer.status == 0, answer.output
    assert (here.checkout / "results" / "demo" / "report.html").is_file()


def test_the_rows_of_decisions_md_are_parameters_of_the_demo(here: Pipeline) -> None:
    text = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    table = text.partition(f"| command (`{RUN} -profile demo …`)")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(--[^`]+)`", table, re.MULTILINE)
    assert len(rows) > 1
    answer = _shell(here.checkout, f"{RUN} -profile demo {' '.join(rows)} {' '.join(PREVIEW)}")
    assert answer.status == 0, answer.output


def test_make_scale_measures() -> None:
    answer = _shell(ROOT, "make scale -o .venv/ready SCALE='--cases 4 --cases-per-task 4'")
    assert answer.status == 0, answer.output
    row = answer.output.strip().splitlines()[-1]
    assert re.match(r"\| *local *\| *4 *\| *4 *\|", row), answer.output
