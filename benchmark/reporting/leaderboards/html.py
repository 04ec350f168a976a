"""The templates of the HTML pages, and what fills every one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from benchmark.reporting.leaderboards import statistic_words, words
from benchmark.utils.formatting import plural

TEMPLATES = Path(__file__).parent / "templates"


def fill(template: str, **values: Any) -> str:
    """A page from a template: text is escaped, a missing value is an error, style and script are inline."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(_filters())
    inline = {kind: Markup(_text(f"leaderboard.{kind}")) for kind in ("css", "js")}
    return environment.get_template(template).render(**inline, **values)


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def breakable(name: str) -> Markup:
    """A name that may break after its underscores."""
    return Markup("_<wbr />").join(name.split("_"))


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
        "plural": plural,
        "round1": lambda value: f"{value:.1f}",
        "cost": words.cost,
        "settings": words.settings,
        "classifier": words.classifier,
        "breakable": breakable,
        "friedman": statistic_words.friedman,
        "associations": statistic_words.associations,
        "power": statistic_words.power,
        "variance": statistic_words.variance,
        "measure_kind": lambda name: words.measure_title(name).partition(" (")[0],
    }
