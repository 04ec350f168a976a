"""Rows above additional true images."""

from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.bundles.schema import CopyShare
from benchmark.reporting.leaderboards.above_oracle import above_oracle


def row(name: str, hits: int | None = None, role: str = "generator") -> Any:
    copies = None
    if hits is not None:
        share = CopyShare(rate=hits / 100, expected=0.01, n=100, interval=(0, 1), excess=hits > 9)
        copies = {"test": share}
    return SimpleNamespace(
        row=SimpleNamespace(name=name, role=role), memorization=SimpleNamespace(copies=copies)
    )


def compared(**estimates: float) -> Any:
    figures = {n: SimpleNamespace(metrics={"auc": SimpleNamespace(estimate=e)}) for n, e in estimates.items()}
    metric = SimpleNamespace(name="auc")
    return SimpleNamespace(primary=figures, settings=SimpleNamespace(primary_metric=metric))


def test_a_row_above_oracle_needs_an_explanation():
    """The sentence has the gain and what the detector says of test images; a row below has none."""
    rows = [row("better", 37), row("worse", 37), row("traditional", 0, "control")]
    (finding,) = above_oracle(rows, compared(oracle=0.8, better=0.835, worse=0.79, traditional=0.9))
    assert finding.tone == "bad"
    assert finding.text.startswith(
        "better lies 3.5 points above additional true images (oracle) and needs an"
    )
    assert (
        "takes 37 of 100 images that were compared for copies of test images (1.0 % expected)" in finding.text
    )


@pytest.mark.parametrize("estimates", [{"better": 0.9}, {"better": 0.7, "oracle": 0.7}])
def test_without_oracle_or_below_it_nothing_is_said(estimates):
    """A board without ``oracle``, and a row that equals it, have no finding."""
    assert not above_oracle([row("better", 1)], compared(**estimates))


def test_a_row_of_an_earlier_detector_says_that_copies_are_not_known():
    """Without the share of copies of test images the sentence says so."""
    (finding,) = above_oracle([row("better")], compared(oracle=0.8, better=0.81))
    assert "whether it copies test images is not known" in finding.text
