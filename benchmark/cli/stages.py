"""Verbs that run the stages of a task, and the search of a generator's parameters."""

import shlex
from pathlib import Path

from benchmark.cli.plan import plan_lines, show_plan
from benchmark.engine.resources import placement
from benchmark.experiments.progress import clock
from benchmark.experiments.request import SweepRequest, TuneRequest
from benchmark.experiments.run import (
    UNTIL,
    Finished,
    folder_name,
    make_folder,
    run,
    settings_part,
    weights_part,
    writing_alone,
)
from benchmark.experiments.sweep import plan_variants, run_sweep
from benchmark.experiments.tune import Settings, tunable, tune
from benchmark.planning.graph import data_nodes
from benchmark.planning.request import StageRequest
from benchmark.planning.resolve import make_plan
from benchmark.reporting.leaderboards.publish import headline
from benchmark.stages.data import DataResult


def run_stages(request: StageRequest, verb: str) -> int:
    """Run a task up to the stage of a verb; return 1 if a row failed."""
    if request.dry_run:
        return show_plan(request, verb)
    finished = execute(request, verb)
    _summary(finished)
    return 1 if finished.outcome.failures else 0


def execute(request: StageRequest, verb: str) -> Finished:
    """Run a task up to the stage of a verb, into its own folder unless the request names one."""
    where = placement(request.executor, request.cluster)
    plan = make_plan(request, stages=UNTIL[verb], placement=where if where.elsewhere else None)
    name = f"{plan.task.name}-{plan.profile_name}"
    parts = [*settings_part(plan), *weights_part(plan, request.weights)]
    out = request.out or Path("outputs") / folder_name(name, request.scenario, *parts)
    return run(plan, verb, out, request.workers, placement=where)


def run_sweeping(request: SweepRequest) -> int:
    """Run every variant of a sweep, or show what each would cost."""
    if not request.dry_run:
        return run_sweep(request)
    for variant in plan_variants(request):
        print(f"\nvariant {variant.name}")
        print("\n".join(plan_lines(variant.plan, request, "run")))
    return 0


def _summary(finished: Finished) -> None:
    outcome = finished.outcome
    data = next((outcome.results[n.id] for n in data_nodes(finished.graph) if n.id in outcome.results), None)
    if data is not None:
        _show_data(data.read(DataResult))
    reused = len(outcome.results) - len(outcome.computed)
    print(f"\n{len(outcome.computed)} stages computed, {reused} reused, in {clock(finished.seconds)}.")
    for path in finished.written:
        print(f"  {path}")
    for text in outcome.report():
        print(f"failed: {text}")
    if finished.comparison is not None:
        print("\n" + headline(finished.comparison))
        print("Look at the runs with: mlflow ui")


def _show_data(result: DataResult) -> None:
    """Print the sizes of the splits, and every recorded exclusion or warning."""
    print()
    for name, split in result.splits.items():
        counts = ", ".join(f"{label} {n}" for label, n in split.counts.items())
        print(f"{name:<10} {split.images:>5} images of {split.patients:>5} patients: {counts}")
    for note in result.notes:
        print(f"note: {note}")


def run_tuning(request: TuneRequest) -> int:
    """Search a generator's parameters and write the best ones."""
    plugin = tunable(request.generator)
    where = placement(request.executor, request.cluster)
    options = request.run_request(generators=(request.generator,))
    plan = make_plan(
        options,
        stages=("fit",) if request.objective == "fid" else None,
        placement=where if where.elsewhere else None,
    )
    name = f"tune-{plan.task.name}-{plugin.name}"
    out = request.out or Path("outputs") / folder_name(name, request.scenario, *settings_part(plan))
    make_folder(out)
    with writing_alone(out):
        settings = Settings(
            request.trials, request.seed, request.study or str(out / "study.db"), out, request.objective,
            request.workers, where, request.most_seconds, request.most_memory_gb,
        )  # fmt: skip
        path = tune(plan, plugin, settings)
    print(f"Best parameters: {path}")
    words = ["--task", request.task, "--profile", request.profile, "--source", plan.source]
    words += ["--scenario", request.scenario] if request.scenario else []
    words += [word for text in request.set for word in ("--set", text)]
    words += ["--generators", request.generator, "--params", str(path)]
    print(f"Use them with: python -m benchmark run {shlex.join(words)}")
    return 0
