"""The verbs put together, and how faults are told."""

from __future__ import annotations

import errno
import logging
import os
import platform
import sys
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, cast

import typer

from wssamnet import __version__
from wssamnet.cli.apply import apply
from wssamnet.cli.challenge import apply_deformation, generate_output
from wssamnet.cli.check import check
from wssamnet.cli.check_methods import check_methods
from wssamnet.cli.compile import compile_kernels
from wssamnet.cli.evaluate import evaluate
from wssamnet.cli.external import external
from wssamnet.cli.preprocess import preprocess
from wssamnet.cli.pretrain import pretrain
from wssamnet.cli.register import register
from wssamnet.cli.register_cases import register_cases
from wssamnet.cli.report import report
from wssamnet.cli.settings import settings
from wssamnet.cli.simulate import simulate
from wssamnet.cli.tables import tables
from wssamnet.cli.together import is_one_of_several
from wssamnet.cli.train_registration import train_registration
from wssamnet.cli.train_segmentation import train_segmentation
from wssamnet.cli.train_voxelmorph import train_voxelmorph
from wssamnet.errors import ProcessLost, TimeIsUp, WssamnetError

PACKAGES = ("torch", "antspyx", "voxelmorph", "numpy", "nibabel")
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
_ROOM, _WRITABLE, _PLACE = "make room, or choose another place", "a place that may be written", "another place"
FAULTS_OF_THE_DISK = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _ROOM),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _WRITABLE),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG), _PLACE),
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ETIMEDOUT), "look after the disk, then run it again"),
}

HABITS: dict[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
# Words that do not fit: the base has no public name, and lives in click or in typer, by typer's version.
WrongWords = cast(type[Exception], typer.BadParameter.__base__)

app = typer.Typer(
    help="Register brain MRI before and after tumour surgery, and judge registrations by landmarks.", **HABITS
)


def _say_version(asked: bool) -> None:
    if not asked:
        return
    parts = [f"wssamnet {__version__}", f"python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            parts.append(f"{package} not installed")
    typer.echo(", ".join(parts))
    raise typer.Exit()


@app.callback()
def options(
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of every numeric library; all cores where not set.")
    ] = None,
    asked: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the versions and stop.")
    ] = False,
) -> None:
    """Set what the numeric libraries read from the environment, before any of them is imported."""
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # processes that torchrun started on this machine
    if threads is None and beside > 1:
        threads = len(os.sched_getaffinity(0))
    if threads is not None:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(max(1, threads // beside))))
    # torch's threads wait by spinning, on the cores that the compiled kernels want between two of its operations
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


for verb in (
    simulate,
    check,
    check_methods,
    preprocess,
    train_segmentation,
    pretrain,
    train_registration,
    train_voxelmorph,
    register_cases,
    external,
    evaluate,
    tables,
    report,
    settings,
    register,
    apply,
    generate_output,
    apply_deformation,
):
    app.command()(verb)
app.command("compile", hidden=True)(compile_kernels)


def run(program: typer.Typer = app, name: str = "wssamnet") -> None:
    """Run the command line.

    Faults that the user can mend are plain lines and exit status 2; 85 asks to be called again.

    Args:
        program: all verbs, or one that is a program by itself.
        name: what it is called by.
    """
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # its remarks on headers: ours are the errors
    try:
        # not standalone: typer leaves its complaints to us, and returns the status that it would have exited with
        sys.exit(program(sys.argv[1:] or ["--help"], prog_name=name, standalone_mode=False) or 0)
    except WrongWords as error:
        command = _command(error, name)
        what = " ".join(error.format_message().split()).removesuffix(".")  # type: ignore[attr-defined]
        _tell(f"{what}{' See' if what.endswith('?') else '; see'} {command} -h", command)
        sys.exit(2)
    except typer.Abort:
        sys.exit(130)
    except WssamnetError as error:
        _tell(str(error))
        sys.exit(2)
    except TimeIsUp as pause:
        _tell(f"{pause}; the same command goes on from there")
        sys.exit(pause.EXIT_STATUS)
    except ProcessLost:
        sys.exit(2)
    except OSError as error:
        if error.errno not in FAULTS_OF_THE_DISK:
            raise
        _tell(f"{error.filename or 'output'}: {error.strerror} ({FAULTS_OF_THE_DISK[error.errno]})")
        sys.exit(2)


def _command(error: Exception, name: str) -> str:
    """The program, and its verb where there is one, to which the words of an error belong."""
    context = getattr(error, "ctx", None)
    if context is not None:
        return str(context.command_path)
    verbs = getattr(typer.main.get_command(app), "commands", {}) if name == "wssamnet" else {}
    return " ".join([name, *[word for word in sys.argv[1:] if word in verbs][:1]])


def _tell(message: str, by: str = "wssamnet") -> None:
    """Print each line, once, where several processes end for the same reason."""
    voice: AbstractContextManager[bool] = nullcontext(True)
    if is_one_of_several():
        from wssamnet.training.processes import one_voice

        voice = one_voice()
    with voice as speaks:
        for line in message.splitlines() if speaks else ():
            print(f"{by}: {line}", file=sys.stderr, flush=True)
