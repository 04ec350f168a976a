"""Inline SVG: the critical-difference diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from benchmark.reporting.leaderboards.charts import Scale

WIDTH, LEFT, TOP, LINE = 480, 150, 62, 22
LONGEST = 22  # letters of a name beside the axis


def critical_difference(friedman: Mapping[str, Any]) -> Markup:
    """Mean ranks from the best down; bars at the right join rows that Nemenyi's test does not tell apart.

    Args:
        friedman: ``mean_ranks`` by row (1 is best), ``critical_difference`` in ranks, ``cliques``.
    Source: the diagram of Demsar 2006, JMLR 7, section 3.2.3, turned by a right angle.
    """
    ranks: Mapping[str, float] = friedman["mean_ranks"]
    names = sorted(ranks, key=lambda n: (ranks[n], n))
    bars = joined(names, friedman["cliques"])
    right = WIDTH - 16 - 11 * len(bars)
    x = Scale(1.0, max(2.0, float(len(names))), LEFT, right)
    height = TOP + LINE * len(names) + 6
    parts = [*_axis(x, height), _ruler(x, friedman["critical_difference"])]
    for i, name in enumerate(names):
        parts += _row(name, ranks[name], x, TOP + LINE * i + LINE / 2)
    parts += [_bar(right + 14 + 11 * i, *bar) for i, bar in enumerate(bars)]
    return Markup(
        f'<svg class="ranks" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(read_out(friedman))}">' + "".join(parts) + "</svg>"
    )


def joined(names: Sequence[str], cliques: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    """First and last place of every clique of two rows or more, as bars from the top down."""
    places = [sorted(names.index(n) for n in clique) for clique in cliques if len(clique) > 1]
    return sorted((p[0], p[-1]) for p in places)


def read_out(friedman: Mapping[str, Any]) -> str:
    """The diagram in words."""
    ranks = friedman["mean_ranks"]
    order = ", ".join(f"{n} {ranks[n]:.2f}" for n in sorted(ranks, key=lambda n: (ranks[n], n)))
    return f"Mean ranks: {order}. Critical difference {friedman['critical_difference']:.2f}."


def _axis(x: Scale, height: float) -> list[str]:
    parts = []
    for rank in range(1, int(x.high) + 1, 1 + int(x.high) // 12):
        at = x(rank)
        parts.append(f'<line class="rule" x1="{at}" x2="{at}" y1="{TOP - 4}" y2="{height - 4}"/>')
        parts.append(f'<text x="{at}" y="{TOP - 9}" text-anchor="middle">{rank}</text>')
    return [*parts, f'<text class="title" x="{LEFT - 12}" y="{TOP - 9}" text-anchor="end">mean rank</text>']


def _ruler(x: Scale, length: float) -> str:
    """The critical difference, from rank 1 on."""
    start, end = x(1.0), x(1.0 + length)
    text = f"critical difference {length:.2f}" + (" (longer than the axis)" if 1 + length > x.high else "")
    return (
        f'<path class="ruler" d="M{start},22V30M{start},26H{end}M{end},22V30"/>'
        f'<text x="{start}" y="15">{text}</text>'
    )


def _row(name: str, rank: float, x: Scale, y: float) -> list[str]:
    short = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    told = f"<title>{escape(name)} {rank:.2f}</title>"
    return [
        f'<text class="name" x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(short)}</text>',
        f'<line class="rule" x1="{LEFT - 6}" x2="{x(rank)}" y1="{y}" y2="{y}"/>',
        f'<circle class="mark" cx="{x(rank)}" cy="{y}" r="4.5">{told}</circle>',
    ]


def _bar(x: float, first: int, last: int) -> str:
    top, bottom = TOP + LINE * first + 5, TOP + LINE * last + LINE - 5
    return f'<line class="clique" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>'
