"""The answer of a run in a few lines, and every row of it as one flat record."""

from collections.abc import Iterator
from typing import Any

from benchmark.comparison.controls import COPIES
from benchmark.comparison.records import Comparison
from benchmark.reporting.formats import percent, value, value_range
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.board_parts import BoardRow
from benchmark.utils.formatting import points_with_range

RESULTS = {True: "held", False: "DID NOT HOLD", None: "no result"}
ENDS = ("low", "high")


def headline(board: Board) -> str:
    """Return verdict, candidates by rank, references, and the controls, for a terminal."""
    lines = [board.verdict.text]
    for title, rows in board.bands:
        lines += ["", f"{title}:", *(_line(row, board) for row in rows)]
    controls = [f"control: {c.claim}: {RESULTS[c.held]}" for c in board.comparison.controls]
    return "\n".join([*lines, "", *controls]).rstrip()


def _line(row: BoardRow, board: Board) -> str:
    """Return rank, name, primary metric, gain and copies of a row."""
    rank = f"  {'-' if row.place is None else row.place:>2}  {row.name:<16}"
    if row.figures is None:
        why = (row.manifest.error or row.absence).splitlines()[0]
        return f"{rank} {row.absence}: {why}"
    metric = row.figures.metrics[board.metric.name]
    shown = f"{value(metric.estimate, board.metric.percent):>7} {value_range(metric, board.metric.percent)}"
    gains = [
        f"{points_with_range(gain)} over {base}"
        for base in (COPIES, "real_only")
        if (gain := board.difference(row, base)) is not None
    ]
    return ", ".join([f"{rank} {shown}", *gains[:1], *filter(None, [copies_verdict(row)])])


def copies_verdict(row: BoardRow) -> str:
    """Return what the memorization gate says of a row's images; empty for a row without images."""
    gate = row.manifest.memorization
    if gate is None:
        return ""
    if gate.blind:
        return "copies unknown: the gate does not see planted ones"
    return f"{'COPIES' if gate.gated else 'no copies'} ({percent(gate.rate)} of {gate.n} images)"


def row_record(row: BoardRow, comparison: Comparison) -> dict[str, Any]:
    """Return a row as one record: rank among the candidates, metric and gains with their intervals, measures
    of the images, share of copies, and costs."""
    manifest, metric = row.manifest, comparison.settings.primary_metric.name
    record: dict[str, Any] = {"row": row.name, "title": manifest.row.title, "role": row.role}
    record["rank"] = row.place
    if row.figures is not None:
        record |= _with_interval(metric, row.figures.metrics[metric])
        for baseline, differences in row.figures.versus.items():
            gain = differences[metric]
            record |= _with_interval(f"gain_over_{baseline}", gain)
            record[f"gain_over_{baseline}_p_adjusted"] = gain.p_adjusted
    record |= {measure: each.value for measure, each in manifest.measures.items()}
    gate = manifest.memorization
    record |= {"copies": None if gate is None else gate.rate, "gated": gate is not None and gate.gated}
    costs = manifest.costs
    seconds = [costs.fit_seconds, costs.sample_seconds, costs.classify_seconds]
    record |= {"seconds": sum(s or 0 for s in seconds), "peak_memory_mb": costs.peak_memory_mb}
    return record | {"error": manifest.error}


def _with_interval(name: str, interval: Any) -> dict[str, Any]:
    return {name: interval.estimate, **{f"{name}_{end}": getattr(interval, end) for end in ENDS}}


def row_records(board: Board) -> Iterator[dict[str, Any]]:
    """Yield the record of every row, in the order of the board."""
    for row in board.rows:
        yield row_record(row, board.comparison)
