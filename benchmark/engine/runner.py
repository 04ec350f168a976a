"""Run a graph: reuse, resume, an executor, one failure at a time."""

import os
import re
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from pathlib import Path

from benchmark.engine.events import RunObserver
from benchmark.engine.executors.local import LocalExecutor
from benchmark.engine.executors.protocol import Ended, Executor, Fault, NodeRequest
from benchmark.engine.forecast import start_order
from benchmark.engine.node import Graph, Node
from benchmark.engine.outcome import Failure, Outcome
from benchmark.engine.resources import LOCAL, Placement
from benchmark.engine.store import Store, store_errors
from benchmark.engine.worker import StageRunner
from benchmark.errors import BenchmarkError, StoreError

VARIES = re.compile(r"\b[0-9a-f]{8,}\b|\d+")  # hashes and numbers that differ from node to node in an error


class Runner:
    """One execution of a graph.

    A worker that has ended a node gets its next one before the observer hears of the last: observers take
    time.
    """

    def __init__(
        self,
        graph: Graph,
        store: Store,
        run_stage: StageRunner,
        workers: int,
        observer: RunObserver,
        essential: Callable[[Node], bool],
        placement: Placement,
    ) -> None:
        self.graph, self.order, self.essential = graph, start_order(graph), essential
        self.store, self.run_stage, self.workers, self.observer = store, run_stage, workers, observer
        self.placement, self.outcome = placement, Outcome()
        self.waiting = {node.id: node for node in graph}
        self.missing: dict[str, int] = {}  # inputs that a waiting node lacks
        self.ready: list[tuple[int, str]] = []  # a heap; nodes that wait no more are skipped
        self.running: dict[str, Node] = {}
        self.queued: set[str] = set()  # submitted, and not known to have begun
        self.losses: dict[str, int] = {}  # of workers, by node
        self.suspects: set[str] = set()  # nodes one of which may have killed its worker
        self.events: list[Callable[[], None]] = []

    def run(self) -> Outcome:
        """Reuse what is complete, compute the rest, and continue past failures."""
        self._reuse()
        if self.waiting:
            opened = open_executor(self.placement, self.workers, self.store.root.absolute())
            with self.store.in_use(), opened as executor:
                executor.check([(n, self.placement.cluster.of(n)) for n in self.waiting.values()])
                self._drain(executor)
        return self.outcome

    def _reuse(self) -> None:
        damaged = []
        for node in self.graph:
            key = self.graph.keys[node.id]
            if done := self.store.get(node.stage, key):
                self.outcome.results[node.id] = done
                del self.waiting[node.id]
                self.observer.reused(node, done)
            elif self.store.folder(node.stage, key).exists():
                damaged.append(node)
        if damaged:
            self.observer.damaged(damaged)
        for node in self.waiting.values():
            self.missing[node.id] = len(set(node.needs) - self.outcome.results.keys())
            self._offer(node)

    def _offer(self, node: Node) -> None:
        """Let a node start if it lacks no input."""
        if not self.missing[node.id]:
            heappush(self.ready, (self.order[node.id], node.id))

    def _drain(self, executor: Executor) -> None:
        """Feed the executor until no node waits."""
        while self.waiting or self.running:
            self._submit(executor)
            self._notify(executor)
            for ended in executor.wait(0.2):
                self._settle(self.running.pop(ended.node_id), ended, executor)
        self._notify(executor)

    def _submit(self, executor: Executor) -> None:
        # After a crash nobody knows which node killed its worker: the suspects run one at a time.
        alone = executor.shares_losses and bool(self.suspects)
        skipped = []
        while self.ready and len(self.running) < (1 if alone else executor.slots):
            place = heappop(self.ready)
            if place[1] not in self.waiting:
                continue
            if alone and place[1] not in self.suspects:
                skipped.append(place)
                continue
            self._start(executor, self.waiting.pop(place[1]))
        for place in skipped:
            heappush(self.ready, place)

    def _start(self, executor: Executor, node: Node) -> None:
        self.running[node.id] = node
        request = NodeRequest(
            node, self.graph.keys[node.id], input_keys(self.graph, node), str(self.store.root.absolute()),
            self.run_stage, self.placement.cluster.of(node),
        )  # fmt: skip
        executor.submit(request)
        if executor.queues:
            self.queued.add(node.id)
        else:
            self.events.append(partial(self.observer.started, node))

    def _begun(self, node_id: str) -> None:
        """Note that a queued node has begun."""
        if node_id in self.queued:
            self.queued.discard(node_id)
            self.events.append(partial(self.observer.started, self.graph[node_id]))

    def _notify(self, executor: Executor) -> None:
        """Pass the events since the last call to the observer, in order."""
        logged: dict[str, list[dict[str, float]]] = {}
        shares: list[Callable[[], None]] = []
        for node_id, value in executor.messages():
            self._begun(node_id)
            if isinstance(value, float):
                shares.append(partial(self.observer.progressed, node_id, value))
            elif isinstance(value, Path):
                shares.append(partial(self.observer.pictured, node_id, value))
            else:
                logged.setdefault(node_id, []).append(value)
        self._tell()
        for notify in shares:
            notify()
        for node_id, entries in logged.items():
            self.observer.logged(node_id, entries)

    def _tell(self) -> None:
        events, self.events = self.events, []
        for notify in events:
            notify()

    def _settle(self, node: Node, ended: Ended, executor: Executor) -> None:
        self._begun(node.id)
        if ended.lost:
            self._lose(node, ended, executor)
            return
        self.suspects.discard(node.id)
        fault = ended.fault
        if fault is None:
            self._finish(node, ended.computed)
        elif isinstance(fault.error, StoreError):
            raise fault.error
        elif fault.error is not None:
            self._log(node, fault.trace)
            self._fail(node, str(fault.error), VARIES.sub("#", str(fault.error)))
        else:  # a fault of the suite itself: log the trace, continue with the others
            line = f"{node.id}: {fault.kind}: {fault.text}\n       Log: {self._log(node, fault.trace)}"
            self._fail(node, line, f"{fault.kind} in {_origin(fault)}")

    def _finish(self, node: Node, computed: bool) -> None:
        done = self.store.get(node.stage, self.graph.keys[node.id])
        if done is None:
            raise StoreError(f"store {self.store.root}", f"lost the result of {node.id}", "Check the disk.")
        self.outcome.results[node.id] = done
        if computed:
            self.outcome.computed.append(node.id)
        receive = self.observer.finished if computed else self.observer.reused
        self.events.append(partial(receive, node, done))
        for name in self.graph.dependents[node.id]:
            if name in self.waiting:
                self.missing[name] -= 1
                self._offer(self.waiting[name])

    def _lose(self, node: Node, ended: Ended, executor: Executor) -> None:
        """Let a node whose worker is gone run again, unless that has happened too often."""
        self.losses[node.id] = self.losses.get(node.id, 0) + (not ended.saved)
        if self.losses[node.id] < executor.attempts:
            self.waiting[node.id] = node
            self.suspects |= {node.id} if executor.shares_losses else set()
            self._offer(node)
            return
        self.suspects.discard(node.id)
        times = f" {self.losses[node.id]} times" if executor.attempts > 1 else ""
        cause = f"{ended.lost}{times}\n       Free some memory, or give it more."
        self._fail(node, f"{node.id}: {cause}", VARIES.sub("#", cause))

    def _fail(self, node: Node, line: str, cause: str) -> None:
        """Record a failure, and give up the nodes that need it; end the run if it needs the node."""
        lost, stack = {node.id: node}, [node.id]
        while stack:
            for name in self.graph.dependents[stack.pop()]:
                if name in self.waiting:
                    lost[name] = self.waiting.pop(name)
                    stack.append(name)
        dependents = sorted(lost.keys() - {node.id}, key=self.graph.place)
        self.outcome.failures |= dict.fromkeys([node.id, *dependents], line)
        known = any(failure.cause == cause for failure in self.outcome.causes)
        self.outcome.causes.append(Failure(line, cause, len(dependents)))
        notify = self.observer.failed_alike if known else self.observer.failed
        self.events.append(partial(notify, node, line, dependents))
        if self.essential(node):
            self._tell()
            raise BenchmarkError("", line)

    def _log(self, node: Node, trace: str) -> Path:
        path = self.store.root / "logs" / (re.sub(r"[^a-z0-9_.]+", "-", node.id) + ".log")
        with store_errors(self.store.root):
            path.parent.mkdir(exist_ok=True)
            path.write_text(trace, encoding="utf-8")
        return path


