"""Boards as HTML pages: style, script and charts are inline; images, too, on the page of one run."""

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from benchmark.comparison.significance_tests import below
from benchmark.reporting import formats
from benchmark.reporting.leaderboards import charts, sentences, trade_offs
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.colors import row_colors
from benchmark.reporting.leaderboards.glossary import glossary
from benchmark.reporting.leaderboards.over_tasks import over_tasks
from benchmark.reporting.leaderboards.pictures import data_uri, picture_name
from benchmark.reporting.leaderboards.provenance import provenance
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
FIRST = "cxr_pneumonia"  # task of the board that the site shows first
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
    environment.globals |= {"sentences": sentences, "repeats": repeats, "provenance": provenance}
    return environment


def run_page(board: Board) -> str:
    """The page of one run; it refers to nothing outside itself."""
    return _fill(
        "leaderboard.html.jinja", board.title + ": leaderboard", [board], data_uri, board=board, level=1
    )


def site_page(boards: Sequence[Board]) -> str:
    """The page of all boards: with script one board at a time, without it one after the other.

    Its images lie beside it, see ``pictures``. The board of ``FIRST`` comes first.
    """
    ordered = sorted(boards, key=lambda b: (b.task != FIRST, b.task, b.name))
    return _fill(
        "index.html.jinja",
        "SynthThorax leaderboards",
        ordered,
        picture_name,
        boards=ordered,
        level=2,
        phantom=sum(b.head.data_kind == "phantom" for b in ordered),
        over=over_tasks(ordered),
    )


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


def digits(value: float) -> str:
    """Write the value of a cell, by which columns sort and which the CSV has, with six digits."""
    return f"{value:.6g}"


def picture_size(png: bytes) -> Markup:
    """Return the attributes ``width`` and ``height`` of a PNG, so that a lazy picture moves nothing."""
    width, height = struct.unpack(">II", png[16:24])
    return Markup(f' width="{width}" height="{height}"')


def _fill(
    template: str, title: str, every: Sequence[Board], picture: Callable[[bytes], str], **values: Any
) -> str:
    page = environment()
    page.filters.update(breakable=breakable, digits=digits)
    page.globals.update(
        charts=charts, trade_offs=trade_offs, rank_diagram=rank_diagram, details=details,
        pair_matrix=pair_matrix, picture=picture, picture_size=picture_size, colors=row_colors(every),
    )  # fmt: skip
    inline = {kind: Markup((TEMPLATES / f"leaderboard.{kind}").read_text("utf-8")) for kind in ("css", "js")}
    text = page.get_template(template).render(title=title, glossary=glossary(every), **inline, **values)
    return re.sub(r"\n\s*\n+", "\n", text)
