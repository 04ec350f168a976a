"""The figures of merit on the leaderboard's pages."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.bundles.io import Bundle, read_bundles
from benchmark.comparison.study import compare
from benchmark.reporting.leaderboards.render import render
from support.by_hand import records
from support.make_bundles import make_bundles


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> list[Bundle]:
    """Two rows and a generator."""
    folder, rows = tmp_path_factory.mktemp("b"), ("real_only", "oversample", "ddpm")
    return read_bundles(make_bundles(folder, rows=rows, test_counts=(30,) * 5, paper_counts=None))


@pytest.fixture(scope="module")
def comparison(bundles) -> dict[str, Any]:
    """Their comparison."""
    return compare(records(bundles))


def pages(bundles, out, comparison) -> dict[str, str]:
    """The pages as text."""
    return {kind: path.read_text() for kind, path in render(bundles, comparison, out).items()}


def test_figures_of_merit_are_folded_away(bundles, comparison, tmp_path):
    """Those that have an interval, with it; a figure that has none is a dash."""
    metric = {"name": "brier", "title": "Brier <score>", "meaning": "A mean square.", "direction": "minimize",
              "percent": False}  # fmt: skip
    known = {"brier": {"estimate": 0.4321, "low": 0.4, "high": 0.5}}
    unknown = {"brier": {"estimate": 0.4, "low": None, "high": None}}
    found = {name: {"overall": unknown} for name in comparison["ranking"]["rows"]} | {
        "ddpm": {"overall": known}
    }
    made = {
        **comparison,
        "settings": comparison["settings"] | {"quality_metrics": [metric]},
        "quality": {n: {"per_class": {}, "calibration": {"bins": []}, **f} for n, f in found.items()},
    }
    shown = pages(bundles, tmp_path, made)
    assert "| Row | Brier &lt;score&gt; |" in shown["md"]
    assert "| ddpm | 0.432 \\[0.400, 0.500\\] |" in shown["md"]
    assert "0.4321" in shown["html"]
    assert "Brier &lt;score&gt;" in shown["html"]
    assert "Brier <score>" not in shown["html"]
    assert "A mean square." in shown["html"]


def test_without_figures_of_merit_there_is_no_table_of_them(bundles, comparison, tmp_path):
    """A comparison of an older kind."""
    older = {k: v for k, v in comparison.items() if k != "quality"}
    shown = pages(bundles, tmp_path, older)
    assert "All figures of merit" not in shown["md"]
    assert "All figures of merit" not in shown["html"]
