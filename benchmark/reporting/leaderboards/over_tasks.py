"""Results of every row over the boards: its gains, its tests against the baselines, and its win rate."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.comparison.significance_tests import below
from benchmark.reporting.leaderboards.board import Board, BoardRow
from benchmark.reporting.leaderboards.candidates import BASELINES


@dataclass(frozen=True)
class RowOverTasks:
    """A row's results over the boards.

    Attributes:
        on: the row on each board, in their order; None where it is absent.
        better, worse: boards on which the adjusted test finds it better or worse, by baseline.
        judged: boards with that test, by baseline.
        win_rate: share of the other candidates, over all boards, that have the lower mean; a tie counts half.
            None without any, and for a reference.
    """

    name: str
    kind: str
    on: tuple[BoardRow | None, ...]
    better: dict[str, int]
    worse: dict[str, int]
    judged: dict[str, int]
    win_rate: float | None


def over_tasks(boards: Sequence[Board]) -> list[RowOverTasks]:
    """Return the results of every row over the boards: candidates by win rate, then references by name."""
    rows = [{row.name: row for row in board.rows} for board in boards]
    results = [
        _over(boards, name, tuple(own.get(name) for own in rows))
        for name in sorted({name for own in rows for name in own})
    ]
    return sorted(results, key=lambda r: (r.kind == "reference", -(r.win_rate or 0), r.name))


def _over(boards: Sequence[Board], name: str, on: tuple[BoardRow | None, ...]) -> RowOverTasks:
    better, worse, judged = (dict.fromkeys(BASELINES, 0) for _ in range(3))
    wins: list[float] = []
    for board, row in zip(boards, on, strict=True):
        if row is None or row.figures is None:
            continue
        for base in BASELINES:
            difference = board.difference(row, base)
            if difference is None or difference.p_adjusted is None or row.unranked:
                continue
            differs = below(difference.p_adjusted, board.comparison.settings.alpha)
            judged[base] += 1
            better[base] += differs and difference.estimate > 0
            worse[base] += differs and difference.estimate < 0
        wins += _wins(board, row)
    kind = next(row.kind for row in on if row)
    rate = sum(wins) / len(wins) if wins else None
    return RowOverTasks(name, kind, on, better, worse, judged, rate)


def _wins(board: Board, row: BoardRow) -> list[float]:
    """Return 1, 0.5 or 0 for every other ranked candidate: a lower, an equal or a higher mean."""
    metric = board.metric.name
    means = {r.name: r.figures.metrics[metric].estimate for r in board.rows if r.place and r.figures}
    own = means.pop(row.name, None)
    return [] if own is None else [0.5 + 0.5 * ((own > other) - (own < other)) for other in means.values()]
