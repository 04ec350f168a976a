"""Which rows no other row beats in both of two respects."""

from __future__ import annotations

from collections.abc import Mapping


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The Pareto front of points where less x and more y is better.

    A point is on the front when no other has x no larger and y no smaller, with one of the two strictly
    so. Equal points stand there together.

    Args:
        points: (x, y) by name, finite.
    Returns:
        Names by rising x, then by name.
    """
    found = [n for n, own in points.items() if not any(_beats(other, own) for other in points.values())]
    return sorted(found, key=lambda n: (points[n][0], n))


def _beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] <= b[0] and a[1] >= b[1] and a != b
