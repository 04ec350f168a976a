"""The verb that shows what a run would cost."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from benchmark.engine.node import Graph
from benchmark.engine.resources import placement
from benchmark.engine.store import store_root
from benchmark.experiments.estimate import Estimate, RowEstimate, estimate
from benchmark.experiments.progress import clock
from benchmark.experiments.run import UNTIL, choice_parts, folder_name
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan
from benchmark.planning.request import PlanRequest, StageRequest
from benchmark.planning.resolve import make_plan
from benchmark.utils.processes import worker_count


def plan(request: PlanRequest) -> int:
    """Print what a whole run would cost."""
    return show_plan(request, as_json=request.json)


def show_plan(request: StageRequest, verb: str = "run", *, as_json: bool = False) -> int:
    """Print the size of a run's graph, what is reused, and the expected cost of every row."""
    made = make_plan(request, stages=UNTIL[verb], placement=placement(request.executor, request.cluster))
    if as_json:
        print(json.dumps(plan_record(made, request, verb), indent=1))
    else:
        print("\n".join(plan_lines(made, request, verb)))
        print(f"results would go to {output_folder(made, request)}; nothing was computed")
    return 0


def output_folder(plan: Plan, request: StageRequest) -> Path:
    """Return the requested folder, or one that is named after the task and all choices."""
    name = f"{plan.task.name}-{plan.profile_name}"
    return request.out or Path("outputs") / folder_name(name, request.scenario, *choice_parts(plan, request))


def plan_record(plan: Plan, request: StageRequest, verb: str) -> dict[str, Any]:
    """Return what is known of a run before it starts as a JSON value."""
    graph, result = _estimate(plan, request, verb)
    return {
        "task": plan.task.name, "profile": plan.profile_name, "source": plan.source,
        "protocol_hash": plan.protocol_hash, "device": plan.device, "precision": plan.precision,
        "executor": placement(request.executor, request.cluster).executor,
        "out": str(output_folder(plan, request)), "rows": [row.name for row in plan.rows],
        "stages": dict(Counter(node.stage for node in graph)), "all": result.stages, "reused": result.reused,
        "wall_seconds": round(result.wall_seconds), "at_once": result.at_once,
        "costs": {row.name: _cost(row) for row in result.rows}, "bases": dict(result.bases),
    }  # fmt: skip


def _cost(row: RowEstimate) -> dict[str, float | None]:
    return {
        "stages": row.stages, "reused": row.reused, "seconds": round(row.seconds),
        "memory_mb": row.memory_mb, "gpu_hours": round(row.gpu_hours, 3),
    }  # fmt: skip


def plan_lines(plan: Plan, request: StageRequest, verb: str) -> list[str]:
    """Return what is to be printed about a plan."""
    _, result = _estimate(plan, request, verb)
    executor = placement(request.executor, request.cluster).executor
    return [
        f"{plan.task.name}, profile {plan.profile_name}, source {plan.source}, "
        f"{plan.device} in {plan.precision}, executor {executor}",
        *_table(result),
        *_totals(result),
    ]


def _estimate(plan: Plan, request: StageRequest, verb: str) -> tuple[Graph, Estimate]:
    where = placement(request.executor, request.cluster)
    # the GPU's memory would limit the default, and is not asked for
    local = request.workers or worker_count("cpu", None) // (2 if plan.device == "cuda" else 1)
    at_once = where.cluster.nodes_at_once if where.is_shared else max(local, 1)
    graph = build(plan).until(UNTIL[verb])
    return graph, estimate(graph, store_root(), where, at_once)


def _table(result: Estimate) -> list[str]:
    width = max(len(row.name) for row in result.rows) + 2
    head = f"{'row':<{width}}{'stages':>8}{'reused':>8}{'seconds':>10}{'memory':>11}{'GPU hours':>11}"
    return [head, *(_line(row, width) for row in result.rows)]


def _line(row: RowEstimate, width: int) -> str:
    memory = "?" if row.memory_mb is None else f"{row.memory_mb / 1024:.1f} GiB"
    if row.stages == row.reused:
        memory = "-"
    cells = f"{row.stages:>8}{row.reused:>8}{row.seconds:>10.0f}{memory:>11}{row.gpu_hours:>11.2f}"
    return f"{row.name:<{width}}{cells}"


def _totals(result: Estimate) -> list[str]:
    seconds = sum(row.seconds for row in result.rows)
    hours = sum(row.gpu_hours for row in result.rows)
    by = result.bases
    return [
        f"{result.stages} stages, {result.reused} reused; the others: {seconds:.0f} s of work,"
        f" {hours:.2f} GPU hours; {clock(result.wall_seconds)} with {result.at_once} at once",
        f"seconds by records of the same configuration: {by['same']} stages, of similar ones:"
        f" {by['similar']}, by a guess that no record supports: {by['guess']}",
    ]
