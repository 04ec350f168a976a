"""Inline SVG: scales, forest plots of differences, change by bracket. The page's CSS sets the colors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any, TypeVar

from markupsafe import Markup, escape

from benchmark.comparison.row_records import BaselineDifference, Difference
from benchmark.comparison.significance_tests import add_adjusted, below
from benchmark.reporting.leaderboards.board import Board
from benchmark.utils.formatting import Interval, points, points_with_range

Key = TypeVar("Key")
Series = list[tuple[int, BaselineDifference]]  # (bracket, difference to the baseline)
TINTS = (0.02, 0.08, 0.2)  # differences, as shares, from which on a cell is tinted more


@dataclass(frozen=True)
class Scale:
    """A linear scale from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return round(self.start + (inside - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return 1 to ``count`` + 1 (>= 4) round values between two ends, in steps of 1, 2 or 5 times 10^k."""
    raw = (high - low) / count
    power = 10.0 ** floor(log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, floor(high / step + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Return the powers of ten between two positive ends, thinned to at most six."""
    first, last = ceil(log10(low) - 1e-9), floor(log10(high) + 1e-9)
    each = range(first, last + 1)
    return [10.0**k for k in each[:: 1 + len(each) // 7]]


def reach(difference: Interval) -> tuple[float, float]:
    """Return the ends of an interval; the estimate twice where there is none."""
    if difference.low is None:
        return difference.estimate, difference.estimate
    return difference.low, difference.high


def bounds(differences: Iterable[Interval], step: float = 0.05) -> tuple[float, float]:
    """Return the ends of an axis that holds every interval and zero, on multiples of ``step``."""
    ends = [reach(d) for d in differences] + [(0.0, 0.0)]
    low = floor(min(low for low, _ in ends) / step - 0.2) * step
    high = ceil(max(high for _, high in ends) / step + 0.2) * step
    return round(low, 6), round(high, 6)


def forest_bounds(board: Board) -> tuple[float, float]:
    return bounds(d for row in board.rows if (d := board.difference(row)))


def sign_of(board: Board, difference: BaselineDifference) -> str:
    """Return ``up`` or ``down`` where the test, corrected for the number of rows, finds a difference."""
    return signed(difference.estimate, difference.p_adjusted, board.comparison.settings.alpha)


def signed(estimate: float, p_adjusted: float | None, alpha: float) -> str:
    """Return ``up`` or ``down`` for a significant difference, else ""."""
    return ("up" if estimate > 0 else "down") if below(p_adjusted, alpha) else ""


def family_signs(board: Board, differences: Mapping[Key, Difference | None]) -> dict[Key, str]:
    """Return ``up``, ``down`` or "" by key, corrected for the number of differences of one table."""
    settings = board.comparison.settings
    records: dict[Key, dict[str, Any]] = {
        key: {"p": d.p, "estimate": d.estimate} for key, d in differences.items() if d
    }
    add_adjusted(records.values(), settings.correction)
    return {key: signed(r["estimate"], r["p_adjusted"], settings.alpha) for key, r in records.items()}


def class_signs(board: Board) -> dict[tuple[str, str], str]:
    """Return the signs of the differences by row and class."""
    return family_signs(
        board,
        {
            (row.name, name): own.versus_real_only
            for row in board.rows
            if row.figures
            for name, own in row.figures.per_class.items()
        },
    )


def group_signs(board: Board) -> dict[tuple[str, str, str], str]:
    """Return the signs of the differences by row, field and value of the subgroups."""
    return family_signs(
        board,
        {
            (row.name, field, value): own.versus_real_only
            for row in board.rows
            for field, values in row.subgroups.items()
            for value, own in values.items()
        },
    )


def tint(difference: Interval) -> str:
    """Return the CSS class of a cell by sign and size: ``up1`` to ``up3``, ``down1`` to ``down3``, or ""."""
    size = sum(abs(difference.estimate) >= step for step in TINTS)
    return f"{'up' if difference.estimate > 0 else 'down'}{size}" if size else ""


def forest(difference: BaselineDifference, ends: tuple[float, float], sign: str) -> Markup:
    """Draw one line of a forest plot: band of undetectable differences, zero, interval, estimate."""
    x, width, height = Scale(*ends, 4, 146), 150, 24
    middle, least = height / 2, difference.detectable or 0.0
    left, right, at = (x(value) for value in (*reach(difference), difference.estimate))
    band_left, band_right = x(-least), x(least)
    return Markup(
        f'<svg class="forest {sign or "flat"}" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(points_with_range(difference))}">'
        f'<rect class="band" x="{band_left}" y="4" width="{round(band_right - band_left, 1)}" height="16"/>'
        f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="0" y2="{height}"/>'
        f'<line class="reach" x1="{left}" x2="{right}" y1="{middle}" y2="{middle}"/>'
        f'<line class="reach" x1="{left}" x2="{left}" y1="8" y2="16"/>'
        f'<line class="reach" x1="{right}" x2="{right}" y1="8" y2="16"/>'
        f'<rect class="at" x="{round(at - 4, 1)}" y="8" width="8" height="8"/></svg>'
    )


def forest_axis(ends: tuple[float, float]) -> Markup:
    """Draw the axis above the forest plots."""
    x = Scale(*ends, 4, 146)
    labels = [(ends[0], "start"), (ends[1], "end")]
    if x(0) - 4 > 24 and 146 - x(0) > 24:
        labels.append((0.0, "middle"))
    texts = "".join(
        f'<text x="{x(v)}" y="10" text-anchor="{anchor}">{_tick(v)}</text>' for v, anchor in labels
    )
    head = '<svg class="axis" viewBox="0 0 150 14" width="150" height="14" aria-hidden="true">'
    return Markup(f"{head}{texts}</svg>")


def bracket_charts(board: Board, colors: Mapping[str, str]) -> list[tuple[str, Markup]]:
    """Draw change against bracket for each row with added images; none with a single bracket."""
    rows = [row.name for row in board.rows if row.figures and row.figures.own_bracket != 0]
    by_bracket = [(b, board.figures("test", b)) for b in sorted(board.comparison.settings.brackets)]
    metric, drawn = board.metric.name, dict[str, Series]()
    for name in rows:
        versus = [(b, figures[name].versus.get("real_only", {})) for b, figures in by_bracket]
        if len(series := [(b, each[metric]) for b, each in versus if each]) > 1:
            drawn[name] = series
    ends = bounds(d for series in drawn.values() for _, d in series)
    return [(name, bracket_chart(name, series, ends, colors.get(name, ""))) for name, series in drawn.items()]


def bracket_chart(name: str, series: Series, ends: tuple[float, float], color: str = "") -> Markup:
    """Draw the differences of a row to the baseline, at least one, by bracket; rows share the ``ends``."""
    width, height, left, bottom = 240, 150, 40, 124
    y = Scale(*ends, bottom, 10)
    gap = (width - left - 20) / len(series)
    xs = [round(left + gap * (i + 0.5), 1) for i in range(len(series))]
    parts = []
    for value in (ends[0], 0.0, ends[1]):
        kind = "zero" if value == 0 else "rule"
        parts.append(f'<line class="{kind}" x1="{left}" x2="{width - 8}" y1="{y(value)}" y2="{y(value)}"/>')
        at = round(y(value) + 4, 1)
        parts.append(f'<text x="{left - 6}" y="{at}" text-anchor="end">{_tick(value)}</text>')
    track = " ".join(f"{x},{y(d.estimate)}" for x, (_, d) in zip(xs, series, strict=True))
    parts.append(f'<polyline class="track" points="{track}"/>')
    for x, (bracket, d) in zip(xs, series, strict=True):
        low, high = reach(d)
        parts.append(f'<line class="reach" x1="{x}" x2="{x}" y1="{y(low)}" y2="{y(high)}"/>')
        parts.append(f'<circle class="at" cx="{x}" cy="{y(d.estimate)}" r="4"/>')
        parts.append(f'<text x="{x}" y="{bottom + 17}" text-anchor="middle">+{bracket}</text>')
    label = f"{name}: " + "; ".join(f"+{b} images, {points_with_range(d)}" for b, d in series)
    return picture(f"change {color}".strip(), width, height, label, parts)


def picture(kind: str, width: int, height: float, label: str, parts: Iterable[str]) -> Markup:
    """Wrap the parts of a picture in an SVG element; ``label`` is read out instead of it."""
    head = f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
    return Markup(head + "".join(parts) + "</svg>")


def _tick(value: float) -> str:
    return points(value).replace(".0", "")
