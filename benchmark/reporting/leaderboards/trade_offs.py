"""What utility is bought with: against fidelity and against cost, with the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from benchmark.reporting.leaderboards.charts_scatter import Axis, Mark, scatter
from benchmark.reporting.leaderboards.pareto import front
from benchmark.reporting.leaderboards.view import Line, View
from benchmark.reporting.leaderboards.words import measure_title, number, points, spread
from benchmark.utils.formatting import listed

CEILING, FLOOR = "oracle", "noise"  # fresh true images and no images: which no one can, or would, choose
CHEAPEST = 0.01  # seconds; costs are stored with two decimals
WIDE = 20.0  # largest to smallest value, from which on an axis is logarithmic


@dataclass(frozen=True)
class TradeOff:
    """One plot: a title, the picture and what it shows; or, without a picture, why there is none."""

    title: str
    picture: Markup | None
    said: str


def against_fidelity(view: View) -> list[TradeOff]:
    """Utility against every distance to the real images that the board measures in a feature space."""
    return [_fidelity(view, name) for name in view.measures if name.startswith("fid")]


def _fidelity(view: View, name: str) -> TradeOff:
    title = f"Utility against {measure_title(name)}"
    values = {
        line.name: line.manifest.measures[name].value for line in view.lines if name in line.manifest.measures
    }
    floors = {li.manifest.measures[name].floor for li in view.lines if name in li.manifest.measures}
    floor = floors.pop() if len(floors) == 1 else None
    log = _wide(values, floor)
    guide = (floor, "real vs real") if floor is not None else None
    axis = Axis(f"{measure_title(name)}, lower is closer{' (log)' if log else ''}", log, guide)
    return _plot(view, title, values, axis)


def _wide(values: Mapping[str, float], floor: float | None) -> bool:
    every = [*values.values(), *([] if floor is None else [floor])]
    return bool(every) and min(every) > 0 and max(every) / min(every) > WIDE


def against_cost(view: View) -> TradeOff:
    """Utility against the seconds that fitting and sampling took."""
    costs = {line.name: seconds(line) for line in view.lines}
    shown = {name: max(cost, CHEAPEST) for name, cost in costs.items() if cost is not None}
    axis = Axis("seconds to fit and sample (log)", True)
    return _plot(view, "Utility against cost", shown, axis, least=0.0)


def seconds(line: Line) -> float | None:
    """What a row's images cost: fitting and sampling; None for a row that makes none."""
    costs = line.manifest.costs
    parts = [v for v in (costs.fit_seconds, costs.sample_seconds) if v is not None]
    return sum(parts) if parts else None


def marks(view: View, values: Mapping[str, float], least: float | None = None) -> list[Mark]:
    """The rows that have a value and a difference to real_only.

    Rows that the memorization gate catches, the oracle and the noise are never on the front: no one may,
    can or would choose them.

    Args:
        least: difference to real_only that a row on the front must exceed; None where any will do.
    """
    lines = [line for line in view.lines if line.name in values and view.difference(line)]
    differences = {line.name: _given(view.difference(line)) for line in lines}
    open_to_all = {
        line.name: (values[line.name], differences[line.name]["estimate"])
        for line in lines
        if not line.copies
        and line.name not in (CEILING, FLOOR)
        and (least is None or differences[line.name]["estimate"] > least)
    }
    best = set(front(open_to_all))
    return [
        Mark(
            name=line.name,
            x=values[line.name],
            y=differences[line.name]["estimate"],
            low=differences[line.name]["low"],
            high=differences[line.name]["high"],
            control=line.manifest.row.role == "control",
            gated=line.copies,
            front=line.name in best,
        )
        for line in lines
    ]


def _given(difference: Mapping[str, Any] | None) -> Mapping[str, Any]:
    assert difference is not None
    return difference


def _plot(
    view: View, title: str, values: Mapping[str, float], axis: Axis, least: float | None = None
) -> TradeOff:
    shown = marks(view, values, least)
    if not shown:
        return TradeOff(title, None, "Not drawn: no row has both this figure and a difference to real_only.")
    y_title = f"{view.metric['noun']}, points vs real_only"
    picture = scatter(shown, axis, y_title, f"{title}. {_read_out(shown)}")
    return TradeOff(title, picture, said(shown, least))


def _read_out(shown: Sequence[Mark]) -> str:
    intervals = {m.name: {"estimate": m.y, "low": m.low, "high": m.high} for m in shown}
    return "; ".join(f"{m.name}: {number(m.x)}, {spread(intervals[m.name])}" for m in shown)


def said(shown: Sequence[Mark], least: float | None) -> str:
    """Which rows are on the front, or why none is."""
    best = [f"{m.name} ({points(m.y)})" for m in sorted(shown, key=lambda m: (m.x, m.name)) if m.front]
    if best:
        return f"On the Pareto front: {listed(best)}."
    if least is not None and any(not m.gated and m.name not in (CEILING, FLOOR) for m in shown):
        return "The Pareto front is real_only alone: it costs nothing, and no row open to choice is above it."
    return "No row that is drawn may stand on the Pareto front: all are gated, the ceiling or the floor."
