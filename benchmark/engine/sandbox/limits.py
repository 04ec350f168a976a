"""Limits of a sandboxed process on memory, time, processes and output."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import BenchmarkError

if TYPE_CHECKING:
    from psutil import Process

MEMORY, HOURS = "SYNTHTHORAX_SANDBOX_MEMORY", "SYNTHTHORAX_SANDBOX_HOURS"
MEMORY_SHARE = 0.75  # of the machine, without SYNTHTHORAX_SANDBOX_MEMORY
DEFAULT_HOURS = 72.0
PROCESSES = 512
WATCH_SECONDS = 0.25


@dataclass(frozen=True)
class Limits:
    """Limits of one sandbox.

    Attributes:
        memory: bytes of all its processes together.
        seconds: of its life.
        scratch: bytes of its temporary files, and of the files of one message.
    """

    memory: int
    seconds: float
    scratch: int
    processes: int = PROCESSES

    @classmethod
    def of_machine(cls, seconds: float | None = None) -> "Limits":
        """Return the limits that the environment names, or those of this machine.

        Raises:
            BenchmarkError: a variable is not a positive number.
        """
        import psutil

        memory = int(_number(MEMORY, psutil.virtual_memory().total * MEMORY_SHARE / 2**30) * 2**30)
        return cls(memory, seconds or _number(HOURS, DEFAULT_HOURS) * 3600, memory // 2)


def _number(name: str, default: float) -> float:
    try:
        value = float(os.environ.get(name) or default)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise BenchmarkError(name, f"is '{os.environ[name]}'", "Give a positive number.")
    return value


def apply_limits(memory: int, processes: int, file_bytes: int) -> None:
    """Limit this process and those that it starts; it cannot raise the limits again.

    Args:
        memory: bytes of writable memory; 0 for none, since a GPU's driver maps more than it uses.
        processes: in addition to those that the user runs already.
    """
    import resource

    bounds = {resource.RLIMIT_FSIZE: file_bytes, resource.RLIMIT_CORE: 0}
    bounds[resource.RLIMIT_NPROC] = _tasks() + processes
    if memory:
        bounds[resource.RLIMIT_DATA] = memory
    for kind, bound in bounds.items():
        _, hard = resource.getrlimit(kind)
        bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(kind, (bound, bound))


def _tasks() -> int:
    """Return the threads of this user that this process can see."""
    import psutil

    uid = os.getuid()
    return sum(p.info["num_threads"] or 0 for p in psutil.process_iter(["uids", "num_threads"])
               if p.info["uids"] and p.info["uids"].real == uid)  # fmt: skip


class Watchdog(threading.Thread):
    """Ends a process with all its descendants when it breaks a limit.

    Attributes:
        fault: the limit that was broken and the remedy; None while all hold.
    """

    def __init__(self, pid: int, limits: Limits, end: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.pid, self.limits, self.end, self.ended = pid, limits, end, threading.Event()
        self.fault: tuple[str, str] | None = None
        self.began = time.monotonic()

    def run(self) -> None:
        """Watch until the sandbox is closed."""
        while not self.ended.wait(WATCH_SECONDS):
            self.fault = self._fault()
            if self.fault:
                self.end()
                return

    def _fault(self) -> tuple[str, str] | None:
        import psutil

        limits = self.limits
        if time.monotonic() - self.began > limits.seconds:
            return f"ran for more than {limits.seconds:,.0f} s", f"Make it faster, or raise {HOURS}."
        try:
            processes = psutil.Process(self.pid).children(recursive=True)
        except psutil.Error:
            return None
        if len(processes) > limits.processes:
            return f"started more than {limits.processes} processes", "Start fewer."
        if _resident(processes) > limits.memory and _proportional(processes) > limits.memory:
            return (
                f"used more than {limits.memory / 2**30:.1f} GiB of memory",
                f"Use less memory, or raise {MEMORY} (GiB).",
            )
        return None


def _resident(processes: Sequence["Process"]) -> int:
    """Return the bytes of memory of processes; what several share counts for each."""
    import psutil

    used = 0
    for process in processes:
        with suppress(psutil.Error):
            used += process.memory_info().rss
    return used


def _proportional(processes: Sequence["Process"]) -> int:
    """Return the bytes of memory of processes; what several share counts once. Slower than ``_resident``."""
    used = 0
    for process in processes:
        try:
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="utf-8")
        except OSError:  # it has ended, or the system does not tell
            used += _resident([process])
        else:
            used += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) * 1024
    return used
