"""The answer of a run in a few lines, with hand-computed figures."""

from __future__ import annotations

import pytest

from benchmark.comparison.compare import compare
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.summary import headline, row_records
from support.by_hand import bundle, predictions, records, two_generators
from support.make_bundles import measures

COPYING = {
    "rate": 0.25, "expected": 0.0, "threshold": 0.9, "n": 8, "interval": (0.1, 0.5), "planted_recall": 1.0,
    "gated": True,
}  # fmt: skip


def board(**fields) -> Board:
    """Return the board of ``two_generators`` with one more row, a copying generator at 0.95."""
    right = {(b, c, s): (9, 10) for b in (1, 2) for c in ("a", "b") for s in (0, 1)}
    copier = bundle("copier", predictions(right), "generator", memorization=COPYING, **fields)
    bundles = [*two_generators(), copier]
    return Board(bundles, compare(records(bundles)))


def test_candidates_come_by_rank_and_references_apart():
    """Means 0.675 and 0.65 against 0.575; the row that copies has no rank though its mean is the highest."""
    lines = headline(board()).splitlines()
    first, last = lines.index("Candidates:"), lines.index("References:")
    names = [line.split()[1] for line in lines[first + 1 : last - 1]]
    assert names == ["one", "two", "copier"]
    one, copier = lines[first + 1], lines[first + 3]
    assert "67.5 %" in one
    assert "+10.0 points [" in one
    assert one.endswith("over real_only")
    assert copier.split()[0] == "-"
    assert copier.endswith("COPIES (25.0 % of 8 images)")
    assert lines[last + 1].split()[:4] == ["-", "real_only", "57.5", "%"]
    assert lines[0]


def test_every_row_is_a_flat_record():
    """The keys are the same for every candidate; an FID of 3.5 and the rate of copies are in it."""
    own = {r["row"]: r for r in row_records(board(measures=measures(3.5)))}
    assert own["one"]["balanced_accuracy"] == pytest.approx(0.675)
    assert own["one"]["gain_over_real_only"] == pytest.approx(0.1)
    assert own["one"]["gain_over_real_only_low"] < 0.1 < own["one"]["gain_over_real_only_high"]
    assert (own["one"]["rank"], own["copier"]["rank"], own["real_only"]["rank"]) == (1, None, None)
    assert (own["copier"]["copies"], own["copier"]["gated"]) == (0.25, True)
    assert own["copier"]["fid_phantom_cxr_v1"] == 3.5
