"""A run in MLflow for every row of a benchmark run, with the stages of the row below it.

All rows have the same names of metrics and parameters, so that MLflow's charts and its compare page show the
board. A metric that a row does not have, such as the FID of a row without images, is absent.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.comparison.controls import COPIES
from benchmark.experiments.mlflow_names import own_tags
from benchmark.planning.plan import Plan, Row
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.board_parts import BoardRow
from benchmark.reporting.summary import ENDS, copies_verdict, row_record
from benchmark.stages.records import REAL_ONLY
from benchmark.utils.formatting import points_with_range

BASELINES = (REAL_ONLY, COPIES)
TEXTS = ("row", "title", "role", "gated", "error")  # of a row's record, which are no metrics
Put = Callable[..., None]
Log = Callable[..., None]


class RowRuns:
    """The runs of the rows of one benchmark run; each is opened with the first stage of its row.

    Args:
        put, log: of the tracker, see ``Tracker._put`` and ``Tracker._log``.
    """

    def __init__(self, plan: Plan, put: Put, log: Log) -> None:
        self.plan, self._put, self._log = plan, put, log
        self._rows = {row.name: row for row in plan.rows}
        self._nodes: dict[str, list[str]] = {}  # names of the stages by row
        self._notes: dict[str, str] = {}
        self._finished = False

    def parent_of(self, row: str, node: str) -> str:
        """Return the name of the run under which a stage of a row belongs; empty for what rows share."""
        if row not in self._rows:
            return ""
        if row not in self._nodes:
            self._open(self._rows[row])
        self._nodes[row].append(node)
        return _name(row)

    def _open(self, row: Row) -> None:
        self._nodes[row.name] = []
        tags = {"mlflow.runName": row.name, "stage": "row", "generator": row.name, "role": row.role}
        tags |= {"title": str(row.card.get("title", row.name)), "key": ""}
        self._put("open", _name(row.name), tags={**tags, **own_tags(self.plan)}, reused="", row=True)
        profile = self.plan.profile
        params = {
            "generator": row.name,
            "bracket": profile.primary_bracket if row.has_images else 0,
            "fit_seed": ",".join(map(str, row.fit_seeds(profile))) if row.has_images else "",
            **{f"params.{name}": value for name, value in row.params.items()},
        }
        self._log(_name(row.name), params=params)
        self._notes[row.name] = str(row.card.get("description", ""))

    def finish(self, folder: Path, board: Board, datasets: Sequence[Mapping[str, str]]) -> None:
        """Log what the board says of every row, with the grid of its samples and the data."""
        self._finished = True
        for row in board.rows:
            if row.name not in self._nodes:
                self._open(self._rows[row.name])
            history = []
            if row.figures is not None:
                name = f"{board.metric.name}_by_training"
                values = row.figures.metrics[board.metric.name].run_values
                history = [{"step": float(step), name: value} for step, value in enumerate(values)]
            tags = {"gated": str(row.copies).lower(), "error": (row.manifest.error or "")[:4000]}
            self._log(
                _name(row.name),
                metrics=row_metrics(row, board, self.plan.extractor),
                history=history,
                tags={name: text for name, text in tags.items() if text},
            )
            grid = folder / "bundles" / row.name / "samples" / "grid.png"
            self._put("artifact", _name(row.name), path=str(grid.absolute()))
            if datasets:
                self._put("inputs", _name(row.name), datasets=list(datasets))
            self._notes[row.name] += "\n\n" + _result(row, board)

    def close(self, status: str, failed: Mapping[str, str]) -> None:
        """End the runs, with links to the stages that earlier runs hold.

        Args:
            failed: error of the rows that failed.
        """
        unfinished = not self._finished and not failed  # a fault of the run is one of every row
        for row, nodes in self._nodes.items():
            self._put("note", _name(row), text=self._notes[row], nodes=nodes)
            fault = row in failed or (unfinished and status == "FAILED")
            own = "KILLED" if status == "KILLED" else "FAILED" if fault else "FINISHED"
            self._put("end", _name(row), status=own)


def _name(row: str) -> str:
    return f"row/{row}"


def row_metrics(row: BoardRow, board: Board, extractor: str) -> dict[str, float]:
    """Return the metrics of a row under the names that all rows share, without that of the extractor."""
    record = {k: v for k, v in row_record(row, board.comparison).items() if k not in TEXTS}
    if row.figures is not None:
        record |= {name: metric.estimate for name, metric in row.figures.metrics.items()}
    if row.name in BASELINES and row.figures is not None:  # by definition
        record |= {f"gain_over_{row.name}{end}": 0.0 for end in ("", *(f"_{e}" for e in ENDS))}
    return {
        name.removesuffix(f"_{extractor}"): float(value)
        for name, value in record.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def _result(row: BoardRow, board: Board) -> str:
    """Return what the board says of a row in a sentence or two."""
    if row.figures is None:
        return f"{row.absence.capitalize()}: {(row.manifest.error or '').splitlines()[0]}"
    gains = [
        f"{points_with_range(gain)} over `{base}`"
        for base in BASELINES
        if (gain := board.difference(row, base)) is not None
    ]
    mean: Any = row.figures.metrics[board.metric.name].estimate
    parts = [f"{board.metric.title} {100 * mean:.1f} %", *gains, *filter(None, [copies_verdict(row)])]
    return ", ".join(parts) + "."
