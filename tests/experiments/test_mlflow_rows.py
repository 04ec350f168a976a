"""A run in MLflow for every row: the same names for all, and the stages below."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from benchmark.comparison.compare import compare
from benchmark.experiments.mlflow_rows import RowRuns, row_metrics
from benchmark.planning.plan import Row
from benchmark.reporting.leaderboards.board import Board
from support.by_hand import records, two_generators

SHARED = {
    "balanced_accuracy", "gain_over_real_only", "gain_over_real_only_low", "gain_over_real_only_high",
    "seconds", "peak_memory_mb",
}  # fmt: skip


@pytest.fixture
def board() -> Board:
    bundles = two_generators()
    return Board(bundles, compare(records(bundles)))


@pytest.fixture
def sent():
    """The entries of the rows of ``two_generators``, of which ``one`` has a stage."""
    return []


@pytest.fixture
def runs(sent) -> RowRuns:
    rows = (
        Row("real_only", "control", {"description": "No added images."}),
        Row("one", "generator", {"title": "One", "description": "First."}, {"name": "one"}, params={"k": 3}),
        Row("two", "generator", {}, {"name": "two"}),
    )
    profile = SimpleNamespace(primary_bracket=2, fit_seeds=(0, 1))
    plan = SimpleNamespace(
        rows=rows,
        profile=profile,
        task=SimpleNamespace(name="t"),
        profile_name="demo",
        extractor="phantom_cxr_v1",
    )
    return RowRuns(
        plan,
        lambda op, name, **more: sent.append((op, name, more)),
        lambda name, **more: sent.append(("log", name, more)),
    )


def test_every_row_has_the_same_names(board):
    """The gain of ``one`` is 10 points by hand; that of the baseline over itself is zero by definition."""
    metrics = {row.name: row_metrics(row, board, "phantom_cxr_v1") for row in board.rows}
    assert all(set(own) >= SHARED for own in metrics.values())
    assert metrics["one"]["gain_over_real_only"] == pytest.approx(0.1)
    assert metrics["one"]["rank"] == 1
    assert metrics["real_only"]["gain_over_real_only_high"] == 0
    assert not any("phantom_cxr_v1" in name for own in metrics.values() for name in own)


def test_stages_are_below_their_row_and_every_row_is_shown(runs, sent, board, tmp_path):
    """A row opens with its first stage; those without any, as in a second run, open with the board."""
    assert runs.parent_of("", "data") == ""
    assert runs.parent_of("one", "fit/one") == runs.parent_of("one", "sample/one") == "row/one"
    assert [entry[:2] for entry in sent] == [("open", "row/one"), ("log", "row/one")]
    params = sent[1][2]["params"]
    assert params == {"generator": "one", "bracket": 2, "fit_seed": "0,1", "params.k": 3}
    runs.finish(tmp_path, board, [{"name": "train"}])
    opened = [name for op, name, _ in sent if op == "open"]
    assert sorted(opened) == ["row/one", "row/real_only", "row/two"]
    runs.close("FINISHED", {"two": "no memory"})
    ends = {name: more["status"] for op, name, more in sent if op == "end"}
    assert ends == {"row/one": "FINISHED", "row/two": "FAILED", "row/real_only": "FINISHED"}
    notes = {name: more for op, name, more in sent if op == "note"}
    assert notes["row/one"]["nodes"] == ["fit/one", "sample/one"]
    assert notes["row/one"]["text"].startswith("First.\n\nBalanced accuracy 67.5 %, +10.0 points [")
    by_row = [op for op, name, _ in sent if name == "row/two"]
    assert len(by_row) <= 7
