"""The verb that shows what a run would cost."""

from benchmark.engine.resources import placement
from benchmark.engine.store import store_root
from benchmark.experiments.estimate import Estimate, RowEstimate, estimate
from benchmark.experiments.progress import clock
from benchmark.experiments.run import UNTIL
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan
from benchmark.planning.request import StageRequest
from benchmark.planning.resolve import make_plan
from benchmark.utils.processes import worker_count


def show_plan(request: StageRequest, verb: str = "run") -> int:
    """Print the size of a run's graph, what is reused, and the expected cost of every row."""
    where = placement(request.executor, request.cluster)
    plan = make_plan(request, stages=UNTIL[verb], placement=where)
    for line in plan_lines(plan, request, verb):
        print(line)
    return 0


def plan_lines(plan: Plan, request: StageRequest, verb: str) -> list[str]:
    """Return what is to be printed about a plan."""
    where = placement(request.executor, request.cluster)
    # the GPU's memory would limit the default, and is not asked for
    local = request.workers or worker_count("cpu", None) // (2 if plan.device == "cuda" else 1)
    at_once = where.cluster.nodes_at_once if where.is_shared else max(local, 1)
    result = estimate(build(plan).until(UNTIL[verb]), store_root(), where, at_once)
    title = f"{plan.task.name}, profile {plan.profile_name}, {plan.device} in {plan.precision}, executor "
    return [title + where.executor, *_table(result), *_totals(result)]


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
