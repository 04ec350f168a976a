"""Compute one node in a worker process and commit its result."""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark.engine.claim import Claim
from benchmark.engine.node import Node
from benchmark.engine.sandbox.sandbox import USED
from benchmark.engine.store import Costs, Result, Store
from benchmark.engine.store_fault import store_is_blamed
from benchmark.utils.environment import Environment, gpu_allocations, hardware, software
from benchmark.utils.processes import die_with_parent

Inputs = Mapping[str, tuple[Path, ...]]  # folders of the results that a stage reads, by role
Progress = Callable[[float], None]
Log = Callable[[int, Mapping[str, float] | Path], None]  # scalars at a step, or the file of a picture
StageRunner = Callable[[Node, Inputs, Path, Path, Progress, Log], dict[str, Any]]

_queue: Any = None


def start_worker(queue: Any) -> None:
    """Prepare a worker process that reports progress to a queue, and ends with its parent."""
    report_to(queue)
    die_with_parent()


def report_to(queue: Any) -> None:
    """Let this process report progress to a queue."""
    global _queue
    _queue = queue
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


class PeakMemory:
    """Peak resident memory of this process while a block runs, in bytes."""

    def __enter__(self) -> PeakMemory:
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


class Stopwatch:
    """Seconds that a node takes, those before a crash included; they are noted in its scratch folder."""

    def __init__(self, work: Path) -> None:
        self.file, self.began = work / "elapsed", time.perf_counter()
        try:
            self.before = float(self.file.read_text())
        except (OSError, ValueError):
            self.before = 0.0

    def seconds(self) -> float:
        """Return the seconds so far."""
        return self.before + time.perf_counter() - self.began

    def note(self) -> None:
        """Write the seconds so far."""
        self.file.write_text(str(self.seconds()))


def compute(
    node: Node,
    key: str,
    inputs: Mapping[str, tuple[tuple[str, str], ...]],
    root: str,
    run_stage: StageRunner,
) -> bool:
    """Compute a node in a worker unless another run just did; return whether it was computed here.

    Args:
        inputs: stage and key of each input, by role.
        root: folder of the store.
        run_stage: called with the node, the folders of its inputs by role, the output folder, the scratch
            folder and callbacks for progress and for curves; returns the stage's result as JSON values.
            Importable by name.
    """
    store = Store(Path(root))
    claim = store.claim(node.stage, key)
    if isinstance(claim, Result):
        return False
    folders = {role: tuple(store.folder(*at) for at in each) for role, each in inputs.items()}
    read = [folder for each in folders.values() for folder in each]
    with claim.held(), store_is_blamed(store, claim.folder, read):
        record = _compute(node, folders, claim, run_stage)
        record["inputs"] = {role: [k for _, k in each] for role, each in inputs.items()}
        store.commit(node.stage, key, claim.out, record)
    claim.discard()
    return True


def _compute(node: Node, folders: Inputs, claim: Claim, run_stage: StageRunner) -> dict[str, Any]:
    """Run a node's stage; return the record of its result."""
    for name in node.config.imports:  # once per worker, and before the clock starts
        importlib.import_module(name)
    stopwatch = Stopwatch(claim.scratch)

    def progress(share: float) -> None:
        stopwatch.note()
        if _queue is not None:
            _queue.put((node.id, float(share)))

    def log(step: int, logged: Mapping[str, float] | Path) -> None:
        if _queue is not None:
            _queue.put((node.id, logged if isinstance(logged, Path) else {"step": float(step), **logged}))

    progress(0.0)
    USED.forget()
    allocations = gpu_allocations()
    with PeakMemory() as memory:
        result = run_stage(node, folders, claim.out, claim.scratch, progress, log)
    costs = Costs(round(stopwatch.seconds(), 2), round(memory.peak / 2**20))
    config = node.config.model_dump(mode="json")
    record = {"id": node.id, "stage": node.stage, "config": config, "seed": node.seed}
    record |= {"result": result, "costs": asdict(costs)}
    device = "cuda" if USED.gpu or gpu_allocations() > allocations else "cpu"
    record["environment"] = _environment(node, device).model_dump(mode="json")
    return record


def _environment(node: Node, device: str) -> Environment:
    """Return what a node was computed with; ``device`` is the one that it used, not the requested one."""
    precision = getattr(node.config, "precision", None)
    return Environment(
        software=software(),
        hardware=hardware(device),
        device=device,
        precision=precision,
        isolation=USED.level,
    )
