"""Verbs that run the stages of a task, and the search of a generator's parameters."""

import json
import os
import sys
from contextlib import ExitStack, redirect_stdout
from pathlib import Path

from benchmark.cli.plan import output_folder, plan_lines, show_plan
from benchmark.cli.run_summary import summary, summary_lines
from benchmark.engine.resources import placement
from benchmark.experiments.request import SweepRequest, TuneRequest
from benchmark.experiments.run import (
    UNTIL,
    Finished,
    folder_name,
    make_folder,
    run,
    settings_part,
    writing_alone,
)
from benchmark.experiments.sweep import plan_variants, run_sweep
from benchmark.experiments.tune import Settings, tunable, tune
from benchmark.planning.request import RunVerbRequest, StageRequest
from benchmark.planning.resolve import make_plan
from benchmark.tasks.loading import load_task
from benchmark.tasks.profile import GeneratorEntry
from benchmark.utils.commands import command


def run_stages(request: RunVerbRequest, verb: str) -> int:
    """Run a task up to the stage of a verb; return 1 if a row failed."""
    if request.dry_run:
        return show_plan(request, verb, as_json=request.json)
    with ExitStack() as shown:
        if request.quiet:
            shown.enter_context(redirect_stdout(shown.enter_context(open(os.devnull, "w", encoding="utf-8"))))
        elif request.json:
            shown.enter_context(redirect_stdout(sys.stderr))
        finished = execute(request, verb)
    if request.json:
        print(json.dumps(summary(finished, verb), indent=1, allow_nan=False))
    else:
        print("\n".join(summary_lines(finished)))
    return 1 if finished.outcome.failures else 0


def execute(request: StageRequest, verb: str) -> Finished:
    """Run a task up to the stage of a verb, into its own folder unless the request names one."""
    where = placement(request.executor, request.cluster)
    plan = make_plan(request, stages=UNTIL[verb], placement=where if where.elsewhere else None)
    return run(plan, verb, output_folder(plan, request), request.workers, placement=where)


def run_sweeping(request: SweepRequest) -> int:
    """Run every variant of a sweep, or show what each would cost."""
    if not request.dry_run:
        return run_sweep(request)
    for variant in plan_variants(request):
        print(f"\nvariant {variant.name}")
        print("\n".join(plan_lines(variant.plan, request, "run")))
    return 0


def run_tuning(request: TuneRequest) -> int:
    """Search a generator's parameters and write the best ones."""
    rows = load_task(request.task).profile(request.profile).generators
    known = rows.get(request.generator, GeneratorEntry())  # a row may have another name than its plug-in
    plugin = tunable(known.plugin or request.generator)
    where = placement(request.executor, request.cluster)
    plan = make_plan(
        request.run_request(generators=(request.generator,)),
        stages=("fit",) if request.objective == "fid" else None,
        placement=where if where.elsewhere else None,
    )
    name = f"tune-{plan.task.name}-{plan.rows[-1].name}"
    out = request.out or Path("outputs") / folder_name(name, request.scenario, *settings_part(plan))
    make_folder(out)
    with writing_alone(out):
        settings = Settings(
            request.trials, request.seed, request.study or str(out / "study.db"), out, request.objective,
            request.workers, where, request.most_seconds, request.most_memory_gb,
        )  # fmt: skip
        path = tune(plan, plugin, settings)
    print(f"Best parameters: {path}")
    words = [*request.words(), "--generators", request.generator, "--params", str(path)]
    print(f"Use them with: {command('run', *words)}")
    return 0
