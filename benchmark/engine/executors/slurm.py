"""Compute nodes as SLURM jobs by submitit; nodes with the same resources are submitted as one array."""

from __future__ import annotations

import logging
import math
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmark.engine.executors.protocol import Ended, Message, NodeRequest, attempt_elsewhere
from benchmark.engine.mailbox import Mailbox, Reader
from benchmark.engine.node import Node
from benchmark.engine.resources import GIB, Machine, Placement, Resources, refuse_impossible
from benchmark.errors import TaskError
from benchmark.utils.signals import Preempted, ask_to_end

LOOK_SECONDS = 0.5  # between two looks at the results
ASK_SECONDS = 15.0  # between two questions to SLURM, for jobs that are gone without a result
HOURS = 12.0  # of a node whose file states none
ALIVE = ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "REQUEUED", "RESIZING", "SUSPENDED", "SIGNALING")


class SlurmExecutor:
    """One job a node. A job that is preempted or reaches its time limit saves its state and goes on.

    Its files lie in ``work/slurm-...`` of the store; they stay where a job was lost.
    """

    attempts, shares_losses, queues = 5, False, True

    def __init__(self, placement: Placement, workers: int, root: Path) -> None:
        self.slots, self._slurm = placement.cluster.nodes_at_once, placement.cluster.slurm
        if self._slurm.scheduler == "local":
            self.slots = workers
        self._mail, self._root = Reader(root), root
        self._folder = root / "work" / f"slurm-{uuid.uuid4().hex}"
        self._missing: set[str] = set()  # jobs without a result that SLURM did not have when last asked
        self._keep_logs = False
        self._new: list[NodeRequest] = []
        self._running: dict[Any, NodeRequest] = {}
        self._asked = time.monotonic()

    def __enter__(self) -> Self:
        if self._slurm.scheduler == "slurm" and shutil.which("sbatch") is None:
            raise TaskError(
                "--executor slurm", "finds no sbatch on this machine",
                "Start it on a login node of the cluster, or state slurm.scheduler: local in --cluster FILE.",
            )  # fmt: skip
        logging.getLogger("submitit").setLevel(logging.ERROR)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for job in self._running:
            with suppress(Exception):  # a job that has ended
                job.cancel()
        if not self._running and not self._keep_logs:
            shutil.rmtree(self._folder, ignore_errors=True)

    def check(self, nodes: Sequence[tuple[Node, Resources]]) -> None:
        """Refuse what no machine of the partition has, as ``sinfo`` reports it."""
        if self._slurm.scheduler == "slurm":
            refuse_impossible(nodes, _machines(self._slurm.partition))

    def submit(self, request: NodeRequest) -> None:
        """Add a node to the next array, which ``wait`` submits."""
        self._new.append(request)

    def _submit(self) -> None:
        groups: dict[Resources, list[NodeRequest]] = {}
        for request in self._new:
            groups.setdefault(request.resources, []).append(request)
        self._new = []
        for needed, requests in groups.items():
            executor = self._executor(needed, len(requests))
            try:
                jobs = executor.map_array(attempt_in_job, requests)
            except Exception as error:  # submitit raises FailedJobError, subprocess's and its own
                first = str(error).strip().splitlines()[-1][:300] if str(error).strip() else repr(error)
                problem = f"sbatch refused node {requests[0].node.id}: {first}"
                raise TaskError("--executor slurm", problem, "Correct --cluster FILE.") from error
            self._running.update(zip(jobs, requests, strict=True))

    def _executor(self, needed: Resources, count: int) -> Any:
        import submitit

        executor = submitit.AutoExecutor(self._folder, cluster=self._slurm.scheduler)
        hours, about = needed.hours or HOURS, self._slurm
        settings: dict[str, Any] = {
            "name": "synththorax", "timeout_min": math.ceil(60 * hours), "cpus_per_task": needed.cores,
        }  # fmt: skip
        settings |= {"mem_gb": needed.memory_gb} if needed.memory_gb else {}
        if self._slurm.scheduler == "slurm":
            settings |= {"slurm_array_parallelism": about.array or count, "slurm_setup": list(about.setup)}
            settings |= {"slurm_partition": about.partition} if about.partition else {}
            extra = {"requeue": True, "open-mode": "append", **about.options}
            extra |= {"gres": f"gpu:{math.ceil(needed.gpus)}"} if needed.gpus else {}
            settings["slurm_additional_parameters"] = extra
        executor.update_parameters(**settings)
        return executor

    def wait(self, seconds: float) -> list[Ended]:
        """Submit what is new, and return the nodes that have ended."""
        if self._new:
            self._submit()
        if not self._running:
            return []
        time.sleep(min(seconds, LOOK_SECONDS))
        gone = self._gone()
        ended = []
        for job, request in list(self._running.items()):
            has_result = job.paths.result_pickle.exists()
            if has_result or job.job_id in gone:
                del self._running[job]
                saved = self._mail.forget(request.key)
                ended.append(_end_of(job, request.node.id, saved))
                self._keep_logs |= bool(ended[-1].lost) and not saved
        return ended

    def _gone(self) -> set[str]:
        """Return the ids of the jobs that SLURM no longer has, asked for now and then."""
        if time.monotonic() - self._asked < (ASK_SECONDS if self._slurm.scheduler == "slurm" else 1.0):
            return set()
        self._asked = time.monotonic()
        ids = {job.job_id for job in self._running}
        if self._slurm.scheduler == "local":
            return {job.job_id for job in self._running if job.done()}
        alive = _queued()
        if alive is None:
            return set()
        before, self._missing = self._missing, ids - alive
        return self._missing & before  # NFS may show a result later than squeue shows its end

    def messages(self) -> Iterator[Message]:
        """Yield what running nodes have written to the shared store."""
        return self._mail.read([request.key for request in self._running.values()])


