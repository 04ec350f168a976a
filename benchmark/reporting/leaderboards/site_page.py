"""All leaderboards of all tasks as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.errors import SubmissionError
from benchmark.reporting.leaderboards.boards import Board
from benchmark.reporting.leaderboards.glossary import glossary
from benchmark.reporting.leaderboards.pages import fill
from benchmark.reporting.leaderboards.sheet import Sheet, sheet
from benchmark.reporting.leaderboards.view import Line, build


@dataclass(frozen=True, eq=False)
class Task:
    """The boards of one task, for the chooser."""

    name: str
    sheets: Sequence[Sheet]


def page(boards: Sequence[Board]) -> str:
    """The site: with script one board at a time, without it one after the other.

    Args:
        boards: at least one, of different names; each with a comparison of its bundles.
    Returns:
        HTML with inline style, script, charts and images, which refers to nothing outside itself. The same
        boards give the same page, in any order.
    Raises:
        SubmissionError: there is no board, two have one name, or a comparison is not of its board.
    """
    ordered = sorted(boards, key=lambda b: (b.task, b.name))
    names = [b.name for b in ordered]
    if not ordered or len(set(names)) < len(names):
        raise SubmissionError("leaderboards", f"expected boards of different names, got {names}")
    sheets = [
        sheet(build(b.bundles, b.comparison), name=b.name, standings=b.standings, level=2) for b in ordered
    ]
    tasks = sorted({b.task for b in ordered})
    return fill(
        "index.html.jinja",
        title="SynthThorax leaderboards",
        tasks=[Task(t, [s for s in sheets if s.view.head.task == t]) for t in tasks],
        sheets=sheets,
        phantom=sum(s.view.head.data_kind == "phantom" for s in sheets),
        across=across(sheets),
        glossary=_terms(sheets),
    )


def across(sheets: Sequence[Sheet]) -> list[tuple[str, str, list[tuple[Sheet, Line | None]]]]:
    """Every row's name and role, with its line on every board: generators first, then by name."""
    lines = [{line.name: line for line in s.view.lines} for s in sheets]
    roles = {name: line.manifest.row.role for board in lines for name, line in board.items()}
    return [
        (name, role, [(s, board.get(name)) for s, board in zip(sheets, lines, strict=True)])
        for name, role in sorted(roles.items(), key=lambda r: (r[1] != "generator", r[0]))
    ]


def _terms(sheets: Sequence[Sheet]) -> list[tuple[str, str]]:
    """The terms of all boards, each once.

    A metric may mean something narrower on one board (F1 of one class); both meanings are then given.
    """
    found = [pair for s in sheets for pair in glossary(s.view.comparison["settings"])]
    return list(dict.fromkeys(found))
