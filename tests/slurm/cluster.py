"""A real Slurm on this machine for the tests: two pretend hosts, no systemd, no cgroups, no database.

Host ``c1`` has cores only (partition ``cpu``, the default), ``g1`` two pretend GPUs (partition ``gpu``). As a script:

    python tests/slurm/cluster.py install            Debian's packages, as root
    eval "$(python tests/slurm/cluster.py start DIR)"
    python tests/slurm/cluster.py stop DIR
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
CORES, MEMORY_MB, GPUS = 4, 12000, 2  # what each host claims; nothing holds a job to its cores
SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def obstacle() -> str | None:
    """Why no cluster can run here; None where one can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=SEARCHED) is None]
    if missing:
        return f"{', '.join(missing)} not installed (as root: make test-slurm)"
    return None if os.geteuid() == 0 else "Slurm's daemons must be started as root"


def install() -> None:
    """Debian's Slurm and munge where they are missing and may be installed."""
    reason = obstacle()
    if reason is not None and os.geteuid() == 0 and shutil.which("apt-get") is not None:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (("update",), ("install", "-y", "--no-install-recommends", "slurm-wlm", "munge")):
            subprocess.run(["apt-get", "-qq", *words], env=quiet, stdout=subprocess.DEVNULL, check=True, timeout=600)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def until(met: Callable[[], bool], seconds: float, every: float = 0.1) -> bool:
    """Whether something comes true within some seconds."""
    end = time.monotonic() + seconds
    while not met():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def _birth(pid: int) -> str | None:
    """When a process began, in clock ticks; None where there is none. Tells it from a later one with its number."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def _gone(pid: int, born: str | None) -> bool:
    return _birth(pid) != born


@dataclass(frozen=True)
class Job:
    """What ``squeue`` says of a job. Times are local and sort as text; outside an array `array` is the job's own id."""

    id: int
    array: int
    state: str
    partition: str
    gres: str
    start: str
    end: str
    folder: Path
    name: str

    @classmethod
    def read(cls, line: str) -> Job:
        """From the columns above, with "|" between them."""
        number, array, state, partition, gres, start, end, folder, name = line.split("|")
        return cls(int(number), int(array), state, partition, gres, start, end, Path(folder), name)

    @property
    def errors(self) -> str:
        """What its task wrote to standard error."""
        return (self.folder / ".command.err").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Cluster:
    """A cluster and its folder.

    Args:
        folder: configuration, logs, state. A short path: munge's socket lies there.
    """

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What finds this cluster's controller."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def call(self, *words: str, seconds: float = 20) -> str:
        """A Slurm command's output.

        Raises:
            subprocess.CalledProcessError: it failed; its output is in the error.
        """
        done = subprocess.run(
            words, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=seconds, check=False
        )
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
        return done.stdout

    def jobs(self, name: str = "", state: str = "") -> list[Job]:
        """The jobs of this cluster's life, oldest first.

        Args:
            name: a part of their name; every job where empty.
            state: as Slurm spells it; any where empty.
        """
        lines = self.call("squeue", "-h", "-t", "all", "-o", "%A|%F|%T|%P|%b|%S|%e|%Z|%j").splitlines()
        found = [Job.read(line) for line in lines]
        return sorted((job for job in found if name in job.name and state in ("", job.state)), key=lambda job: job.id)

    def start(self) -> None:
        """Start the daemons and wait until both hosts take jobs.

        Raises:
            RuntimeError: one did not come up, with the end of the logs.
        """
        if any(_birth(pid) == born for pid, born in self._started().values()):
            raise RuntimeError(f"a cluster runs in {self.folder}; stop it first")
        self._configure()
        munge, socket_path = self.folder / "munge", self.folder / "munge" / "socket"
        files = [f"--{name}-file={munge / name}" for name in ("key", "pid", "seed", "log")]
        self._spawn("munged", "--foreground", "--force", f"--socket={socket_path}", *files)
        self._expect("munged", lambda: self._answers("munge", "-S", str(socket_path), "-n"))
        self._spawn("slurmctld", "-D", "-c")
        self._expect("slurmctld", lambda: "is UP" in self._said("scontrol", "ping"))
        for node in ("c1", "g1"):
            self._spawn("slurmd", "-D", "-N", node, name=node)
        self._expect("the hosts", lambda: sorted(self._said("sinfo", "-hN", "-tidle", "-o%N").split()) == ["c1", "g1"])

    def stop(self) -> list[str]:
        """End the jobs, then the daemons; the names of those that had to be killed."""
        if self._answers("scancel", "--user", "root"):
            until(lambda: not self._said("squeue", "-h").strip(), 15)
        started, stubborn = self._started(), []
        for name in reversed(started):
            pid, born = started[name]
            if _birth(pid) == born:
                os.kill(pid, signal.SIGTERM)
                if not until(partial(_gone, pid, born), 15):
                    os.kill(pid, signal.SIGKILL)
                    stubborn.append(name)
        (self.folder / "processes.json").unlink(missing_ok=True)
        return stubborn

    def _started(self) -> dict[str, tuple[int, str]]:
        record = self.folder / "processes.json"
        return json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}

    def _spawn(self, program: str, *words: str, name: str | None = None) -> None:
        found = shutil.which(program, path=SEARCHED) or program
        with (self.folder / "log" / f"{name or program}.out").open("ab") as log:
            process = subprocess.Popen(
                [found, *words],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        record = {**self._started(), name or program: (process.pid, _birth(process.pid))}
        (self.folder / "processes.json").write_text(json.dumps(record), encoding="utf-8")

    def _said(self, *words: str) -> str:
        try:
            return self.call(*words, seconds=5)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return ""

    def _answers(self, *words: str) -> bool:
        try:
            self.call(*words, seconds=5)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return False
        return True

    def _expect(self, what: str, met: Callable[[], bool]) -> None:
        if not until(met, 30):
            ends = [
                f"{log.name}:\n{log.read_text(errors='replace')[-1500:]}" for log in (self.folder / "log").iterdir()
            ]
            self.stop()
            raise RuntimeError("\n".join([f"{what} did not come up", *ends]))

    def _configure(self) -> None:
        for name in ("munge", "log", "state", "spool/c1", "spool/g1"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        key = self.folder / "munge" / "key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        for number in range(GPUS):  # a link to a character device will do for slurmd
            gpu = self.folder / f"gpu{number}"
            gpu.unlink(missing_ok=True)
            gpu.symlink_to("/dev/null")
        (self.folder / "gres.conf").write_text(f"NodeName=g1 Name=gpu File={self.folder}/gpu[0-{GPUS - 1}]\n")
        # Not used, but slurmd loads one, and dies of looking for the right one where there are no cgroups.
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        host = socket.gethostname().split(".")[0]
        controller, c1, g1 = _free_ports(3)
        node = f"NodeHostname={host} NodeAddr=127.0.0.1 CPUs={CORES} RealMemory={MEMORY_MB}"
        options = {
            "ClusterName": "tests",
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmUser": "root",
            "SlurmctldPort": controller,
            "AuthInfo": f"socket={self.folder}/munge/socket",
            "StateSaveLocation": self.folder / "state",
            "SlurmdSpoolDir": self.folder / "spool" / "%n",
            "SlurmctldPidFile": self.folder / "slurmctld.pid",
            "SlurmdPidFile": self.folder / "%n.pid",
            "SlurmctldLogFile": self.folder / "log" / "slurmctld.log",
            "SlurmdLogFile": self.folder / "log" / "%n.log",
            "MailProg": "/bin/true",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            # Without cgroups a job's memory is looked at every two seconds.
            "JobAcctGatherType": "jobacct_gather/linux",
            "JobAcctGatherFrequency": 2,
            "JobAcctGatherParams": "OverMemoryKill",
            "AccountingStorageType": "accounting_storage/none",
            "MinJobAge": 3600,  # finished jobs stay in squeue -t all
            "SchedulerParameters": "batch_sched_delay=0,sched_interval=1,bf_interval=1",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core_Memory",
            "EnforcePartLimits": "ALL",
            "KillWait": 3,
            "MessageTimeout": 60,  # for machines that are busy with something else
            "ReturnToService": 2,
            "SlurmdParameters": "config_overrides",  # believe the hosts' claims
            "GresTypes": "gpu",
        }
        lines = [f"{name}={value}" for name, value in options.items()]
        lines += [
            f"NodeName=c1 {node} Port={c1}",
            f"NodeName=g1 {node} Port={g1} Gres=gpu:{GPUS}",
            "PartitionName=cpu Nodes=c1 Default=YES MaxTime=INFINITE",
            "PartitionName=gpu Nodes=g1 MaxTime=INFINITE",
        ]
        (self.folder / "slurm.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(words: list[str]) -> None:
    """The script; see the top of the file."""
    match words:
        case ["install"]:
            install()
        case ["start", folder]:
            cluster = Cluster(Path(folder).resolve())
            cluster.start()
            print(f"export SLURM_CONF={cluster.environment['SLURM_CONF']}")
        case ["stop", folder]:
            for name in Cluster(Path(folder).resolve()).stop():
                print(f"{name} had to be killed", file=sys.stderr)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
