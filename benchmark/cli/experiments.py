"""Verbs that run, compare and publish."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.cli import extractor
from benchmark.errors import BenchmarkError
from benchmark.experiments.progress import clock
from benchmark.experiments.run import UNTIL, Finished, folder_name, make_folder, run, weights_part
from benchmark.planning.graph import data_nodes
from benchmark.planning.resolve import make_plan, request_of
from benchmark.reporting.leaderboards.publish import compare_folder, headline, publish
from benchmark.stages.data import DataResult
from benchmark.tasks.pages import write_pages
from benchmark.tasks.schema import load_task, task_names
from benchmark.utils.files import write_json


def run_stages(options: argparse.Namespace) -> int:
    """Run a task up to the verb's stage; 1 when a row failed."""
    plan = make_plan(request_of(options), stages=UNTIL[options.verb])
    name = f"{plan.task.name}-{plan.profile_name}"
    chosen = weights_part(plan, options.weights)
    out = options.out or Path("outputs") / folder_name(name, options.scenario, *chosen)
    finished = run(plan, options.verb, out, options.workers)
    _summary(finished)
    return 1 if finished.outcome.failures else 0


def _summary(finished: Finished) -> None:
    outcome = finished.outcome
    shown = next((outcome.results[n.id] for n in data_nodes(finished.graph) if n.id in outcome.results), None)
    if shown is not None:
        _show_data(shown.read(DataResult).record())
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
        print("\n" + headline(compare_folder(finished.out / "bundles")))
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
    write_json(out / "comparison.json", compare_folder(options.bundles).to_json())
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
    publish(options.bundles, out)
    for kind in ("md", "json", "html"):
        print(out / f"leaderboard.{kind}")
    return 0


def _boards(options: argparse.Namespace, added: list[Path]) -> int:
    """The pages of all boards under ``--root``; 1 where ``--check`` finds one that is not as it should be."""
    from benchmark.reporting.leaderboards import build as leaderboards
    from benchmark.submissions.accept import add

    root = options.root or Path("leaderboards")
    if options.check and added:
        raise BenchmarkError("command line", "--check writes nothing, so nothing can be added", "Do one.")
    if added:
        for path in add(added, root, options.board, options.replace):
            print(f"added {path}")
    made = leaderboards.build_pages(root, options.workers)
    if options.check:
        return _told(leaderboards.stale_pages(root, made), root)
    for path in leaderboards.write_pages(root, made):
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
    from benchmark.reporting import write_tables as tabulate

    make_folder(options.out)
    folders = [folder for given in options.bundles for folder in given]
    for path in tabulate.write_tables(folders, options.out):
        print(path)
    return 0


def run_tuning(options: argparse.Namespace) -> int:
    """Search a generator's parameters."""
    from benchmark.experiments.tune import tune

    out = options.out or Path("outputs") / f"tune-{options.task}-{Path(options.generator).stem}"
    make_folder(out)
    path = tune(
        request_of(options),
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
    extractor.train_extractor(options.out, options.steps)
    print(options.out)
    return 0
