"""What each verb does, out of the parts below it."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import report
from benchmark.errors import BenchmarkError, StoreError
from benchmark.execute import Outcome, Several, execute, worker_count
from benchmark.pipeline import Node, Plan, build, keys, needed, without_fold
from benchmark.planning import Wish, make_plan, split_names, store_root
from benchmark.progress import Progress, clock
from benchmark.records import sha256_of
from benchmark.store import Store, write_json
from benchmark.task import load_task, task_names
from benchmark.taskpages import write_pages
from benchmark.tracking import Tracker

# What each verb computes, with all that it needs; a verb stops where its own stage ends.
UNTIL = {
    "data": {"data", "teach"},
    "generate": {"generate", "filter"},
    "measure": {"measure"},
    "classify": {"classify", "curve"},
    "run": {"measure", "mirror", "classify", "curve"},
}


@dataclass(frozen=True)
class Finished:
    """A run that has ended: what became of it, and what it left."""

    plan: Plan
    outcome: Outcome
    out: Path
    written: list[Path]
    seconds: float


def wish_of(options: argparse.Namespace) -> Wish:
    """The wish that the options of a verb express."""
    return Wish(
        task=options.task,
        profile=options.profile,
        source=options.source,
        root=options.root,
        generators=split_names(getattr(options, "generators", None)),
        params=getattr(options, "params", None),
        extractor=getattr(options, "extractor", None),
        scenario=options.scenario,
        weights=getattr(options, "weights", None),
        device=options.device,
        precision=options.precision,
    )


def run_stages(options: argparse.Namespace) -> int:
    """Run a task up to the verb's stage; 1 when a row failed."""
    plan = make_plan(wish_of(options), stages=UNTIL[options.verb])
    name = f"{plan.task.name}-{plan.profile_name}"
    chosen = weights_part(plan, options.weights)
    out = options.out or Path("outputs") / folder_name(name, options.scenario, *chosen)
    finished = run(plan, options.verb, out, options.workers)
    _summary(finished)
    return 1 if finished.outcome.failures else 0


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
        outcome = execute(nodes, store, workers=count, watcher=Several(progress, tracker))
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
        if node.stage in ("data", "teach") and node.id in outcome.failures:
            raise BenchmarkError("", outcome.failures[node.id])
    if only is not None:
        report.write_bundles(plan, outcome, out, only)
        return [out / only]
    report.write_bundles(plan, outcome, out / "bundles")
    comparison = report.publish(out / "bundles", out)
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


def _summary(finished: Finished) -> None:
    outcome = finished.outcome
    shown = next((r for id_, r in outcome.results.items() if without_fold(id_) == "data"), None)
    if shown is not None:
        _show_data(shown.manifest["result"])
    reused = len(outcome.results) - len(outcome.computed)
    print(f"\n{len(outcome.computed)} stages computed, {reused} reused, in {clock(finished.seconds)}.")
    for path in finished.written:
        print(f"  {path}")
    told = set()
    for line in outcome.failures.values():
        if line not in told:
            print(f"failed: {line}")
            told.add(line)
    if finished.written and finished.written[0].suffix == ".md":
        print("\n" + report.headline(report.compare_folder(finished.out / "bundles")))
        print("Look at the runs with: mlflow ui")


def _show_data(said: Mapping[str, Any]) -> None:
    """Sizes of the splits, and every recorded exclusion or warning."""
    print()
    for name, split in said["splits"].items():
        counts = ", ".join(f"{label} {n}" for label, n in split["counts"].items())
        print(f"{name:<10} {split['images']:>5} images of {split['patients']:>5} patients: {counts}")
    for note in said["notes"]:
        print(f"note: {note}")


def show_tasks(options: argparse.Namespace) -> int:
    """List the tasks, or show one."""
    if options.pages:
        for path in write_pages(options.pages):
            print(path)
        return 0
    if options.task:
        print(json.dumps(load_task(options.task).model_dump(mode="json"), indent=1))
        return 0
    for name in task_names():
        task = load_task(name)
        print(f"{name}: {task.question}")
        print(f"  classes: {', '.join(task.classes)}\n  sources: {', '.join(task.sources)}")
    return 0


def compare_bundles(options: argparse.Namespace) -> int:
    """Compare bundles and write ``comparison.json``."""
    out = options.out or options.bundles.parent
    make_folder(out)
    write_json(out / "comparison.json", report.compare_folder(options.bundles))
    print(out / "comparison.json")
    return 0


def render_bundles(options: argparse.Namespace) -> int:
    """Render bundles as a leaderboard; without any, make, check or add to the pages of all boards."""
    added = [path for given in options.add for path in given]
    if not options.bundles:
        return _boards(options, added)
    if options.check or added:
        raise BenchmarkError("command line", "--bundles goes with neither --check nor --add", "Leave it out.")
    out = options.out or options.bundles.parent
    make_folder(out)
    report.publish(options.bundles, out)
    for kind in ("md", "json", "html"):
        print(out / f"leaderboard.{kind}")
    return 0


def _boards(options: argparse.Namespace, added: list[Path]) -> int:
    """The pages of all boards under ``--root``; 1 where ``--check`` finds one that is not as it should be."""
    from benchmark import leaderboards
    from benchmark.adding import add

    root = options.root or Path("leaderboards")
    if options.check and added:
        raise BenchmarkError("command line", "--check writes nothing, so nothing can be added", "Do one.")
    if added:
        for path in add(added, root, options.board, options.replace):
            print(f"added {path}")
    made = leaderboards.make(root, options.workers)
    if options.check:
        return _told(leaderboards.faults(root, made), root)
    for path in leaderboards.write(root, made):
        print(path)
    for path in leaderboards.surplus(root, made):
        print(f"no board makes {path}: remove it")
    return 0


def _told(faults: list[str], root: Path) -> int:
    for fault in faults:
        print(fault)
    if faults:
        print(f"Make the pages again: python -m benchmark leaderboard --root {root}")
    return 1 if faults else 0


def write_tables(options: argparse.Namespace) -> int:
    """Write tables and figures in the papers' shapes."""
    from benchmark import tabulate

    make_folder(options.out)
    folders = [folder for given in options.bundles for folder in given]
    for path in tabulate.write_tables(folders, options.out):
        print(path)
    return 0


def run_tuning(options: argparse.Namespace) -> int:
    """Search a generator's parameters."""
    from benchmark.tune import tune

    out = options.out or Path("outputs") / f"tune-{options.task}-{Path(options.generator).stem}"
    make_folder(out)
    path = tune(
        wish_of(options),
        options.generator,
        trials=options.trials,
        seed=options.seed,
        study_file=options.study or out / "study.db",
        out=out,
    )
    print(f"Best parameters: {path}")
    print(f"Use them with: python -m benchmark run --task {options.task} --params {path}")
    return 0


def train_extractor(options: argparse.Namespace) -> int:
    """Train the embedded feature extractor on phantoms, by its recipe."""
    make_folder(options.out)
    report.train_extractor(options.out, options.steps)
    print(options.out)
    return 0