def open_executor(placement: Placement, workers: int, root: Path) -> Executor:
    """Return the executor of a placement, for a ``with`` block."""
    if placement.executor == "ray":
        from benchmark.engine.executors.ray import RayExecutor

        return RayExecutor(placement, workers, root)
    if placement.executor == "slurm":
        from benchmark.engine.executors.slurm import SlurmExecutor

        return SlurmExecutor(placement, workers, root)
    return LocalExecutor(placement, workers, root)


def _origin(fault: Fault) -> str:
    """Return the innermost call of the suite, and of all, in the traceback of a worker's error."""
    calls = re.findall(r'File "(.*?)", line (\d+)', fault.trace.partition("\nThe above exception was")[0])
    own = [call for call in calls if f"{os.sep}benchmark{os.sep}" in call[0]] or calls
    return f"{own[-1]} {calls[-1]}" if own else fault.text


def input_keys(graph: Graph, node: Node) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return stage and cache key of each input of a node, by role."""
    return {
        role: tuple((graph[need].stage, graph.keys[need]) for need in ids)
        for role, ids in node.inputs.items()
    }


def execute(
    graph: Graph,
    store: Store,
    run_stage: StageRunner,
    *,
    workers: int,
    observer: RunObserver | None = None,
    essential: Callable[[Node], bool] = lambda node: False,
    placement: Placement = LOCAL,
) -> Outcome:
    """Run a graph.

    Args:
        store: where results are looked up and committed.
        run_stage: computes one node, see ``worker.compute``.
        workers: processes, each with one thread.
        observer: receives the events.
        essential: nodes without which the run is of no use; the first that fails ends it.
        placement: where nodes are computed; by default in processes of this machine.
    Raises:
        BenchmarkError: an essential node failed, or no machine has what a node needs.
        StoreError: the store cannot be written; nothing unfinished counts as complete.
    """
    return Runner(graph, store, run_stage, workers, observer or RunObserver(), essential, placement).run()
