"""Inline SVG: one figure against another, with intervals and the Pareto front."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from markupsafe import Markup, escape

from benchmark.reporting.leaderboards.charts import Scale, decades, picture, ticks
from benchmark.utils.formatting import points

WIDTH, HEIGHT = 600, 340
LEFT, RIGHT, TOP, BOTTOM = 50, 436, 12, 288  # of the axes; the names stand to the right
RADIUS, LINE, MAX_NAME = 5, 13, 22  # of a mark; height of a line at 11 px; letters of a name


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
    color: str = ""  # CSS class


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
    height = max(HEIGHT, LINE * len(marks))  # the column of names may be taller than the plot
    parts += _labels(marks, at, height) + [_mark(at[m.name], m) for m in marks]
    return picture("scatter", WIDTH, height, label, parts)


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
    return " ".join(
        ["mark", *([mark.color] if mark.color else []), *(name for name, holds in marked if holds)]
    )


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


def _labels(marks: Sequence[Mark], at: dict[str, tuple[float, float]], height: float) -> list[str]:
    """Write the names in a column beside the plot, each joined to its mark by a line."""
    ordered = sorted(marks, key=lambda m: (at[m.name][1], at[m.name][0], m.name))
    lines = spread([at[m.name][1] for m in ordered], LINE, LINE / 2, height - LINE / 2)
    parts = []
    for mark, y in zip(ordered, lines, strict=True):
        px, py = at[mark.name]
        parts.append(f'<path class="lead {mark.color}" d="M{px},{py}L{RIGHT + 4},{y}"/>')
        kind = "name front" if mark.front else "name"
        short = mark.name if len(mark.name) <= MAX_NAME else mark.name[: MAX_NAME - 1] + "…"
        parts.append(
            f'<text class="{kind}" x="{RIGHT + 7}" y="{round(y + 4, 1)}">{escape(short)}'
            f"<title>{escape(mark.name)}</title></text>"
        )
    return parts


def spread(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move ascending heights apart to at least ``gap``, between two ends that have room for them.

    But for the ends, the sum of the squared moves is the smallest: the isotonic regression of the heights
    less their places (pool adjacent violators).
    """
    pools: list[tuple[float, int]] = []  # mean and number of the shifted heights
    for number, height in enumerate(heights):
        pool = (height - gap * number, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, count = pools.pop()
            total = count + pool[1]
            pool = ((mean * count + pool[0] * pool[1]) / total, total)
        pools.append(pool)
    shifted = [mean for mean, count in pools for _ in range(count)]
    last = high - gap * (len(heights) - 1)
    return [round(min(max(m, low), last) + gap * number, 1) for number, m in enumerate(shifted)]
