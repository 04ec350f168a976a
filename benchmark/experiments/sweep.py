"""Run a task for every value of a choice, one run per variant, then write tables over all of them."""

import itertools
import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmark.engine.resources import LOCAL, Placement, placement
from benchmark.errors import BenchmarkError, StoreError, TaskError, TrackingError, unknown_name
from benchmark.experiments.progress import clock
from benchmark.experiments.request import SweepRequest
from benchmark.experiments.run import (
    check_outputs,
    choice_parts,
    folder_name,
    folder_part,
    make_folder,
    run,
    writing_alone,
)
from benchmark.planning.plan import Plan
from benchmark.planning.resolve import choices, make_plan
from benchmark.reporting.formats import TABLES
from benchmark.tasks.loading import load_task
from benchmark.tasks.schema import Task
from benchmark.utils.outputs import refuse_foreign_files


@dataclass(frozen=True)
class Variant:
    """One run of a sweep: its choices as text, its plan, its folder, and where its stages run."""

    name: str
    plan: Plan
    out: Path
    placement: Placement = LOCAL


def run_sweep(options: SweepRequest) -> int:
    """Run every variant, then write the tables over those with a leaderboard; return 1 when one failed.

    Raises:
        TaskError: a name or a value that the task does not offer, before anything is computed.
        StoreError, TrackingError: no variant can continue.
    """
    variants = plan_variants(options)
    out = variants[0].out.parent
    make_folder(out)
    with writing_alone(out):
        for variant in variants:
            check_outputs(variant.out, "run")
        index = out / "tables" / "README.md"
        refuse_foreign_files([index], index, TABLES)
        failed = [not _run(v, f"{i} of {len(variants)}", options) for i, v in enumerate(variants, 1)]
        finished = [v.out for v in variants if (v.out / "leaderboard.json").is_file()]
        if finished:
            from benchmark.reporting.write_tables import write_tables

            for path in write_tables(finished, out / "tables"):
                print(f"  {path}")
    return 1 if any(failed) else 0


def plan_variants(options: SweepRequest) -> list[Variant]:
    """Plan every combination of the values.

    Raises:
        TaskError: a choice named twice, an unknown one, or a value that the task does not offer.
    """
    task = load_task(options.task)
    over = _values(task, options.over, options.values)
    taken = sorted(over.keys() & choices(options.scenario).keys())
    if taken:
        raise TaskError("--over", f"'{taken[0]}' is set by --scenario too", "Name it once.")
    plans, where = {}, placement(options.executor, options.cluster)
    for values in itertools.product(*over.values()):
        chosen = ",".join(f"{path}={_text(v)}" for path, v in zip(over, values, strict=True))
        scenario = ",".join(filter(None, [options.scenario, chosen]))
        plans[chosen] = make_plan(
            options.run_request(scenario=scenario), placement=where if where.elsewhere else None
        )
    plan = next(iter(plans.values()))
    name = f"sweep-{plan.task.name}-{plan.profile_name}"
    parts = choice_parts(plan, options)
    out = options.out or Path("outputs") / folder_name(name, options.scenario, *parts)
    folders = [folder_part(chosen) for chosen in plans]
    if shared := [chosen for chosen in plans if folders.count(folder_part(chosen)) > 1]:
        raise TaskError("--values", f"'{shared[0]}' and another value have one folder", "Leave one out.")
    return [Variant(chosen, plan, out / folder_part(chosen), where) for chosen, plan in plans.items()]


def _values(task: Task, over: Sequence[str], values: Sequence[str | None]) -> dict[str, tuple[Any, ...]]:
    """Return the values of each choice: the given ones, or all that the task offers."""
    given = [v for v in values if v]
    if len(given) > len(over):
        raise TaskError("--values", "is given more often than --over", "Give one --values for each --over.")
    chosen: dict[str, tuple[Any, ...]] = {}
    for path, text in itertools.zip_longest(over, given):
        if path not in task.choices:
            raise unknown_name("choice", path, list(task.choices), "--over")
        if path in chosen:
            raise TaskError("--over", f"names '{path}' twice", "Name it once.")
        chosen[path] = _listed(path, text) if text else task.choices[path]
    return chosen


def _listed(path: str, text: str) -> tuple[Any, ...]:
    """Read values that commas separate as YAML."""
    try:
        return tuple(yaml.safe_load(f"[{text}]"))
    except yaml.YAMLError:
        raise TaskError(
            f"--values of {path}", f"'{text}' is not a list of values", "Such as 0.25,0.5."
        ) from None


def _text(value: Any) -> str:
    """Return a value as ``--scenario`` takes it."""
    plain = isinstance(value, str) and yaml.safe_load(value) == value
    return value if plain else json.dumps(value)


def _run(variant: Variant, place: str, options: SweepRequest) -> bool:
    """Run one variant and print its failures; return whether every row finished."""
    began = time.monotonic()
    print(f"\nvariant {place}: {variant.name}", flush=True)
    try:
        parent = os.environ.get("MLFLOW_RUN_ID")
        outcome = run(
            variant.plan, "run", variant.out, options.workers, parent=parent, placement=variant.placement
        ).outcome
    except (StoreError, TrackingError):
        raise
    except BenchmarkError as error:
        print(f"failed: {variant.name}: {error}", file=sys.stderr, flush=True)
        return False
    except Exception as error:  # a fault of the suite itself
        traceback.print_exc()
        print(f"failed: {variant.name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return False
    for text in outcome.report():
        print(f"failed: {variant.name}: {text}", file=sys.stderr)
    print(
        f"{variant.name}: {variant.out / 'leaderboard.md'} in {clock(time.monotonic() - began)}", flush=True
    )
    return not outcome.failures
