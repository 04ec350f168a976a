"""Texts and records about a run that has ended."""

import shlex
from collections.abc import Iterator
from typing import Any

from benchmark.experiments.progress import clock
from benchmark.experiments.run import Finished
from benchmark.experiments.tracking_store import shown, tracking_uri
from benchmark.planning.graph import data_nodes
from benchmark.reporting.summary import headline, row_records
from benchmark.stages.data import DataResult
from benchmark.utils.commands import command


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
