"""What each verb does, out of the parts below it."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.bundles import assemble as report
from benchmark.engine.node import Node, keys, needed
from benchmark.engine.runner import CompositeWatcher, Outcome, execute, worker_count
from benchmark.engine.store import Store
from benchmark.errors import BenchmarkError, StoreError
from benchmark.experiments.mlflow_tracker import Tracker
from benchmark.experiments.progress import Progress
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan
from benchmark.planning.resolve import store_root
from benchmark.reporting.leaderboards.publish import publish
from benchmark.stages import run as run_stage
from benchmark.utils.hashing import sha256_of

# What each verb computes, with all that it needs; a verb stops where its own stage ends.
UNTIL = {
    "data": {"data", "pseudo_label"},
    "generate": {"generate", "filter"},
    "measure": {"measure"},
    "classify": {"classify", "curve"},
    "run": {"measure", "gan_test", "classify", "curve"},
}


@dataclass(frozen=True)
class Finished:
    """A run that has ended: what became of it, and what it left."""

    plan: Plan
    outcome: Outcome
    out: Path
    written: list[Path]
    seconds: float


def run(
    plan: Plan,
    verb: str,
    out: Path,
    workers: int | None = None,
    parent: str | None = None,
    only: str | None = None,
) -> Finished:
    """Execute a plan up to a verb's stage, track it, and write what people read.

    Args:
        parent: MLflow run that this run is nested in, for one of several.
        only: compute this row and what it needs, and write its bundle to ``out / only``, no leaderboard.
    Raises:
        StoreError, TrackingError: nothing half-done counts as done.
    """
    began = time.monotonic()
    make_folder(out)
    nodes = needed(build(plan), UNTIL[verb], only)
    count = worker_count(plan.device, workers)
    store, tracker = Store(store_root()), Tracker(plan, verb, keys(nodes), parent=parent)
    progress = Progress(nodes, count)
    status = "FAILED"
    try:
        outcome = execute(nodes, store, run_stage, workers=count, watcher=CompositeWatcher(progress, tracker))
        written = _write(plan, verb, nodes, outcome, out, tracker, only)
        status = "FAILED" if outcome.failures else "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        progress.close()
        tracker.close(status, time.monotonic() - began)
    return Finished(plan, outcome, out, written, time.monotonic() - began)


def folder_name(name: str, scenario: str | None, *more: str) -> str:
    """Another protocol, another folder."""
    chosen = [p for p in (scenario or "").split(",") if p.strip()]
    return "-".join([name, *map(folder_part, (*chosen, *more))])


def folder_part(text: str) -> str:
    """A choice as a part of a folder's name."""
    return re.sub("[^0-9A-Za-z_.=]+", "_", text)


def weights_part(plan: Plan, weights: str | None) -> list[str]:
    """Chosen weights, for a folder's name: a folder of weights by its name and the hash of what it holds."""
    if not weights:
        return []
    if weights in ("none", "imagenet"):
        return [f"weights={weights}"]
    content = sha256_of([c.weights.sha256 for c in plan.profile.classifiers])
    return [f"weights={Path(weights).resolve().name}.{content[:8]}"]


def make_folder(folder: Path) -> None:
    """Create an output folder, or say why not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"--out {folder}", f"{error.strerror}", "Give a folder that can be written."
        ) from error


def _write(
    plan: Plan,
    verb: str,
    nodes: list[Node],
    outcome: Outcome,
    out: Path,
    tracker: Tracker,
    only: str | None,
) -> list[Path]:
    if verb != "run":
        return copy_results(nodes, outcome, out)
    for node in nodes:
        if node.stage in ("data", "pseudo_label") and node.id in outcome.failures:
            raise BenchmarkError("", outcome.failures[node.id])
    if only is not None:
        report.write_bundles(plan, outcome, out, only)
        return [out / only]
    report.write_bundles(plan, outcome, out / "bundles")
    comparison = publish(out / "bundles", out)
    tracker.leaderboard(out, comparison)
    return [out / f"leaderboard.{kind}" for kind in ("md", "json", "html")] + [out / "bundles"]


def copy_results(nodes: Iterable[Node], outcome: Outcome, out: Path) -> list[Path]:
    """Copy what a partial verb computed to where the user looks for it."""
    written = []
    for node in nodes:
        result = outcome.results.get(node.id)
        if result is None or node.stage in ("fit", "reference"):
            continue
        target = out / node.id
        part = target.with_name(target.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(result.folder, part)
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
        written.append(target)
    return written
