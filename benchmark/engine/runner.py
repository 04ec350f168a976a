"""Runs the graph of a task: reuse, resume, a pool of workers, one failure at a time."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.engine.forecast import start_order
from benchmark.engine.node import Node, keys
from benchmark.engine.store import Result, Store
from benchmark.errors import BenchmarkError, StoreError
from benchmark.utils.processes import die_with_parent

StageRunner = Callable[[Node, Mapping[str, Path], Path, Path, Callable[[float], None]], dict[str, Any]]

TRAINING = ("torch", "timm", "sklearn.metrics")
AHEAD = {"data": (), "pseudo_label": TRAINING, "classify": TRAINING}  # torch alone elsewhere
ATTEMPTS = 2  # a worker that was killed (by the kernel, say) gets one more chance
# Of a training in the papers' sizes: ConvNeXt-S, 224 pixels, batches of 32, and CUDA itself. Not measured.
GPU_BYTES = 6 * 2**30


@dataclass
class Outcome:
    """What became of every node.

    Attributes:
        results: by node id.
        failures: by node id, one line each; what only depends on a failure is in here too.
        computed: ids that were not reused, in the order in which they ended.
    """

    results: dict[str, Result] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    computed: list[str] = field(default_factory=list)


class Watcher:
    """What a run tells while it goes on; every method may be overridden."""

    def reused(self, node: Node, result: Result) -> None:
        """A node was complete already."""

    def started(self, node: Node) -> None:
        """A node was handed to a worker."""

    def progressed(self, node_id: str, share: float) -> None:
        """A running node is that far, 0 to 1."""

    def finished(self, node: Node, result: Result) -> None:
        """A node is complete."""

    def failed(self, node: Node, line: str) -> None:
        """A node failed, or lost what it depends on."""


_queue: Any = None


def _start_worker(queue: Any) -> None:
    global _queue
    _queue = queue
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    die_with_parent()


class Memory:
    """Peak resident memory of this process while a block runs, in bytes."""

    def __enter__(self) -> Memory:
        import psutil

        process, self.peak, self._stop = psutil.Process(), 0, threading.Event()

        def sample() -> None:
            while True:
                self.peak = max(self.peak, process.memory_info().rss)
                if self._stop.wait(0.1):
                    return

        self._thread = threading.Thread(target=sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _elapsed_before(work: Path) -> float:
    try:
        return float((work / "elapsed").read_text())
    except (OSError, ValueError):
        return 0.0


def _import_ahead(stage: str) -> None:
    """Import what a stage needs, once per worker and before its clock starts."""
    for name in AHEAD.get(stage, ("torch",)):
        importlib.import_module(name)


def compute(
    node: Node, key: str, inputs: Mapping[str, tuple[str, str]], root: str, run_stage: StageRunner
) -> str:
    """Compute a node in a worker unless another run just did; return the path of its folder.

    Args:
        inputs: stage and key of each node that it needs.
        run_stage: called with the node, the folders of its inputs, the output folder, the scratch folder and
            a progress callback; returns the stage's result as JSON values. Importable by name.
    """
    store = Store(Path(root))
    with store.locked(key):
        done = store.get(node.stage, key)
        if done:
            return str(done.folder)
        _import_ahead(node.stage)
        work, out = store.work(key), store.begin(key)
        before, began = _elapsed_before(work), time.perf_counter()

        def progress(share: float) -> None:
            (work / "elapsed").write_text(str(before + time.perf_counter() - began))
            if _queue is not None:
                _queue.put((node.id, share))

        folders = {n: store.folder(*at) for n, at in inputs.items()}
        progress(0.0)
        with Memory() as memory, _as_store_error(root):
            result = run_stage(node, folders, out, work, progress)
        record = {
            "id": node.id,
            "stage": node.stage,
            "config": dict(node.config),
            "seed": node.seed,
            "inputs": {n: at[1] for n, at in inputs.items()},
            "result": result,
            "costs": {
                "seconds": round(before + time.perf_counter() - began, 2),
                "peak_memory_mb": round(memory.peak / 2**20),
            },
        }
        return str(store.commit(node.stage, key, record).folder)


@contextlib.contextmanager
def _as_store_error(root: str) -> Any:
    try:
        yield
    except OSError as error:
        if error.errno not in (28, 122, 30):  # no space, quota, read-only
            raise
        raise StoreError(
            f"store {root}", f"{error.strerror}", "Free some space, or set SYNTHTHORAX_STORE."
        ) from error


def worker_count(device: str, wanted: int | None) -> int:
    """How many nodes run at once, at least one.

    As many as were asked for, else one per core of a CPU. On a GPU half as many, since each also keeps a
    core busy with launching and the parent needs one, and no more than its free memory holds at
    ``GPU_BYTES`` each. Never more than eight unasked.

    Raises:
        BenchmarkError: the GPU does not say how much of its memory is free.
    """
    if wanted is not None:
        return max(1, wanted)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    if device == "cpu":
        return max(1, min(8, cores))
    return max(1, min(8, cores // 2, free_gpu_bytes() // GPU_BYTES))


def free_gpu_bytes() -> int:
    """Free memory of the GPU; asked in a process of its own, since asking takes some of it for good.

    Raises:
        BenchmarkError: it does not say.
    """
    code = "import torch; print(torch.cuda.mem_get_info()[0])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    try:
        return int(said.stdout)
    except ValueError:
        last = (said.stderr.strip().splitlines() or ["no answer"])[-1]
        raise BenchmarkError(
            "--device cuda", f"does not say its free memory: {last}", "Give --workers."
        ) from None


class Runner:
    """One execution of a graph.

    A worker that has ended a node gets its next one before anybody is told of the last: telling takes time.
    """

    def __init__(
        self, nodes: Iterable[Node], store: Store, run_stage: StageRunner, workers: int, watcher: Watcher
    ) -> None:
        self.nodes = {n.id: n for n in nodes}
        self.keys = keys(self.nodes.values())
        self.order = start_order(self.nodes.values())
        self.store, self.run_stage, self.workers, self.watcher = store, run_stage, workers, watcher
        self.outcome = Outcome()
        self.waiting = dict(self.nodes)
        self.running: dict[Future[str], Node] = {}
        self.attempts: dict[str, int] = {}
        self.news: list[Callable[[], None]] = []
        context = multiprocessing.get_context("spawn")
        self.queue: Any = context.Queue()
        self.context = context

    def run(self) -> Outcome:
        """Reuse what is complete, compute the rest, and go on past failures."""
        for node in self.nodes.values():
            done = self.store.get(node.stage, self.keys[node.id])
            if done:
                self.outcome.results[node.id] = done
                del self.waiting[node.id]
                self.watcher.reused(node, done)
        while self.waiting:
            with self._pool() as pool:
                self._drain(pool)
        return self.outcome

    def _pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self.workers, self.context, _start_worker, (self.queue,))

    def _drain(self, pool: ProcessPoolExecutor) -> None:
        """Feed the pool until nothing is left, or until it breaks."""
        try:
            while self.waiting or self.running:
                self._submit(pool)
                self._tell()
                ended, _ = wait(self.running, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in ended:
                    self._settle(self.running.pop(future), future)
            self._tell()
        except BrokenProcessPool:
            self._after_crash()
            self._tell()
        except BaseException:
            for process in (pool._processes or {}).values():
                process.kill()
            raise

    def _submit(self, pool: ProcessPoolExecutor) -> None:
        ready = [n for n in list(self.waiting.values()) if self._is_ready(n)]
        # After a crash nobody knows which node killed its worker: the suspects run one at a time.
        suspects = [n for n in ready if n.id in self.attempts]
        alone = bool(suspects) or any(n.id in self.attempts for n in self.running.values())
        ready = sorted(suspects or ready, key=lambda n: self.order[n.id])
        for node in ready[: max(0, (1 if alone else self.workers) - len(self.running))]:
            inputs = {n: (self.nodes[n].stage, self.keys[n]) for n in node.needs}
            future = pool.submit(
                compute, node, self.keys[node.id], inputs, str(self.store.root), self.run_stage
            )
            self.running[future] = self.waiting.pop(node.id)
            self.news.append(partial(self.watcher.started, node))

    def _is_ready(self, node: Node) -> bool:
        lost = [n for n in node.needs if n in self.outcome.failures]
        if lost:
            self._fail(node, self.outcome.failures[lost[0]])
            return False
        return all(n in self.outcome.results for n in node.needs)

    def _tell(self) -> None:
        """Tell what has happened since the last time, in order."""
        news, self.news = self.news, []
        for tell in news:
            tell()
        while not self.queue.empty():
            self.watcher.progressed(*self.queue.get())

    def _settle(self, node: Node, future: Future[str]) -> None:
        try:
            future.result()
        except BrokenProcessPool:
            self.running[future] = node  # settled with the others that the crash took along
            raise
        except StoreError:
            raise
        except BenchmarkError as error:
            self._log(node, error)
            self._fail(node, str(error))
        except Exception as error:  # a fault of the suite itself: keep the trace, go on with the others
            self._fail(
                node, f"{node.id}: {type(error).__name__}: {error}\n       Log: {self._log(node, error)}"
            )
        else:
            done = self.store.get(node.stage, self.keys[node.id])
            if done is None:
                raise StoreError(
                    f"store {self.store.root}", f"lost the result of {node.id}", "Check the disk."
                )
            self.outcome.results[node.id] = done
            self.outcome.computed.append(node.id)
            self.news.append(partial(self.watcher.finished, node, done))

    def _after_crash(self) -> None:
        for node in self.running.values():
            self.attempts[node.id] = self.attempts.get(node.id, 0) + 1
            if self.attempts[node.id] >= ATTEMPTS:
                self._fail(
                    node, f"{node.id}: its worker was killed {ATTEMPTS} times\n       Free some memory."
                )
            else:
                self.waiting[node.id] = node
        self.running.clear()

    def _fail(self, node: Node, line: str) -> None:
        self.waiting.pop(node.id, None)
        self.outcome.failures[node.id] = line
        self.news.append(partial(self.watcher.failed, node, line))

    def _log(self, node: Node, error: BaseException) -> Path:
        folder = self.store.root / "logs"
        folder.mkdir(exist_ok=True)
        path = folder / (re.sub(r"[^a-z0-9_.]+", "-", node.id) + ".log")
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        return path


def execute(
    nodes: Iterable[Node],
    store: Store,
    run_stage: StageRunner,
    *,
    workers: int,
    watcher: Watcher | None = None,
) -> Outcome:
    """Run a graph.

    Args:
        nodes: each after what it needs.
        store: where results are looked up and kept.
        run_stage: computes one node, see ``compute``.
        workers: processes, each with one thread.
        watcher: is told what happens.
    Raises:
        StoreError: the store cannot be written; nothing half-done counts as done.
    """
    return Runner(nodes, store, run_stage, workers, watcher or Watcher()).run()


class CompositeWatcher(Watcher):
    """Tells several watchers."""

    def __init__(self, *watchers: Watcher) -> None:
        for name in ("reused", "started", "progressed", "finished", "failed"):
            setattr(self, name, _to_all([getattr(w, name) for w in watchers]))


def _to_all(calls: list[Callable[..., None]]) -> Callable[..., None]:
    def tell(*args: Any) -> None:
        for call in calls:
            call(*args)

    return tell
