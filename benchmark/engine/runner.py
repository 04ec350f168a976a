"""Run a graph: reuse, resume, a pool of workers, one failure at a time."""

import os
import re
import traceback
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmark.engine.events import RunObserver
from benchmark.engine.forecast import start_order
from benchmark.engine.node import Graph, Node
from benchmark.engine.store import Result, Store, store_errors
from benchmark.engine.worker import StageRunner, compute, start_worker
from benchmark.errors import BenchmarkError, StoreError
from benchmark.utils.formatting import plural
from benchmark.utils.processes import message_queue, process_pool

VARIES = re.compile(r"\b[0-9a-f]{8,}\b|\d+")  # hashes and numbers that differ from node to node in an error
ATTEMPTS = 2  # a worker that was killed (by the kernel, say) gets one more chance


@dataclass(frozen=True)
class Failure:
    """A node that failed by itself.

    Attributes:
        line: for people; it may name the node.
        cause: the same for nodes that failed for the same reason, whatever numbers their lines name.
        dependents: number of nodes that cannot start without it.
    """

    line: str
    cause: str
    dependents: int


@dataclass
class Outcome:
    """Results and failures of a run.

    Attributes:
        results: by node id.
        failures: by node id, one line each; nodes that depend on a failure included.
        causes: the failures without those of dependents.
        computed: ids that were not reused, in the order in which they ended.
    """

    results: dict[str, Result] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    causes: list[Failure] = field(default_factory=list)
    computed: list[str] = field(default_factory=list)

    def report(self) -> list[str]:
        """Return a text per cause: its first line, and how many stages share it or depend on it."""
        texts = []
        for cause in dict.fromkeys(failure.cause for failure in self.causes):
            same = [failure for failure in self.causes if failure.cause == cause]
            others, dependents = len(same) - 1, sum(failure.dependents for failure in same)
            depend = "stage depends on" if dependents == 1 else "stages depend on"
            counts = [f"The same in {plural(others, 'other stage')}."] if others else []
            counts += [f"{dependents} {depend} {'them' if others else 'it'}."] if dependents else []
            texts.append("\n       ".join([same[0].line, *([" ".join(counts)] if counts else [])]))
        return texts


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
    ) -> None:
        self.graph, self.order, self.essential = graph, start_order(graph), essential
        self.store, self.run_stage, self.workers, self.observer = store, run_stage, workers, observer
        self.outcome = Outcome()
        self.waiting = {node.id: node for node in graph}
        self.running: dict[Future[bool], Node] = {}
        self.attempts: dict[str, int] = {}
        self.events: list[Callable[[], None]] = []
        self.queue = message_queue()

    def run(self) -> Outcome:
        """Reuse what is complete, compute the rest, and continue past failures."""
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
        while self.waiting:
            with process_pool(self.workers, start_worker, (self.queue,)) as pool:
                self._drain(pool)
        return self.outcome

    def _drain(self, pool: ProcessPoolExecutor) -> None:
        """Feed the pool until no node waits, or until it breaks."""
        try:
            while self.waiting or self.running:
                self._submit(pool)
                self._notify()
                ended, _ = wait(self.running, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in ended:
                    self._settle(self.running.pop(future), future)
            self._notify()
        except BrokenProcessPool:
            self._after_crash()
            self._notify()

    def _submit(self, pool: ProcessPoolExecutor) -> None:
        results = self.outcome.results
        ready = [n for n in self.waiting.values() if all(need in results for need in n.needs)]
        # After a crash nobody knows which node killed its worker: the suspects run one at a time.
        suspects = [n for n in ready if n.id in self.attempts]
        alone = bool(suspects) or any(n.id in self.attempts for n in self.running.values())
        ready = sorted(suspects or ready, key=lambda n: self.order[n.id])
        for node in ready[: max(0, (1 if alone else self.workers) - len(self.running))]:
            future = pool.submit(
                compute,
                node,
                self.graph.keys[node.id],
                input_keys(self.graph, node),
                str(self.store.root),
                self.run_stage,
            )
            self.running[future] = self.waiting.pop(node.id)
            self.events.append(partial(self.observer.started, node))

    def _notify(self) -> None:
        """Pass the events since the last call to the observer, in order."""
        events, self.events = self.events, []
        for notify in events:
            notify()
        logged: dict[str, list[dict[str, float]]] = {}
        while not self.queue.empty():
            node_id, value = self.queue.get()
            if isinstance(value, float):
                self.observer.progressed(node_id, value)
            elif isinstance(value, Path):
                self.observer.pictured(node_id, value)
            else:
                logged.setdefault(node_id, []).append(value)
        for node_id, entries in logged.items():
            self.observer.logged(node_id, entries)

    def _settle(self, node: Node, future: Future[bool]) -> None:
        try:
            computed = future.result()
        except BrokenProcessPool:
            self.running[future] = node  # settled with the others that ran when the pool broke
            raise
        except StoreError:
            raise
        except BenchmarkError as error:
            self._log(node, error)
            self._fail(node, str(error), VARIES.sub("#", str(error)))
        except Exception as error:  # a fault of the suite itself: log the trace, continue with the others
            log = self._log(node, error)
            line = f"{node.id}: {type(error).__name__}: {error}\n       Log: {log}"
            self._fail(node, line, f"{type(error).__name__} in {_origin(error)}")
        else:
            self._finish(node, computed)

    def _finish(self, node: Node, computed: bool) -> None:
        done = self.store.get(node.stage, self.graph.keys[node.id])
        if done is None:
            raise StoreError(f"store {self.store.root}", f"lost the result of {node.id}", "Check the disk.")
        self.outcome.results[node.id] = done
        if computed:
            self.outcome.computed.append(node.id)
        receive = self.observer.finished if computed else self.observer.reused
        self.events.append(partial(receive, node, done))

    def _after_crash(self) -> None:
        interrupted = list(self.running.values())
        self.running.clear()
        self.waiting |= {node.id: node for node in interrupted}
        for node in interrupted:
            self.attempts[node.id] = self.attempts.get(node.id, 0) + 1
            if self.attempts[node.id] >= ATTEMPTS:
                cause = f"its worker was killed {ATTEMPTS} times\n       Free some memory."
                self._fail(node, f"{node.id}: {cause}", cause)

    def _fail(self, node: Node, line: str, cause: str) -> None:
        """Record a failure, and give up the nodes that need it; end the run if it needs the node."""
        self.waiting.pop(node.id, None)
        lost = {node.id: node}
        for other in self.graph:  # each after its inputs
            if other.id in self.waiting and not lost.keys().isdisjoint(other.needs):
                lost[other.id] = self.waiting.pop(other.id)
        self.outcome.failures |= dict.fromkeys(lost, line)
        known = any(failure.cause == cause for failure in self.outcome.causes)
        self.outcome.causes.append(Failure(line, cause, len(lost) - 1))
        notify = self.observer.failed_alike if known else self.observer.failed
        self.events.append(partial(notify, node, line, [i for i in lost if i != node.id]))
        if self.essential(node):
            self._notify()
            raise BenchmarkError("", line)

    def _log(self, node: Node, error: BaseException) -> Path:
        path = self.store.root / "logs" / (re.sub(r"[^a-z0-9_.]+", "-", node.id) + ".log")
        with store_errors(self.store.root):
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        return path


def _origin(error: BaseException) -> str:
    """Return the innermost call of the suite, and of all, in the traceback of a worker's error."""
    text = "".join(traceback.format_exception(error))
    calls = re.findall(r'File "(.*?)", line (\d+)', text.partition("\nThe above exception was")[0])
    own = [call for call in calls if f"{os.sep}benchmark{os.sep}" in call[0]] or calls
    return f"{own[-1]} {calls[-1]}" if own else str(error)


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
) -> Outcome:
    """Run a graph.

    Args:
        store: where results are looked up and committed.
        run_stage: computes one node, see ``worker.compute``.
        workers: processes, each with one thread.
        observer: receives the events.
        essential: nodes without which the run is of no use; the first that fails ends it.
    Raises:
        BenchmarkError: an essential node failed.
        StoreError: the store cannot be written; nothing unfinished counts as complete.
    """
    return Runner(graph, store, run_stage, workers, observer or RunObserver(), essential).run()
