"""Compute nodes in processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmark.engine.executors.protocol import Ended, Message, NodeRequest, attempt
from benchmark.engine.node import Node
from benchmark.engine.resources import GIB, Machine, Placement, Resources, refuse_impossible
from benchmark.engine.worker import start_worker
from benchmark.utils.processes import message_queue, process_pool

KILLED = "its worker was killed"


class LocalExecutor:
    """A pool of spawned processes, each with one thread.

    The death of one breaks the pool, and with it every running node.
    """

    attempts, shares_losses, queues = 2, True, False  # a worker that the kernel killed gets one more chance

    def __init__(self, placement: Placement, workers: int, root: Path) -> None:
        self.slots, self._placement = workers, placement
        self._queue = message_queue()
        self._held = ExitStack()
        self._pool: ProcessPoolExecutor | None = None
        self._running: dict[Future[Ended], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.__exit__(kind, error, trace)

    def check(self, nodes: Sequence[tuple[Node, Resources]]) -> None:
        """Refuse what this machine does not have, where a file states it."""
        if self._placement.cluster.resources:
            refuse_impossible(nodes, [this_machine(any(needed.gpus for _, needed in nodes))])

    def submit(self, request: NodeRequest) -> None:
        """Compute a node in the pool; a broken one is replaced."""
        try:
            future = self._current().submit(attempt, request)
        except BrokenProcessPool:  # since the last wait, which reports its nodes as lost
            self._pool = None
            future = self._current().submit(attempt, request)
        self._running[future] = request.node.id

    def _current(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._held.close()
            pool = process_pool(self.slots, start_worker, (self._queue,))
            self._pool = self._held.enter_context(pool)
        return self._pool

    def wait(self, seconds: float) -> list[Ended]:
        """Return the nodes that have ended; when the pool breaks, all that ran."""
        done, _ = wait(self._running, timeout=seconds, return_when=FIRST_COMPLETED)
        ended: list[Ended] = []
        for future in done:
            try:
                result = future.result()
            except BrokenProcessPool:
                self._pool = None
                lost = [Ended(node_id, lost=KILLED) for node_id in self._running.values()]
                self._running.clear()
                return [*ended, *lost]
            ended.append(result)
            del self._running[future]
        return ended

    def messages(self) -> Iterator[Message]:
        """Yield what the workers have put into the queue."""
        while not self._queue.empty():
            yield self._queue.get()


def this_machine(with_gpus: bool) -> Machine:
    """Return what this machine has; its GPUs are counted only where a node needs one."""
    import psutil

    gpus = 0
    if with_gpus:
        import torch

        gpus = torch.cuda.device_count()
    return Machine("this machine", os.cpu_count() or 1, psutil.virtual_memory().total / GIB, gpus)
