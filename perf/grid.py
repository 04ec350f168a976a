"""Measure a grid of short real trainings: memory over time, idle workers, error of the remaining time.

    OMP_NUM_THREADS=1 python perf/grid.py [--trainings 200] [--workers 2] [--steps 20] [--image-size 32]
                                          [--images 400] [--keep FOLDER]

Draws phantoms and noise once, then trains two small networks with many seeds on the phantoms alone and with
two brackets of noise, as a task does: the same graph, store and workers. Prints

- the private memory of each worker (RssAnon on Linux, USS elsewhere; without libraries and memory-mapped
  images, which workers share): its mean in the first and the last quarter of the time after the first
  trainings, and its growth in MB per training by least squares;
- the share of the workers' time spent in nodes, and the seconds between two nodes;
- the error of the remaining time, estimated after 10, 25 and 50 % of the wall time, in percent.

Writes all samples to ``grid.json`` in the folder.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil

from benchmark.engine.events import CompositeObserver, RunObserver
from benchmark.engine.node import Graph, Node
from benchmark.engine.outcome import Outcome
from benchmark.engine.runner import execute
from benchmark.engine.store import Result, Store
from benchmark.experiments.progress import Progress
from benchmark.planning.graph import build
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.stages import run as run_stage
from benchmark.tasks.classifier import ClassifierConfig, Weights
from benchmark.tasks.loading import load_task
from benchmark.utils.files import write_json

WARM_UP = 3  # trainings of a worker before its memory counts: imports, first allocations
MARKS = (0.1, 0.25, 0.5)


def small(name: str, width: int) -> ClassifierConfig:
    """Return a ResNet-10 of this width, trained from scratch."""
    return ClassifierConfig(
        name=name,
        timm="resnet10t",
        timm_kwargs={"channels": [width, width, 2 * width, 2 * width]},
        weights=Weights(kind="none"),
        learning_rate=1e-3,
        dropout=0.0,
        augmentation="mild_affine",
    )


def graph_of(options: argparse.Namespace) -> Graph:
    """Return data, noise, and trainings of two networks with 0, 50 and 100 noise images per class."""
    task = load_task("cxr_pneumonia")
    demo = task.profile("demo")
    classifiers = (small("narrow", 8), small("wide", 24))
    seeds = range(math.ceil(options.trainings / (3 * len(classifiers))))
    each = options.images // len(task.classes)
    drawn = demo.data["phantom.chest"] | {
        "train_counts": dict.fromkeys(task.classes, each),
        "test_counts": dict.fromkeys(task.classes, 10),
        "patients": options.images // 2,
        "test_per_class": 20,
    }
    profile = demo.model_copy(
        update={
            "image_size": options.image_size,
            "generators": {},
            "brackets": (50, 100),
            "primary_bracket": 100,
            "classifiers": classifiers,
            "seeds": tuple(seeds),
            "data": {**demo.data, "phantom.chest": drawn},
            "budget": demo.budget.model_copy(update={"length": options.steps, "evaluations": 4}),
        }
    )
    chosen = task.model_copy(
        update={"controls": ("real_only", "noise"), "profiles": {**task.profiles, "demo": profile}}
    )
    # a plan of the whole task, so that names and parameters are checked, with the smaller profile in it
    plan = make_plan(RunRequest("cxr_pneumonia", device="cpu"))
    plan = replace(
        plan,
        task=chosen,
        rows=tuple(r for r in plan.rows if r.name in chosen.controls),
        source_params={**plan.source_params, **drawn},
    )
    graph = build(plan)
    trainings = {n.id for n in graph.find("classify")[: options.trainings]}
    return graph.needed(lambda n: n.id in trainings or n.stage in ("data", "fit", "generate"))


class Clock(RunObserver):
    """Records start and end of nodes, and the estimates of the remaining time."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.began = progress, time.monotonic()
        self.spans: dict[str, list[float]] = {}  # of trainings
        self.costs: dict[str, float] = {}
        self.estimates: list[tuple[float, float]] = []

    def _now(self) -> float:
        return time.monotonic() - self.began

    def started(self, node: Node) -> None:
        """Begin a span."""
        if node.stage == "classify":
            self.spans[node.id] = [self._now()]

    def progressed(self, node_id: str, share: float) -> None:
        """Estimate the remaining time."""
        self.estimates.append((self._now(), self.progress.seconds_left()))

    def finished(self, node: Node, result: Result) -> None:
        """End a span."""
        if node.stage == "classify":
            self.spans[node.id].append(self._now())
            self.costs[node.id] = result.costs.seconds
        self.estimates.append((self._now(), self.progress.seconds_left()))

    def trainings(self) -> int:
        """Return the number of finished trainings."""
        return sum(len(span) == 2 for span in self.spans.values())


