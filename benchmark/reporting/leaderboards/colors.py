"""Colors of the rows: one for each row, in every figure of a page."""

from collections.abc import Iterable

from benchmark.reporting.leaderboards.board import Board

HUES = 10  # of candidates, and as many muted ones of references; the style sheet has their values


def row_colors(boards: Iterable[Board]) -> dict[str, str]:
    """Return the CSS class of every row by its name: ``c0`` to ``c9`` of candidates, ``r0`` to ``r9``."""
    kinds = {row.name: row.kind for board in boards for row in board.rows}
    colors: dict[str, str] = {}
    for letter, own in (
        ("c", sorted(n for n, kind in kinds.items() if kind != "reference")),
        ("r", sorted(n for n, kind in kinds.items() if kind == "reference")),
    ):
        colors |= {name: f"{letter}{number % HUES}" for number, name in enumerate(own)}
    return colors
