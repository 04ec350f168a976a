"""Tables of rows against rows: Dunn's test, and the paired differences behind the ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from benchmark.reporting.leaderboards import words
from benchmark.reporting.leaderboards.view import View


def dunn(view: View) -> Markup | None:
    """Adjusted p values; None where the test could not be made."""
    cells = {}
    for pair in view.comparison["dunn"]:
        text, sure = words.p_value(pair["p"]), pair["p"] < view.comparison["settings"]["alpha"]
        cells[pair["a"], pair["b"]] = cells[pair["b"], pair["a"]] = (text, "up" if sure else "")
    return _matrix([li.name for li in view.lines if li.figures], cells, "Adjusted p values of Dunn's test")


def pairs(view: View) -> Markup | None:
    """Row minus column in points; None with fewer than two ranked rows."""
    cells = {}
    for pair in view.comparison["ranking"]["pairs"]:
        sure = pair["p_adjusted"] < view.comparison["settings"]["alpha"]
        for a, b, sign in ((pair["a"], pair["b"], 1), (pair["b"], pair["a"], -1)):
            value = sign * pair["estimate"]
            cells[a, b] = (words.points(value), ("up" if value > 0 else "down") if sure else "")
    names = [li.name for li in view.lines if li.rank is not None]
    return _matrix(names, cells, "Paired differences in points")


def _matrix(
    names: Sequence[str], cells: Mapping[tuple[str, str], tuple[str, str]], caption: str
) -> Markup | None:
    """A table of rows against rows; significant cells are colored."""
    if not cells:
        return None
    head = "".join(f'<th scope="col" class="n">{escape(n)}</th>' for n in names)
    body = ""
    for a in names:
        body += f'<tr><th scope="row" class="pin">{escape(a)}</th>'
        for b in names:
            text, kind = cells.get((a, b), ("", ""))
            body += f'<td class="n"><span class="{kind}">{text}</span></td>'
        body += "</tr>\n"
    return Markup(
        f"<table><caption>{escape(caption)}</caption>"
        f'<thead><tr><th scope="col" class="pin"></th>{head}</tr></thead><tbody>\n{body}</tbody></table>'
    )