def own_bytes(process: psutil.Process, uss: int) -> int:
    """Return the bytes of private memory; ``uss`` where the system does not report them."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return uss
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


class Sampler:
    """Samples every worker twice a second: seconds, trainings done, private bytes, PSS, RSS, CPU seconds."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.samples = clock, dict[int, list[tuple[float, ...]]]()
        self._stop, self._thread = threading.Event(), threading.Thread(target=self._go, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _go(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(0.5):
            for child in me.children():
                try:
                    if "spawn_main" not in " ".join(child.cmdline()):
                        continue  # the tracker of shared resources is not a worker
                    held, cpu = child.memory_full_info(), child.cpu_times()
                except psutil.Error:
                    continue
                now = (time.monotonic() - self.clock.began, self.clock.trainings())
                self.samples.setdefault(child.pid, []).append(
                    (*now, own_bytes(child, held.uss), held.pss, held.rss, cpu.user + cpu.system)
                )


def memory_of(samples: list[tuple[float, ...]], workers: int) -> dict[str, float]:
    """Return MB of the first and the last quarter, and the growth per training of this worker."""
    table = np.array(samples)
    warm = table[table[:, 1] >= WARM_UP * workers]
    own, quarter = warm[:, 2] / 2**20, max(1, len(warm) // 4)
    slope = np.polyfit(warm[:, 1] / workers, own, 1)[0]
    return {
        "first_quarter_mb": float(own[:quarter].mean()),
        "last_quarter_mb": float(own[-quarter:].mean()),
        "peak_mb": float(own.max()),
        "growth_mb_per_training": float(slope),
        "rss_mb": float(warm[-quarter:, 4].mean() / 2**20),
    }


def left_errors(estimates: list[tuple[float, float]], wall: float) -> dict[str, float]:
    """Return the error of the remaining time at each mark, in percent of the true value."""
    errors = {}
    for mark in MARKS:
        at, estimate = next((t, left) for t, left in estimates if t >= mark * wall)
        errors[f"time_left_error_at_{mark:.0%}"] = 100 * (estimate / (wall - at) - 1)
    return errors


def figures_of(
    clock: Clock, sampler: Sampler, outcome: Outcome, workers: int, wall: float
) -> dict[str, object]:
    """Return the figures to print."""
    spans = list(clock.spans.values())
    first = min(span[0] for span in spans)
    inside = sum(end - begin for begin, end in spans)
    cpu = sum(s[-1][5] for s in sampler.samples.values())
    return {
        "trainings": clock.trainings(),
        "failures": len(outcome.failures),
        "wall_seconds": round(wall, 1),
        "occupied_share": round(inside / (workers * (wall - first)), 4),
        "processor_share": round(cpu / (workers * wall), 4),
        "seconds_beside_the_work_of_a_node": round((inside - sum(clock.costs.values())) / len(spans), 4),
        **{k: round(v, 1) for k, v in left_errors(clock.estimates, wall).items()},
        "workers": [
            {k: round(v, 3) for k, v in memory_of(s, workers).items()}
            for s in sampler.samples.values()
            if s[-1][1] >= 4 * WARM_UP * workers
        ],
    }


def main() -> None:
    """Run the grid and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trainings", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--images", type=int, default=400, help="real training images")
    parser.add_argument("--keep", type=Path, help="use this folder and do not delete it")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="synththorax-grid-"))
    graph = graph_of(options)
    progress = Progress(graph, options.workers)
    clock = Clock(progress)
    with Sampler(clock) as sampler:
        outcome = execute(
            graph,
            Store(folder / "store"),
            run_stage,
            workers=options.workers,
            observer=CompositeObserver(progress, clock),
        )
    wall = time.monotonic() - clock.began
    progress.close()
    figures = figures_of(clock, sampler, outcome, options.workers, wall)
    for name, value in figures.items():
        print(f"{name}: {value}")
    for line in sorted(set(outcome.failures.values()))[:3]:
        print(f"failed: {line}")
    record = {"figures": figures, "estimates": clock.estimates, "samples": sampler.samples}
    write_json(folder / "grid.json", record)
    print(folder / "grid.json")


if __name__ == "__main__":
    main()
