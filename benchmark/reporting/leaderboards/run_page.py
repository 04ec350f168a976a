"""The leaderboard of one run as a self-contained HTML page."""

from __future__ import annotations

from benchmark.reporting.leaderboards.glossary import glossary
from benchmark.reporting.leaderboards.pages import fill
from benchmark.reporting.leaderboards.sheet import sheet
from benchmark.reporting.leaderboards.view import View


def page(view: View) -> str:
    """The HTML page: inline style, script, charts and images; refers to nothing outside itself."""
    return fill(
        "leaderboard.html.jinja",
        title=f"{view.title}: leaderboard",
        sheet=sheet(view, name="board"),
        glossary=glossary(view.comparison["settings"]),
    )
