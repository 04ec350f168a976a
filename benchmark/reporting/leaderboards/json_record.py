"""Boards as JSON: everything behind the pages, numbers rounded to eight digits."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from benchmark.bundles.standing import Standing
from benchmark.reporting.leaderboards.board import Board
from benchmark.utils.rounding import canonical

PER_ROW = ("fit_seeds", "submission_type", "submission", "row", "status", "error", "measures", "memorization",
           "samples", "files", "software", "hardware", "device", "precision", "provenance")  # fmt: skip


def dump(record: Any) -> str:
    """Write a record as canonical JSON: keys sorted, numbers rounded."""
    return json.dumps(canonical(record), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def board_record(board: Board) -> dict[str, Any]:
    """Record of a board; measured costs stand under ``costs`` alone."""
    rows = {}
    for row in board.rows:
        manifest = row.manifest.record()
        rows[row.name] = {
            **{k: manifest[k] for k in PER_ROW if k in manifest},
            "rank": row.rank,
            "rank_among_candidates": row.place,
            "unranked": row.unranked,
            "declared": asdict(row.declared),
            "selection": asdict(row.selection) if row.selection else None,
            "figures": row.figures.to_json() if row.figures else None,
        }
    shared = {k: v for k, v in board.head.record().items() if k not in (*PER_ROW, "costs", "results")}
    return {
        **shared,
        "order": [row.name for row in board.rows],
        "rows": rows,
        "verdict": board.verdict.text,
        "findings": [asdict(finding) for finding in board.findings],
        "comparison": board.comparison.to_json(),
        "costs": {row.name: row.manifest.costs.model_dump(mode="json") for row in board.rows},
    }


def task_record(boards: Sequence[Board]) -> dict[str, Any]:
    """Record of all boards of a task, with the standings of their rows."""
    records = {}
    for board in boards:
        hashes, standings = board.hashes, {row: _standing(s) for row, s in board.standings.items()}
        rows = {row: {**standing, "sha256": dict(hashes.get(row, {}))} for row, standing in standings.items()}
        records[board.name] = {**board_record(board), "standings": rows}
    return {"schema": 1, "task": boards[0].task, "boards": records}


def _standing(standing: Standing) -> dict[str, Any]:
    sealed = standing.sealed and standing.sealed.model_dump(mode="json")
    return asdict(replace(standing, sealed=None)) | {"sealed": sealed}
