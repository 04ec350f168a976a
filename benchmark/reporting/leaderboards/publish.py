"""Compare the bundles of a run and write its leaderboard."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.bundles.io import Bundle, read_bundles
from benchmark.comparison.study import compare

if TYPE_CHECKING:
    pass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def compare_folder(folder: Path) -> dict[str, Any]:
    """The comparison of the bundles in a folder."""
    return compare_rows(read_bundles(folder))


def compare_rows(bundles: Iterable[Bundle]) -> dict[str, Any]:
    rows = list(bundles)
    curve = next((b.curve for b in rows if b.curve is not None), None)
    return compare(((b.manifest.record(), b.predictions) for b in rows), curve)


def publish(folder: Path, out: Path) -> dict[str, Any]:
    """Compare the bundles in a folder and write leaderboard.md, .json and .html; returns the comparison."""
    return publish_bundles(read_bundles(folder), out)


def headline(comparison: dict[str, Any]) -> str:
    """A few lines for the terminal: the rows in order, with their intervals."""
    primary = comparison["figures"]["test"][str(comparison["settings"]["primary_bracket"])]
    ranks = comparison["ranking"]["rows"]
    metric = comparison["settings"]["primary_metric"]["name"]
    lines = []
    for name, said in sorted(primary.items(), key=lambda item: -item[1][metric]["estimate"]):
        mean = said[metric]
        rank = ranks.get(name, {}).get("rank", "-")
        interval = f"[{100 * mean['low']:.1f}, {100 * mean['high']:.1f}]"
        lines.append(f"  {rank:>2}  {name:<16} {100 * mean['estimate']:5.1f} %  {interval}")
    for name, why in comparison["failed"].items():
        lines.append(f"   -  {name:<16} failed: {why.splitlines()[0]}")
    for claim in comparison["controls"]:
        mark = {True: "held", False: "DID NOT HOLD", None: "cannot be judged"}[claim["held"]]
        lines.append(f"control: {claim['claim']}: {mark}")
    return "\n".join(lines)


def publish_bundles(bundles: list[Bundle], out: Path) -> dict[str, Any]:
    """Compare bundles and write leaderboard.md, .json and .html; returns the comparison."""
    from benchmark.reporting.leaderboards.render import render

    comparison = compare_rows(bundles)
    render(bundles, comparison, out)
    return comparison
