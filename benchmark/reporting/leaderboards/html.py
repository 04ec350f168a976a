"""Boards as self-contained HTML pages: style, script, charts and images are inline."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from benchmark.comparison.significance_tests import below
from benchmark.reporting import formats
from benchmark.reporting.leaderboards import charts, sentences, trade_offs
from benchmark.reporting.leaderboards.board import Board, BoardRow
from benchmark.reporting.leaderboards.glossary import glossary
from benchmark.reporting.leaderboards.rank_diagram import rank_diagram
from benchmark.reporting.leaderboards.repeats import repeats
from benchmark.reporting.leaderboards.row_details import details
from benchmark.utils.formatting import listed, plural, points, points_range

TEMPLATES = Path(__file__).parent / "templates"
FILTERS = (
    formats.percent, formats.value, formats.value_range, points, points_range,
    formats.plus_minus, formats.varying, formats.p_value, formats.p_equals, formats.number, formats.cost,
    formats.settings, formats.classifier_summary, plural, listed,
)  # fmt: skip
Cells = Mapping[tuple[str, str], tuple[str, str]]  # text and CSS class by row and column


@dataclass(frozen=True)
class Matrix:
    """A table of rows against rows."""

    caption: str
    names: Sequence[str]
    cells: Cells


def environment(**options: Any) -> jinja2.Environment:
    """Make the environment of the templates: a missing value is an error, and every value is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        **options,
    )
    environment.filters.update({f.__name__: f for f in FILTERS})
    environment.globals |= {"sentences": sentences, "repeats": repeats}
    return environment


def run_page(board: Board) -> str:
    """The page of one run; it refers to nothing outside itself."""
    return _fill("leaderboard.html.jinja", board.title + ": leaderboard", [board], board=board, level=1)


def site_page(boards: Sequence[Board]) -> str:
    """The page of all boards: with script one board at a time, without it one after the other."""
    tasks = {task: [b for b in boards if b.task == task] for task in sorted({b.task for b in boards})}
    return _fill(
        "index.html.jinja",
        "SynthThorax leaderboards",
        boards,
        boards=boards,
        level=2,
        tasks=tasks,
        phantom=sum(b.head.data_kind == "phantom" for b in boards),
        across=across(boards),
    )


def across(boards: Sequence[Board]) -> list[tuple[str, str, list[tuple[Board, BoardRow | None]]]]:
    """Every row's name and role, and its row on every board: generators first, then by name."""
    rows = [{row.name: row for row in board.rows} for board in boards]
    roles = {name: row.role for own in rows for name, row in own.items()}
    return [
        (name, role, [(board, own.get(name)) for board, own in zip(boards, rows, strict=True)])
        for name, role in sorted(roles.items(), key=lambda r: (r[1] != "generator", r[0]))
    ]


def dunn_matrix(board: Board) -> Matrix:
    cells: dict[tuple[str, str], tuple[str, str]] = {}
    for pair in board.comparison.dunn:
        kind = "up" if pair.p_adjusted < board.comparison.settings.alpha else ""
        cells[pair.a, pair.b] = cells[pair.b, pair.a] = (formats.p_value(pair.p_adjusted), kind)
    return Matrix("Adjusted p values of Dunn's test", [r.name for r in board.rows if r.figures], cells)


def pair_matrix(board: Board) -> Matrix:
    """Paired differences of the ranked rows, row minus column, in points."""
    cells = {}
    for pair in board.comparison.ranking.pairs:
        significant = below(pair.p_adjusted, board.comparison.settings.alpha)
        for a, b, value in ((pair.a, pair.b, pair.estimate), (pair.b, pair.a, -pair.estimate)):
            cells[a, b] = (points(value), ("up" if value > 0 else "down") if significant else "")
    return Matrix("Paired differences in points", [r.name for r in board.rows if r.rank is not None], cells)


def breakable(name: str) -> Markup:
    """Allow a line break after each underscore of a name."""
    return Markup("_<wbr />").join(name.split("_"))


def data_uri(png: bytes) -> str:
    """Encode a picture for an ``img`` element."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _fill(template: str, title: str, all_boards: Sequence[Board], **values: Any) -> str:
    page = environment()
    page.filters.update(breakable=breakable, data_uri=data_uri)
    page.globals.update(
        charts=charts, trade_offs=trade_offs, rank_diagram=rank_diagram, details=details,
        dunn_matrix=dunn_matrix, pair_matrix=pair_matrix,
    )  # fmt: skip
    inline = {kind: Markup((TEMPLATES / f"leaderboard.{kind}").read_text("utf-8")) for kind in ("css", "js")}
    return page.get_template(template).render(title=title, glossary=glossary(all_boards), **inline, **values)
