"""Inline SVG: one figure against another, with intervals and the Pareto front."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from markupsafe import Markup, escape

from benchmark.reporting.leaderboards.charts import Scale, decades, picture, ticks
from benchmark.utils.formatting import points

WIDTH, HEIGHT = 480, 340
LEFT, RIGHT, TOP, BOTTOM = 50, 466, 12, 288
RADIUS, LETTER, BOLD, LINE = 5, 6.3, 7.2, 12  # of a mark; widths of a letter and height of a line at 11 px
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Mark:
    """A row in the plot."""

    name: str
    x: float  # lower is better; positive where the axis is logarithmic
    estimate: float  # this and the next two: difference to the baseline with its interval, as a share
    low: float
    high: float
    control: bool  # drawn as a square, a generator as a circle
    gated: bool  # drawn hollow; never on the front
    front: bool  # on the Pareto front


@dataclass(frozen=True)
class Axis:
    """The horizontal axis: its title, whether it is logarithmic, and a value to mark, with its label."""

    title: str
    log: bool
    guide: tuple[float, str] | None = None

    def place(self, value: float) -> float:
        """Convert a value to the linear scale of the drawing."""
        return log10(value) if self.log else value


def scatter(marks: Sequence[Mark], axis: Axis, y_title: str, label: str) -> Markup:
    """Draw the plot of at least one mark; ``label`` is read out instead of it."""
    x, y = _scales(marks, axis)
    at = {m.name: (x(axis.place(m.x)), y(m.estimate)) for m in marks}
    steps = _steps([at[m.name] for m in sorted(marks, key=lambda m: (m.x, m.estimate)) if m.front])
    parts = [*_grid(x, y, axis), *_titles(axis, y_title), steps]
    for m in marks:
        x1 = at[m.name][0]
        parts.append(
            f'<line class="reach {_kinds(m)}" x1="{x1}" x2="{x1}" y1="{y(m.low)}" y2="{y(m.high)}"/>'
        )
    parts += _labels(marks, at, y) + [_mark(at[m.name], m) for m in marks]
    return picture("scatter", WIDTH, HEIGHT, label, parts)


def _scales(marks: Sequence[Mark], axis: Axis) -> tuple[Scale, Scale]:
    xs = [axis.place(m.x) for m in marks] + ([axis.place(axis.guide[0])] if axis.guide else [])
    ys = [v for m in marks for v in (m.low, m.high)] + [0.0]
    return (
        Scale(*_padded(min(xs), max(xs), 0.06), LEFT, RIGHT),
        Scale(*_padded(min(ys), max(ys), 0.05), BOTTOM, TOP),
    )


def _padded(low: float, high: float, share: float) -> tuple[float, float]:
    room = (high - low) * share or 1.0
    return low - room, high + room


def _grid(x: Scale, y: Scale, axis: Axis) -> list[str]:
    parts = []
    for value in ticks(y.low, y.high, 7):
        kind = "zero" if value == 0 else "rule"
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{RIGHT}" y1="{y(value)}" y2="{y(value)}"/>')
        tick = points(value).removesuffix(".0")
        parts.append(f'<text x="{LEFT - 6}" y="{round(y(value) + 4, 1)}" text-anchor="end">{tick}</text>')
    values = decades(10**x.low, 10**x.high) if axis.log else ticks(x.low, x.high)
    if len(values) < 2:  # an axis below two powers of ten gets plain ticks
        each = ticks(10**x.low, 10**x.high) if axis.log else values
        values = [v for v in each if v > 0 or not axis.log]
    for value in values:
        at = x(axis.place(value))
        parts.append(f'<line class="rule" x1="{at}" x2="{at}" y1="{TOP}" y2="{BOTTOM}"/>')
        parts.append(f'<text x="{at}" y="{BOTTOM + 15}" text-anchor="middle">{value:g}</text>')
    if axis.guide:
        at = x(axis.place(axis.guide[0]))
        parts.append(f'<line class="guide" x1="{at}" x2="{at}" y1="{TOP}" y2="{BOTTOM}"/>')
        parts.append(f'<text class="guided" x="{at + 4}" y="{BOTTOM - 5}">{escape(axis.guide[1])}</text>')
    return parts


def _titles(axis: Axis, y_title: str) -> list[str]:
    middle = (TOP + BOTTOM) / 2
    return [
        f'<text class="title" x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 36}" text-anchor="middle">'
        f"{escape(axis.title)}</text>",
        f'<text class="title" transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_title)}</text>",
    ]


def _steps(front: Sequence[tuple[float, float]]) -> str:
    """Draw the staircase through the front: the best result for at most this x."""
    if not front:
        return ""
    path = f"M{front[0][0]},{front[0][1]}"
    path += "".join(f"H{px}V{py}" for px, py in front[1:]) + f"H{RIGHT}"
    return f'<path class="front" d="{path}"/>'


def _kinds(mark: Mark) -> str:
    marked = [("control", mark.control), ("gated", mark.gated), ("front", mark.front)]
    return " ".join(["mark", *(name for name, holds in marked if holds)])


def _mark(at: tuple[float, float], mark: Mark) -> str:
    x, y = at
    title = f"<title>{escape(mark.name)}</title>"
    if mark.control:
        side = 2 * RADIUS - 1
        left, top = round(x - side / 2, 1), round(y - side / 2, 1)
        return (
            f'<rect class="{_kinds(mark)}" x="{left}" y="{top}" width="{side}" height="{side}">{title}</rect>'
        )
    return f'<circle class="{_kinds(mark)}" cx="{x}" cy="{y}" r="{RADIUS}">{title}</circle>'


def _labels(marks: Sequence[Mark], at: dict[str, tuple[float, float]], y: Scale) -> list[str]:
    """Place each name where it covers least of the marks, whiskers and earlier names."""
    reach = RADIUS + 1
    taken: list[Box] = [(px - reach, py - reach, px + reach, py + reach) for px, py in at.values()]
    taken += [(at[m.name][0] - 1, y(m.high), at[m.name][0] + 1, y(m.low)) for m in marks]
    parts = []
    for mark in sorted(marks, key=lambda m: (not m.front, m.name)):
        px, py = at[mark.name]
        width = (BOLD if mark.front else LETTER) * len(mark.name)
        best = min(_candidates(px, py, width), key=lambda b: _cost(b, taken))
        taken.append(best)
        parts.append(
            f'<text class="name{" front" if mark.front else ""}" x="{round(best[0], 1)}" '
            f'y="{round(best[3] - 3, 1)}">{escape(mark.name)}</text>'
        )
    return parts


def _candidates(x: float, y: float, width: float) -> list[Box]:
    """Return the positions for a label, the usual one first: right, left, above and below, near and far."""
    lefts = [(x + 8, 0.0), (x - 8 - width, 0.0), (x + 5, -12.0), (x + 5, 12.0)]
    lefts += [(x - 5 - width, -12.0), (x - 5 - width, 12.0), (x - width / 2, -15.0), (x - width / 2, 15.0)]
    lefts += [(x + 8, -26.0), (x + 8, 26.0), (x - 8 - width, -26.0), (x - 8 - width, 26.0)]
    return [(left, y + dy - LINE / 2, left + width, y + dy + LINE / 2) for left, dy in lefts]


def _cost(box: Box, taken: Sequence[Box]) -> float:
    """Return the area of the earlier boxes that a label covers, and a penalty outside the plot."""
    left, top, right, bottom = box
    wide = [max(0.0, min(right, other[2]) - max(left, other[0])) for other in taken]
    tall = [max(0.0, min(bottom, other[3]) - max(top, other[1])) for other in taken]
    outside = max(0, LEFT - left) + max(0, right - RIGHT) + max(0, TOP - top) + max(0, bottom - BOTTOM)
    return sum(w * h for w, h in zip(wide, tall, strict=True)) + 50 * outside
