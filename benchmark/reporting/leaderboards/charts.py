"""Inline SVG: scales, forest plots of differences, change against bracket; colors are of the page's CSS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

from markupsafe import Markup, escape

from benchmark.reporting.leaderboards.words import points, spread


@dataclass(frozen=True)
class Scale:
    """A linear scale from differences to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return round(self.start + (inside - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values between two ends, 1 to ``count`` + 1 of them, in steps of 1, 2 or 5 times 10^k.

    Args:
        count: at least 3.
    """
    raw = (high - low) / count
    power = 10.0 ** floor(log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, floor(high / step + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """The powers of ten between two positive ends, thinned to at most six."""
    first, last = ceil(log10(low) - 1e-9), floor(log10(high) + 1e-9)
    each = range(first, last + 1)
    return [10.0**k for k in each[:: 1 + len(each) // 7]]


def bounds(differences: Sequence[Mapping[str, Any]], step: float = 0.05) -> tuple[float, float]:
    """Ends of an axis that holds every interval and zero, on whole steps."""
    lows = [d["low"] for d in differences] + [0.0]
    highs = [d["high"] for d in differences] + [0.0]
    low = floor(min(lows) / step - 0.2) * step
    high = ceil(max(highs) / step + 0.2) * step
    return round(low, 6), round(high, 6)


def forest(difference: Mapping[str, Any], low: float, high: float) -> Markup:
    """One line of a forest plot: band of undetectable differences, zero, interval, estimate."""
    x, width, height = Scale(low, high, 4, 146), 150, 24
    middle, reach = height / 2, difference["detectable"]
    sign = "up" if difference["low"] > 0 else "down" if difference["high"] < 0 else "flat"
    left, right, at = x(difference["low"]), x(difference["high"]), x(difference["estimate"])
    band_left, band_right = x(-reach), x(reach)
    return Markup(
        f'<svg class="forest {sign}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(spread(difference))}">'
        f'<rect class="band" x="{band_left}" y="4" width="{round(band_right - band_left, 1)}" height="16"/>'
        f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="0" y2="{height}"/>'
        f'<line class="reach" x1="{left}" x2="{right}" y1="{middle}" y2="{middle}"/>'
        f'<line class="reach" x1="{left}" x2="{left}" y1="8" y2="16"/>'
        f'<line class="reach" x1="{right}" x2="{right}" y1="8" y2="16"/>'
        f'<rect class="at" x="{round(at - 4, 1)}" y="8" width="8" height="8"/></svg>'
    )


def forest_axis(low: float, high: float) -> Markup:
    """The axis above the forest plots."""
    x = Scale(low, high, 4, 146)
    ends = [(low, "start"), (high, "end")]
    if x(0) - 4 > 24 and 146 - x(0) > 24:
        ends.append((0.0, "middle"))
    texts = "".join(
        f'<text x="{x(v)}" y="10" text-anchor="{anchor}">{points(v).replace(".0", "")}</text>'
        for v, anchor in ends
    )
    return Markup(
        '<svg class="axis" viewBox="0 0 150 14" width="150" height="14" aria-hidden="true">'
        + texts
        + "</svg>"
    )


def change(series: Sequence[tuple[int, Mapping[str, Any]]], low: float, high: float, label: str) -> Markup:
    """Difference to the baseline against the bracket, with intervals.

    Args:
        series: (images added per class, difference), at least one.
        low, high: ends of the vertical axis, shared by all rows.
        label: read out instead of the picture.
    """
    width, height, left, bottom = 240, 150, 40, 124
    y = Scale(low, high, bottom, 10)
    gap = (width - left - 20) / len(series)
    xs = [round(left + gap * (i + 0.5), 1) for i in range(len(series))]
    parts = []
    for value in (low, 0.0, high):
        kind = "zero" if value == 0 else "rule"
        parts.append(f'<line class="{kind}" x1="{left}" x2="{width - 8}" y1="{y(value)}" y2="{y(value)}"/>')
        tick = points(value).replace(".0", "")
        parts.append(f'<text x="{left - 6}" y="{round(y(value) + 4, 1)}" text-anchor="end">{tick}</text>')
    track = " ".join(f"{x},{y(d['estimate'])}" for x, (_, d) in zip(xs, series, strict=True))
    parts.append(f'<polyline class="track" points="{track}"/>')
    for x, (bracket, d) in zip(xs, series, strict=True):
        parts.append(f'<line class="reach" x1="{x}" x2="{x}" y1="{y(d["low"])}" y2="{y(d["high"])}"/>')
        parts.append(f'<circle class="at" cx="{x}" cy="{y(d["estimate"])}" r="4"/>')
        parts.append(f'<text x="{x}" y="{bottom + 17}" text-anchor="middle">+{bracket}</text>')
    return Markup(
        f'<svg class="change" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )
