"""Figures that accompany the tables."""

from __future__ import annotations

import pytest

from benchmark.reporting.figures import draw, shapes
from benchmark.reporting.tables.record import LeftOut
from benchmark.reporting.tables.run import Run
from support.by_hand import bundle, predictions, run_of, two_generators, with_curve, with_fields


@pytest.fixture(scope="module")
def run() -> Run:
    """See ``by_hand.two_generators``."""
    return run_of(two_generators())


def points(container) -> list[float]:
    """Return the heights of a series."""
    return list(container.lines[0].get_ydata())


def test_change_is_drawn_in_points_by_bracket(run):
    """Of 80 images over both classifiers real_only has 46 correct, one 52 and 54, two 42 and 52."""
    drawn = shapes.change(run)
    (axes,) = drawn.figure.axes
    heights = {c.get_label(): points(c) for c in axes.containers}
    assert heights["one"] == pytest.approx([100 * 6 / 80, 100 * 8 / 80])
    assert heights["two"] == pytest.approx([100 * -4 / 80, 100 * 6 / 80])
    assert [t.get_text() for t in axes.get_xticklabels()] == ["+1", "+2"]
    assert "Schaudt et al. 2023, Figure 7" in drawn.caption


def with_keep(right: int, keep: str) -> Run:
    """Return a run of ``real_only`` and a better generator on a share of the training images."""
    real = bundle("real_only", predictions({(0, "a", s): (right, right) for s in (0, 1)}))
    better = {(b, "a", s): (right + 2, right + 2) for b in (1, 2) for s in (0, 1)}
    return run_of([real, bundle("one", predictions(better), "generator")], **{"few.keep": keep})


def test_choices_of_numbers_are_an_axis_in_their_order():
    """Balanced accuracy is in percent, with and without the generator, along the sorted choices."""
    drawn = shapes.fraction([with_keep(7, "1.0"), with_keep(4, "0.25"), with_keep(6, "0.5")])
    (axes,) = drawn.figure.axes
    heights = {c.get_label(): points(c) for c in axes.containers}
    assert heights["real_only"] == pytest.approx([40, 60, 70])
    assert heights["one"] == pytest.approx([60, 80, 90])
    assert [t.get_text() for t in axes.get_xticklabels()] == ["0.25", "0.5", "1.0"]
    assert axes.get_xlabel() == "few.keep"


def test_figures_without_data_have_a_reason(run):
    """One run, no calibration, or no baseline: the figure is left out with a reason."""
    assert "differ in one field" in shapes.fraction([run]).reason
    assert shapes.reliability(with_fields(run, quality={})) == LeftOut(
        "reliability", "the comparison has no calibration record"
    )
    assert "no finished row real_only" in shapes.change(run_of(two_generators()[1:])).reason


def calibrated(run: Run) -> Run:
    """Return the run with two bins, one of them empty."""
    bins = [
        {"low": 0.0, "high": 0.5, "weight": 0.0, "confidence": None, "accuracy": None},
        {"low": 0.5, "high": 1.0, "weight": 1.0, "confidence": 0.75, "accuracy": 0.6},
    ]
    quality = {"overall": {}, "per_class": {}, "versus_real_only": None, "calibration": {"bins": bins}}
    return with_fields(run, quality={"real_only": quality})


def test_reliability_leaves_empty_bins_out(run):
    """Only the filled bin has a mark, at (0.75, 0.6)."""
    drawn = shapes.reliability(calibrated(run))
    (axes,) = drawn.figure.axes
    (mark,) = axes.collections
    assert mark.get_offsets().tolist() == [[0.75, 0.6]]


def test_same_figure_same_bytes(run, tmp_path):
    """PNG and SVG have no date and do not depend on the user's settings."""
    import matplotlib

    pages = []
    for folder, size in (("a", 10.0), ("b", 20.0)):
        (tmp_path / folder).mkdir()
        with matplotlib.rc_context({"font.size": size}), draw.style():
            written = draw.save(shapes.change(run), tmp_path / folder)
        pages.append([path.read_bytes() for path in written])
    assert [p.suffix for p in written] == [".png", ".svg"]
    assert pages[0] == pages[1]
    assert b"<dc:date>" not in pages[0][1]


def test_rows_stand_on_the_learning_curve_where_they_are_worth_as_much(run):
    """Generator one is at 100 + 50 images, one point above real_only; generator two has no position."""
    drawn = shapes.learning_curve(with_curve(run))
    (axes,) = drawn.figure.axes
    real, one = axes.containers
    assert points(real) == pytest.approx([100 * (0.9 - 3 / 50), 100 * (0.9 - 3 / 100)])
    assert (one.get_label(), list(one.lines[0].get_xdata())) == ("one", [150.0])
    assert points(one) == pytest.approx([100 * (0.9 - 3 / 100) + 1])
