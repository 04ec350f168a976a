"""Rows evaluated by each classifier separately."""

from __future__ import annotations

import math
from typing import Any

import pytest

from benchmark.bundles.io import read_bundles
from benchmark.comparison import by_classifier
from benchmark.comparison.align import align
from benchmark.comparison.compare import compare
from support.by_hand import records, two_generators
from support.make_bundles import make_bundles


@pytest.fixture(scope="module")
def study():
    """See ``by_hand.two_generators``."""
    return align(records(two_generators()))


def one(matches: list[Any], **keys: Any) -> Any:
    """Return the only record with these values."""
    (record,) = [r for r in matches if all(getattr(r, k) == v for k, v in keys.items())]
    return record


def test_cells_are_means_over_the_seeds_of_a_classifier(study):
    """For generator one, bracket 2 and classifier a, 14 and 16 of 20 are correct; their std is 0.05 sqrt
    2."""
    matches = by_classifier.cells(study)
    cell = one(matches, row="one", bracket=2, classifier="a", metric="accuracy")
    assert cell.estimate == pytest.approx(0.75)
    assert cell.std == pytest.approx(0.05 * math.sqrt(2))
    assert cell.n == 2
    assert cell.versus.estimate == pytest.approx(0.25)
    base = one(matches, row="real_only", classifier="b", metric="accuracy")
    assert (base.bracket, base.versus) == (0, None)
    assert base.estimate == pytest.approx(0.65)


def test_every_row_bracket_and_classifier_is_there_once(study):
    """A row without images is there once per classifier, the others once per bracket and classifier."""
    matches = [r for r in by_classifier.cells(study) if r.metric == "balanced_accuracy"]
    keys = [(r.row, r.bracket, r.classifier) for r in matches]
    expected = [("real_only", 0, c) for c in "ab"]
    expected += [(g, b, c) for g in ("one", "two") for b in (1, 2) for c in "ab"]
    assert sorted(keys) == sorted(expected)


def test_p_values_are_adjusted_over_all_differences_of_a_metric(study):
    """Holm: the k-th of m sorted p values is multiplied by (m - k), with a running maximum, at most 1."""
    matches = [r.versus for r in by_classifier.cells(study) if r.metric == "accuracy" and r.versus]
    assert len(matches) == 8
    highest = 0.0
    for k, versus in enumerate(sorted(matches, key=lambda v: v.p)):
        highest = max(highest, min(1.0, versus.p * (8 - k)))
        assert versus.p_adjusted == pytest.approx(highest)


def test_with_one_classifier_the_cells_are_the_leaderboard(tmp_path):
    """Estimates and intervals are those of ``compare``."""
    rows = ("real_only", "oversample", "ddpm", "noise")
    bundles = read_bundles(make_bundles(tmp_path, rows=rows, test_counts=(30,) * 5, paper_counts=None))
    comparison = compare(records(bundles)).to_json()
    for cell in by_classifier.cells(align(records(bundles))):
        figures = comparison["figures"]["test"][str(cell.bracket or 250)][cell.row]
        for key in ("estimate", "low", "high"):
            assert getattr(cell, key) == figures[cell.metric][key]
        if cell.versus:
            for key in ("estimate", "low", "high", "p"):
                assert getattr(cell.versus, key) == figures["versus"]["real_only"][cell.metric][key]


def test_changes_average_over_brackets(study):
    """A change is the number of correct images of 20 minus that of real_only: see the table of
    ``two_generators``.

    one on a: (12, 12), (14, 16) less (10, 10): mean 3.5 of 20; on b: (12, 16), (10, 14) less (12, 14): 0.
    two on a: (8, 10), (10, 10) less (10, 10): -0.5; on b: (12, 12), (16, 16) less (12, 14): 1.
    """
    matches = by_classifier.changes(study, ["one", "two"])
    means = {("one", "a"): 3.5, ("one", "b"): 0, ("two", "a"): -0.5, ("two", "b"): 1}
    for (row, classifier), images in means.items():
        record = one(matches, row=row, classifier=classifier, metric="accuracy")
        assert record.estimate == pytest.approx(images / 20)
        assert record.low < record.estimate < record.high
    assert one(matches, row="one", classifier=None, metric="accuracy").estimate == pytest.approx(1.75 / 20)
    assert one(matches, row=None, classifier="a", metric="accuracy").estimate == pytest.approx(1.5 / 20)
    assert one(matches, row=None, classifier=None, metric="accuracy").estimate == pytest.approx(1 / 20)


def test_an_average_over_brackets_has_a_narrower_interval():
    """With different errors per bracket, the mean's interval is narrower than the widest of them."""
    study = align(records(two_generators()))
    cells = by_classifier.cells(study)
    change = one(by_classifier.changes(study, []), row="two", classifier=None, metric="accuracy")
    widths = [c.versus.high - c.versus.low for c in cells if c.row == "two" and c.metric == "accuracy"]
    assert change.high - change.low < max(widths)


def test_without_the_baseline_there_are_no_changes():
    """Without the baseline there are no changes and no differences."""
    study = align(records(two_generators()[1:]))
    assert by_classifier.changes(study, ["one"]) == []
    assert all(c.versus is None for c in by_classifier.cells(study))
