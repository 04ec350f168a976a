"""The leaderboard as one self-contained HTML page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from benchmark.publish import charts, words
from benchmark.publish.glossary import glossary
from benchmark.publish.view import COPIES, Line, View

TEMPLATES = Path(__file__).parent / "templates"


def page(view: View) -> str:
    """The HTML page: inline style, script, charts and images; refers to nothing outside itself."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(_filters())
    name = view.metric["name"]
    differences = [d for line in view.lines if line.figures and (d := _real(line.figures, name))]
    low, high = charts.bounds(differences)
    return environment.get_template("leaderboard.html.jinja").render(
        view=view,
        css=Markup((TEMPLATES / "leaderboard.css").read_text(encoding="utf-8")),
        js=Markup((TEMPLATES / "leaderboard.js").read_text(encoding="utf-8")),
        axis=charts.forest_axis(low, high),
        forest=lambda difference: charts.forest(difference, low, high),
        panels=_panels(view),
        dunn=_dunn(view),
        pairs=_pairs(view),
        grids=[(line.name, _data_uri(line.grid)) for line in view.lines if line.grid],
        exempt=any(_copies(line) for line in view.lines),
        measure_notes={name: _measure_note(view, name) for name in view.measures},
        copies_note=_copies_note(view),
        glossary=glossary(view.comparison["settings"]),
        groups=[g for g in view.groups() if not g["too_small"]],
        too_small=[g for g in view.groups() if g["too_small"]],
    )


def _filters() -> dict[str, Any]:
    return {
        "percent": words.percent,
        "value": words.value,
        "value_range": words.value_range,
        "points": words.points,
        "points_range": words.points_range,
        "p_value": words.p_value,
        "p_equals": words.p_equals,
        "number": words.number,
        "plural": words.plural,
        "round1": lambda value: f"{value:.1f}",
        "cost": words.cost,
        "settings": words.settings,
        "classifier": words.classifier,
        "measure_kind": lambda name: words.measure_title(name).partition(" (")[0],
    }


def _real(figures: Mapping[str, Any], metric: str) -> Mapping[str, Any] | None:
    versus: Mapping[str, Any] = figures["versus"].get("real_only") or {}
    return versus.get(metric)


def _copies(line: Line) -> bool:
    gate = line.manifest.memorization
    return line.name == COPIES and gate is not None and gate.gated


def _measure_note(view: View, name: str) -> str:
    """The extractor, and the number of images where all rows have the same."""
    extractor = words.measure_title(name).partition(" (")[2].rstrip(")")
    counts = {li.manifest.measures[name].n for li in view.lines if name in li.manifest.measures}
    size = f"n {counts.pop()}" if len(counts) == 1 else ""
    return " · ".join(part for part in (extractor, size) if part)


def _copies_note(view: View) -> str:
    """The share expected of fresh patients, where all rows have the same."""
    expected = {li.manifest.memorization.expected for li in view.lines if li.manifest.memorization}
    return f"expected {words.percent(expected.pop(), 0)}" if len(expected) == 1 else "share of images"


def _panels(view: View) -> list[tuple[str, Markup]]:
    """A chart per row with added images, where there is more than one bracket."""
    brackets = view.comparison["settings"]["brackets"]
    found = {}
    for line in view.lines:
        if line.figures and line.figures["own_bracket"] != 0:
            shown = [(b, view.figures("test", b)[line.name]) for b in sorted(brackets)]
            each = [(b, _real(figures, view.metric["name"])) for b, figures in shown]
            series = [(b, d) for b, d in each if d]
            if len(series) > 1:
                found[line.name] = series
    if not found:
        return []
    low, high = charts.bounds([d for series in found.values() for _, d in series])
    return [
        (name, charts.change(series, low, high, f"{name}: {_read_out(series)}"))
        for name, series in found.items()
    ]


def _read_out(series: Sequence[tuple[int, Mapping[str, Any]]]) -> str:
    return "; ".join(f"+{b} images, {words.spread(d)}" for b, d in series)


def _dunn(view: View) -> Markup | None:
    cells = {}
    for pair in view.comparison["dunn"]:
        text, sure = words.p_value(pair["p"]), pair["p"] < view.comparison["settings"]["alpha"]
        cells[pair["a"], pair["b"]] = cells[pair["b"], pair["a"]] = (text, "up" if sure else "")
    return _matrix([li.name for li in view.lines if li.figures], cells, "Adjusted p values of Dunn's test")


def _pairs(view: View) -> Markup | None:
    cells = {}
    for pair in view.comparison["ranking"]["pairs"]:
        sure = pair["p_adjusted"] < view.comparison["settings"]["alpha"]
        for a, b, sign in ((pair["a"], pair["b"], 1), (pair["b"], pair["a"], -1)):
            value = sign * pair["estimate"]
            cells[a, b] = (words.points(value), ("up" if value > 0 else "down") if sure else "")
    return _matrix(
        [li.name for li in view.lines if li.rank is not None], cells, "Paired differences in points"
    )


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


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
