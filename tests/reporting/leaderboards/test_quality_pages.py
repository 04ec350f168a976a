"""The figures of merit on a leaderboard's pages."""

from __future__ import annotations

import pytest

from benchmark.bundles.io import Bundle, read_bundles
from benchmark.comparison.compare import compare
from benchmark.comparison.records import Comparison
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.publish import write_board
from support.by_hand import records
from support.make_bundles import make_bundles


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> list[Bundle]:
    """Two rows and a generator."""
    folder, rows = tmp_path_factory.mktemp("b"), ("real_only", "oversample", "ddpm")
    return read_bundles(make_bundles(folder, rows=rows, test_counts=(30,) * 5, paper_counts=None))


@pytest.fixture(scope="module")
def comparison(bundles) -> Comparison:
    """The comparison of the bundles."""
    return compare(records(bundles))


def pages(bundles, out, comparison) -> dict[str, str]:
    """The pages as text."""
    return {kind: path.read_text() for kind, path in write_board(Board(bundles, comparison), out).items()}


def test_figures_of_merit_are_folded_away(bundles, comparison, tmp_path):
    """The table is collapsed; figures show their interval, and a missing figure is a dash."""
    metric = {"name": "brier", "title": "Brier <score>", "meaning": "A mean square.", "direction": "minimize",
              "percent": False, "overall": True, "per_class": False}  # fmt: skip
    known = {"brier": {"estimate": 0.4321, "low": 0.4, "high": 0.5}}
    unknown = {"brier": {"estimate": 0.4, "low": None, "high": None}}
    common = {"per_class": {}, "calibration": {"bins": []}, "versus_real_only": None}
    record = comparison.to_json()
    record["settings"]["quality_metrics"] = [metric]
    record["quality_of"] = {}
    record["quality"] = {
        name: {"overall": known if name == "ddpm" else unknown, **common}
        for name in record["ranking"]["rows"]
    }
    written = pages(bundles, tmp_path, Comparison.from_json(record))
    assert "| Row | Brier &lt;score&gt; |" in written["md"]
    assert "| ddpm | 0.432 \\[0.400, 0.500\\] |" in written["md"]
    assert "0.432<small>[0.400, 0.500]</small>" in written["html"]
    assert "Brier &lt;score&gt;" in written["html"]
    assert "Brier <score>" not in written["html"]
    assert "A mean square." in written["html"]


def test_without_figures_of_merit_there_is_no_table_of_them(bundles, comparison, tmp_path):
    """If no row has figures of merit, there is no table."""
    written = pages(bundles, tmp_path, comparison.model_copy(update={"quality": {}}))
    assert "All figures of merit" not in written["md"]
    assert "All figures of merit" not in written["html"]
