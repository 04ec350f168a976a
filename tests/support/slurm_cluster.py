"""A SLURM of the system's packages on this machine: two partitions, of which one takes the other's place."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo")
CONF = """
ClusterName=synththorax
SlurmctldHost=localhost(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SlurmctldPort={first}
SlurmdPort={second}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ReturnToService=2
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cores} RealMemory=4000 State=UNKNOWN
PartitionName=low Nodes=localhost Default=YES State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=high Nodes=localhost State=UP PriorityTier=10 PreemptMode=OFF
"""


def missing() -> str:
    """Return the first program that is not installed, or what else is lacking; empty if nothing is."""
    if os.geteuid() != 0:
        return "root, to start SLURM"
    return next((name for name in PROGRAMS if shutil.which(name) is None), "")


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _jobs(environ: Mapping[str, str]) -> str:
    """Return the jobs that are left, as ``squeue`` prints them."""
    command = ["squeue", "--me", "--noheader"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False).stdout


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[Path]:
    """Start SLURM, and yield its configuration for SLURM_CONF."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key, conf = folder / "munge.key", folder / "slurm.conf"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    text = CONF.format(folder=folder, first=_port(), second=_port(), cores=os.cpu_count() or 1)
    conf.write_text(text)
    names = {"key-file": key, "socket": folder / "munge.socket", "pid-file": folder / "munged.pid"}
    names |= {"log-file": folder / "munged.log", "seed-file": folder / "munge.seed"}
    environ = os.environ | {"SLURM_CONF": str(conf)}
    subprocess.run(["munged", "--force", *(f"--{k}={v}" for k, v in names.items())], check=True)
    try:
        subprocess.run(["slurmctld", "-c"], check=True, env=environ)
        subprocess.run(["slurmd", "-N", "localhost"], check=True, env=environ)
        until = time.monotonic() + 60
        while "idle" not in subprocess.run(["sinfo"], env=environ, capture_output=True, text=True).stdout:
            assert time.monotonic() < until, "SLURM did not start"
            time.sleep(0.5)
        yield conf
    finally:
        subprocess.run(["scancel", "--me"], env=environ, check=False)
        until = time.monotonic() + 20
        while time.monotonic() < until and _jobs(environ):
            time.sleep(0.5)
        for name in ("slurmd", "slurmctld", "munged"):
            with suppress(OSError, ValueError):
                os.kill(int((folder / f"{name}.pid").read_text()), signal.SIGTERM)