def attempt_in_job(request: NodeRequest) -> Ended:
    """Compute a node in a job; one that has to leave its machine saves its state and gives no result."""
    for number in (signal.SIGTERM, signal.SIGUSR2):  # preemption, and the time limit that is near
        signal.signal(number, lambda *_: ask_to_end())
    try:
        return attempt_elsewhere(request)
    except Preempted:
        Mailbox(Path(request.root), request.key).note_saved()
        sys.exit(128 + signal.SIGTERM)  # SLURM requeues the job, or the run submits it again


def _end_of(job: Any, node_id: str, saved: bool) -> Ended:
    """Return how a job ended; one without a result was lost."""
    try:
        outcome, value = job._get_outcome_and_result() if job.paths.result_pickle.exists() else ("lost", None)
    except Exception as error:  # a result that is cut off, on a file system that is full or gone
        outcome, value = "lost", error
    if outcome == "success" and isinstance(value, Ended):
        return value
    last = (str(value).strip().splitlines() or [""])[-1][:200] if value else "it ended without a result"
    lost = f"SLURM job {job.job_id} was lost: {last}; log: {job.paths.stderr}"
    return Ended(node_id, lost=lost, saved=saved)


def _queued() -> set[str] | None:
    """Return the ids of this user's jobs that wait or run; None if SLURM does not answer now."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i %T"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):  # the controller restarts
        return None
    pairs = [line.split() for line in answer.stdout.splitlines() if line.strip()]
    return {job_id for job_id, state in pairs if state in ALIVE}


def _machines(partition: str | None) -> list[Machine]:
    """Return the machines of a partition; none if SLURM does not answer, so that nothing is refused."""
    command = ["sinfo", "--noheader", "--Node", "--format=%N %c %m %G"]
    command += [f"--partition={partition}"] if partition else []
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    machines = []
    for line in answer.stdout.splitlines():
        name, cores, megabytes, generic = line.split(maxsplit=3)
        machines.append(
            Machine(f"machine {name}", float(cores), float(megabytes) * 2**20 / GIB, _gpus(generic))
        )
    return machines


def _gpus(generic: str) -> float:
    """Return the GPUs of a machine by its generic resources, such as ``gpu:a100:4(S:0-1),shard:8``."""
    total = 0.0
    for part in generic.split(","):
        name, *rest = part.partition("(")[0].split(":")
        if name == "gpu":
            total += float(rest[-1]) if rest and rest[-1].isdigit() else 1.0
    return total
