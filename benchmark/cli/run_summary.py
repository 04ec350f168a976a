"""Texts and records about a run: its plan before it starts, its result when it has ended."""

import json
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.engine.forecast import simulate, start_order
from benchmark.engine.store import Store, store_root
from benchmark.experiments.progress import clock
from benchmark.experiments.run import UNTIL, Finished
from benchmark.experiments.tracking_store import shown, tracking_uri
from benchmark.planning.graph import build, data_nodes
from benchmark.planning.plan import Plan
from benchmark.reporting.summary import headline, row_records
from benchmark.stages.data import DataResult
from benchmark.utils.commands import command
from benchmark.utils.formatting import plural
from benchmark.utils.processes import worker_count


def show_plan(plan: Plan, verb: str, out: Path, workers: int | None, *, as_json: bool) -> None:
    """Print what a run would do; nothing is computed or written."""
    graph, count = build(plan).until(UNTIL[verb]), worker_count(plan.device, workers)
    store = Store(store_root()) if (store_root() / "results").is_dir() else None
    stored = {n.id for n in graph if store is not None and store.get(n.stage, graph.keys[n.id])}
    waiting = {n.id: n.expected_seconds for n in graph if n.id not in stored}
    needs = {n.id: n.needs for n in graph}
    seconds = simulate(waiting, {}, needs, start_order(graph), count)
    by_stage = Counter(n.stage for n in graph)
    reused = Counter(n.stage for n in graph if n.id in stored)
    record = {
        "task": plan.task.name, "profile": plan.profile_name, "source": plan.source,
        "protocol_hash": plan.protocol_hash, "device": plan.device, "precision": plan.precision,
        "workers": count, "out": str(out), "rows": [row.name for row in plan.rows],
        "stages": {stage: {"all": n, "stored": reused[stage]} for stage, n in by_stage.items()},
        "seconds_by_prior": round(seconds),
    }  # fmt: skip
    if as_json:
        print(json.dumps(record, indent=1))
        return
    print(f"task {plan.task.name}, profile {plan.profile_name}, source {plan.source}, {plan.device}")
    print(f"rows: {', '.join(row.name for row in plan.rows)}")
    for stage, total in by_stage.items():
        print(f"  {stage:<16} {total:>4} stages, {reused[stage]} of them stored")
    print(f"{plural(len(waiting), 'stage')} to compute with {plural(count, 'worker')}: {clock(seconds)}")
    print("  by a rough prior; a run corrects it as soon as its first stages have ended")
    print(f"results would go to {out}; nothing was computed")


def summary(finished: Finished, verb: str) -> dict[str, Any]:
    """Return the result of a run as a JSON value."""
    outcome, board = finished.outcome, finished.board
    return {
        "verb": verb,
        "out": str(finished.out),
        "written": [str(path) for path in finished.written],
        "seconds": round(finished.seconds, 1),
        "computed": len(outcome.computed),
        "reused": len(outcome.results) - len(outcome.computed),
        "failures": outcome.report(),
        "verdict": board.verdict.text if board else None,
        "rows": list(row_records(board)) if board else [],
        "next": next_commands(finished),
    }


def summary_lines(finished: Finished) -> Iterator[str]:
    """Yield the result of a run for a terminal: data, costs, files, failures, answer and next commands."""
    outcome = finished.outcome
    data = next((outcome.results[n.id] for n in data_nodes(finished.graph) if n.id in outcome.results), None)
    if data is not None:
        yield ""
        yield from _data_lines(data.read(DataResult))
    reused = len(outcome.results) - len(outcome.computed)
    yield f"\n{len(outcome.computed)} stages computed, {reused} reused, in {clock(finished.seconds)}."
    yield from (f"  {path}" for path in finished.written)
    yield from (f"failed: {text}" for text in outcome.report())
    if finished.board is not None:
        yield "\n" + headline(finished.board)
        yield "\nnext:"
        yield f"  read the board: {finished.out / 'leaderboard.html'}"
        yield from (f"  {what}: {line}" for what, line in next_commands(finished).items())


def _data_lines(result: DataResult) -> Iterator[str]:
    """Yield the sizes of the splits, and every recorded exclusion or warning."""
    for name, split in result.splits.items():
        counts = ", ".join(f"{label} {n}" for label, n in split.counts.items())
        yield f"{name:<10} {split.images:>5} images of {split.patients:>5} patients: {counts}"
    yield from (f"note: {note}" for note in result.notes)


def next_commands(finished: Finished) -> dict[str, str]:
    """Return the commands that a user may want after a whole run, by what they do."""
    board, out = finished.board, finished.out
    if board is None:
        return {}
    uri = shown(tracking_uri())
    look = f"open {uri}" if uri.startswith("http") else f"mlflow ui --backend-store-uri {shlex.quote(uri)}"
    commands = {"look at the runs": look}
    drawing = next((r for r in board.rows if r.kind == "generator" and r.figures is not None), None)
    if drawing is not None:
        words = ("--run", out, "--row", drawing.name, "--count", 10, "--out", out / f"samples_{drawing.name}")
        commands[f"draw images of {drawing.name}"] = command("sample", *words)
    return commands | {
        "write the papers' tables": command("tables", "--bundles", out, "--out", out / "tables")
    }
