"""Inline SVG: the critical-difference diagram."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from benchmark.comparison.significance_records import Friedman
from benchmark.reporting.leaderboards.charts import Scale, picture
from benchmark.reporting.leaderboards.sentences import MIN_BLOCKS, mean_ranks

WIDTH, LEFT, TOP, LINE = 480, 150, 62, 22
MAX_NAME = 22  # letters of a name beside the axis


def rank_diagram(test: Friedman) -> Markup | None:
    """Draw the mean ranks, best first; bars join rows that do not differ significantly in Nemenyi's test.

    Returns:
        None where Friedman's test is not available or has fewer than ``MIN_BLOCKS`` blocks.
    Source: the diagram of Demsar 2006, JMLR 7, section 3.2.3, rotated by 90 degrees.
    """
    if test.critical_difference is None or test.blocks < MIN_BLOCKS:
        return None
    ranks = test.mean_ranks
    names = sorted(ranks, key=lambda n: (ranks[n], n))
    bars = clique_bars(names, test.cliques)
    right = WIDTH - 16 - 11 * len(bars)
    x = Scale(1.0, max(2.0, float(len(names))), LEFT, right)
    height = TOP + LINE * len(names) + 6
    parts = [*_axis(x, height), _ruler(x, test.critical_difference)]
    for i, name in enumerate(names):
        parts += _row(name, ranks[name], x, TOP + LINE * i + LINE / 2)
    for i, (first, last) in enumerate(bars):
        at, top, bottom = right + 14 + 11 * i, TOP + LINE * first + 5, TOP + LINE * last + LINE - 5
        parts.append(f'<line class="clique" x1="{at}" x2="{at}" y1="{top}" y2="{bottom}"/>')
    label = f"{mean_ranks(test)} Critical difference {test.critical_difference:.2f}."
    return picture("ranks", WIDTH, height, label, parts)


def clique_bars(names: Sequence[str], cliques: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    """Return the first and last position of every clique of at least two rows, from the top down."""
    positions = [sorted(names.index(n) for n in clique) for clique in cliques if len(clique) > 1]
    return sorted((p[0], p[-1]) for p in positions)


def _axis(x: Scale, height: float) -> list[str]:
    parts = []
    for rank in range(1, int(x.high) + 1, 1 + int(x.high) // 12):
        at = x(rank)
        parts.append(f'<line class="rule" x1="{at}" x2="{at}" y1="{TOP - 4}" y2="{height - 4}"/>')
        parts.append(f'<text x="{at}" y="{TOP - 9}" text-anchor="middle">{rank}</text>')
    return [*parts, f'<text class="title" x="{LEFT - 12}" y="{TOP - 9}" text-anchor="end">mean rank</text>']


def _ruler(x: Scale, length: float) -> str:
    """Draw the critical difference, from rank 1 on."""
    start, end = x(1.0), x(1.0 + length)
    text = f"critical difference {length:.2f}" + (" (longer than the axis)" if 1 + length > x.high else "")
    return (
        f'<path class="ruler" d="M{start},22V30M{start},26H{end}M{end},22V30"/>'
        f'<text x="{start}" y="15">{text}</text>'
    )


def _row(name: str, rank: float, x: Scale, y: float) -> list[str]:
    short = name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"
    title = f"<title>{escape(name)} {rank:.2f}</title>"
    return [
        f'<text class="name" x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(short)}</text>',
        f'<line class="rule" x1="{LEFT - 6}" x2="{x(rank)}" y1="{y}" y2="{y}"/>',
        f'<circle class="mark" cx="{x(rank)}" cy="{y}" r="4.5">{title}</circle>',
    ]
