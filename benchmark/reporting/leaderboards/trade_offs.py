"""Utility against fidelity and against cost, with the Pareto front."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from benchmark.reporting.formats import number
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.scatter_plot import Axis, Mark, scatter
from benchmark.utils.formatting import listed, points, points_with_range

NOT_ELIGIBLE = ("oracle", "noise")  # the ceiling and the floor: not available, or useless, in practice
MIN_COST = 0.01  # seconds; costs are stored with two decimals
WIDE = 20.0  # ratio of the largest to the smallest value from which on an axis is logarithmic


@dataclass(frozen=True)
class TradeOff:
    """One plot: its title, the picture or None, and the sentence below."""

    title: str
    picture: Markup | None
    sentence: str


def fidelity_trade_offs(board: Board, colors: Mapping[str, str]) -> list[TradeOff]:
    """Plot utility against every FID of the board."""
    return [_fidelity(board, name, colors) for name in board.measures if name.startswith("fid")]


def _fidelity(board: Board, name: str, colors: Mapping[str, str]) -> TradeOff:
    measures = board.measure_values(name)
    floors = {m.floor for m in measures.values()}
    floor = floors.pop() if len(floors) == 1 else None
    values = {row: m.value for row, m in measures.items()}
    shown = [*values.values(), *([] if floor is None else [floor])]
    log = min(shown) > 0 and max(shown) / min(shown) > WIDE
    guide = (floor, "real vs real") if floor is not None else None
    axis = Axis(f"{board.measure_title(name)}, lower is closer{' (log)' if log else ''}", log, guide)
    return _plot(board, f"Utility against {board.measure_title(name)}", values, axis, colors)


def cost_trade_off(board: Board, colors: Mapping[str, str]) -> TradeOff:
    """Plot utility against the seconds to fit and sample."""
    values = {row.name: max(row.seconds, MIN_COST) for row in board.rows if row.seconds is not None}
    axis = Axis("seconds to fit and sample (log)", True)
    return _plot(board, "Utility against cost", values, axis, colors)


def marks(
    board: Board, values: Mapping[str, float], colors: Mapping[str, str], least: float = 0.0
) -> list[Mark]:
    """Marks of the rows that have a value and a difference to real_only.

    The front is among the eligible rows: those above ``real_only`` that the memorization gate does not catch,
    without the oracle and the noise.

    Args:
        colors: CSS classes by row.
        least: difference to real_only that a row on the front must exceed.
    """
    rows = [(row, d) for row in board.rows if row.name in values and (d := board.difference(row))]
    eligible = {
        row.name: (values[row.name], d.estimate)
        for row, d in rows
        if not row.copies and row.name not in NOT_ELIGIBLE and d.estimate > least
    }
    best = set(pareto_front(eligible))
    return [
        Mark(
            name=row.name,
            x=values[row.name],
            estimate=d.estimate,
            low=d.estimate if d.low is None else d.low,
            high=d.estimate if d.high is None else d.high,
            control=row.role == "control",
            gated=row.copies,
            front=row.name in best,
            color=colors.get(row.name, ""),
        )
        for row, d in rows
    ]


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the finite points (x, y) on the Pareto front, by ascending x, then by name.

    A point is on the front unless another one has an x no larger and a y no smaller and differs from it.
    """
    front = [
        name
        for name, (x, y) in points.items()
        if not any(u <= x and v >= y and (u, v) != (x, y) for u, v in points.values())
    ]
    return sorted(front, key=lambda n: (points[n][0], n))


def _plot(
    board: Board, title: str, values: Mapping[str, float], axis: Axis, colors: Mapping[str, str]
) -> TradeOff:
    drawn = marks(board, values, colors)
    if not drawn:
        sentence = "Not available: no row has both this figure and a difference to real_only."
        return TradeOff(title, None, sentence)
    y_title = f"{board.metric.noun}, points vs real_only"
    label = "; ".join(f"{m.name}: {number(m.x)}, {points_with_range(m)}" for m in drawn)
    return TradeOff(title, scatter(drawn, axis, y_title, f"{title}. {label}"), front_sentence(drawn))


def front_sentence(drawn: Sequence[Mark]) -> str:
    """Sentence with the rows on the front, or with the reason why there are none."""
    front = sorted((m for m in drawn if m.front), key=lambda m: (m.x, m.name))
    if front:
        return f"On the Pareto front: {listed([f'{m.name} ({points(m.estimate)})' for m in front])}."
    if any(not m.gated and m.name not in NOT_ELIGIBLE for m in drawn):
        return "The Pareto front is real_only alone: it costs nothing, and no eligible row is above it."
    return "The Pareto front is empty: all rows in the plot are gated, the oracle or the noise."
