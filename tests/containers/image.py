"""The image of containers/Dockerfile, built on this machine from Debian's packages alone: no registry, no daemon.

The base is made by debootstrap, the image by buildah in a chroot; Charliecloud runs programs in it. As a script:

    python tests/containers/image.py install         Debian's packages, as root
    python tests/containers/image.py remove          whatever a test that was killed has left
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = {"debootstrap": "debootstrap", "buildah": "buildah", "podman": "podman", "ch-run": "charliecloud"}
BASE, NAME = "localhost/wssamnet-base:test", "localhost/wssamnet:test"
SUITE = "bookworm"
NEEDED_GB = 25  # two copies of the image and what pip unpacks
# What this machine's clients of package indexes are told, which a build in a bare system must be told as well.
CONFIGURATION = ("/etc/pip.conf", "/etc/ssl/certs", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates")


def obstacle() -> str | None:
    """Why no image can be built here; None where one can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed (as root: make test-container)"
    if os.geteuid() != 0:
        return "debootstrap and buildah's chroot isolation need root"
    free = shutil.disk_usage("/var/lib").free // 10**9
    return None if free >= NEEDED_GB else f"{free} GB free, but {NEEDED_GB} are needed"


def install() -> None:
    """Debian's debootstrap, buildah, Podman and Charliecloud where they are missing and may be installed."""
    missing = sorted({package for name, package in PROGRAMS.items() if shutil.which(name) is None})
    if missing and os.geteuid() == 0 and shutil.which("apt-get") is not None:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (("update",), ("install", "-y", "--no-install-recommends", *missing)):
            subprocess.run(["apt-get", "-qq", *words], env=quiet, stdout=subprocess.DEVNULL, check=True, timeout=600)


def call(*words: str, seconds: float = 120) -> str:
    """A program's output.

    Raises:
        RuntimeError: it failed; the end of what it said.
    """
    done = subprocess.run(
        words,
        cwd=ROOT,
        env={**os.environ, "USER": os.environ.get("USER", "root")},  # Charliecloud asks for it
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:3])} …: exit status {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def make_base() -> None:
    """The smallest Debian as the image `BASE`, where it is not there yet."""
    if subprocess.run(["buildah", "inspect", BASE], capture_output=True, check=False).returncode == 0:
        return
    with tempfile.TemporaryDirectory(prefix="base", dir="/var/tmp") as name:
        call("debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, name, seconds=900)
        container = call("buildah", "from", "scratch").strip()
        call("buildah", "add", "--quiet", container, name, "/", seconds=300)
        call("buildah", "commit", "--quiet", "--rm", container, BASE, seconds=300)


def build(name: str, *, seconds: float = 3600, **arguments: str) -> str:
    """Build the recipe with build arguments; returns the log.

    Raises:
        RuntimeError: the recipe refused, with the end of the log.
    """
    mounts = [f"--volume={path}:{path}:ro" for path in CONFIGURATION if Path(path).exists()]
    given = [f"--build-arg={key}={value}" for key, value in {"BASE_IMAGE": BASE, **arguments}.items()]
    recipe = ("--file", "containers/Dockerfile", "--tag", name, ".")
    return call("buildah", "build", "--isolation=chroot", "--pull-never", *mounts, *given, *recipe, seconds=seconds)


@dataclass(frozen=True)
class Image:
    """A built image, mounted.

    Args:
        container: buildah's name of the container that is mounted.
        folder: its root, as Charliecloud takes it.
    """

    container: str
    folder: Path

    @classmethod
    def mount(cls) -> Image:
        """Mount `NAME`. Nothing is copied; what Charliecloud wants to find in an image is put over it."""
        container = call("buildah", "from", "--pull-never", NAME).strip()
        image = cls(container, Path(call("buildah", "mount", container).strip()))
        (image.folder / "ch").mkdir()
        environment = "".join(f"{line}\n" for line in image.configuration()["Env"])
        (image.folder / "ch" / "environment").write_text(environment, encoding="utf-8")
        return image

    def configuration(self) -> dict[str, object]:
        """User, labels and environment, as the image records them."""
        told = json.loads(call("buildah", "inspect", "--type", "image", NAME))
        return dict(told["OCIv1"]["config"])

    def run(self, script: str, seconds: float = 300) -> str:
        """Run a shell script as the image's user."""
        return call("buildah", "run", "--isolation=chroot", self.container, "--", "sh", "-euc", script, seconds=seconds)

    def run_as_docker(self, line: str, folder: Path, seconds: float = 300) -> str:
        """Run a ``docker run`` as it stands in a document, called in a folder: its user, volumes and place are kept."""
        expanded = ["bash", "-euc", f"cd '{folder}'; printf '%s\\n' {line}"]
        parser = argparse.ArgumentParser()
        parser.add_argument("program", nargs=2)
        parser.add_argument("--rm", action="store_true", required=True)
        for option, name in (("-u", "user"), ("-v", "volume"), ("-w", "workingdir")):
            parser.add_argument(option, dest=name, action="append", default=[])
        parser.add_argument("image")
        parser.add_argument("words", nargs=argparse.REMAINDER)
        told = vars(parser.parse_args(call(*expanded).splitlines()))
        options = [f"--{name}={value}" for name in ("user", "volume", "workingdir") for value in told[name]]
        words = ("buildah", "run", "--isolation=chroot", *options, self.container, "--", *told["words"])
        return call(*words, seconds=seconds)

    def run_read_only(self, script: str, seconds: float = 300) -> str:
        """Run a shell script by Charliecloud, which by itself lets nothing be written to an image."""
        words = ("ch-run", "--unset-env=*", "--set-env", str(self.folder), "--", "sh", "-euc", script)
        return call(*words, seconds=seconds)


def remove() -> None:
    """The images and every container of them."""
    told = json.loads(call("buildah", "containers", "--json") or "null") or []
    for container in told:
        if container["imagename"] in (NAME, BASE):
            call("buildah", "rm", container["id"], seconds=300)
    for name in (NAME, BASE):
        subprocess.run(["buildah", "rmi", "--force", name], capture_output=True, timeout=300, check=False)


def main(words: list[str]) -> None:
    """The script; see the top of the file."""
    match words:
        case ["install"]:
            install()
        case ["remove"]:
            remove()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
