"""Charts of the pages, the Pareto front, and sentences about tests."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.comparison.row_records import Equivalence
from benchmark.comparison.significance_records import Association, Friedman, Needed, Power, Variance
from benchmark.reporting.leaderboards import sentences
from benchmark.reporting.leaderboards.charts import decades, ticks
from benchmark.reporting.leaderboards.rank_diagram import clique_bars, rank_diagram
from benchmark.reporting.leaderboards.scatter_plot import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Axis,
    Mark,
    scatter,
    spread,
)
from benchmark.reporting.leaderboards.trade_offs import pareto_front

LINEAR = Axis("cost", log=False)


def mark(name: str, x: float, y: float, **changes: bool) -> Mark:
    """Return a row with an interval of two points on either side."""
    kinds = {"control": False, "gated": False, "front": False, **changes}
    return Mark(name, x, y, y - 0.02, y + 0.02, **kinds)


def test_front_by_hand():
    """b has less gain at more cost than a; d costs more than c without gain; the others are on the front."""
    points = {"a": (1.0, 5.0), "b": (2.0, 4.0), "c": (3.0, 7.0), "d": (4.0, 7.0), "e": (0.5, 1.0)}
    assert pareto_front(points) == ["e", "a", "c"]


def test_equal_rows_are_on_the_front_together():
    """Equal rows do not dominate each other; a row equal in one value and worse in the other is dominated."""
    assert pareto_front({"a": (1.0, 2.0), "b": (1.0, 2.0), "c": (1.0, 1.0), "d": (2.0, 2.0)}) == ["a", "b"]
    assert pareto_front({}) == []


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=9))
def test_front_agrees_with_a_search_over_all_pairs(points):
    """No row dominates a row of the front. The sorted front rises in both values."""
    on_front = pareto_front(points)
    for name, (x, y) in points.items():
        beaten = any((u < x and v >= y) or (u <= x and v > y) for u, v in points.values())
        assert (name in on_front) is not beaten
    on = [points[n] for n in on_front]
    assert on == sorted(on)
    assert all(a[1] <= b[1] for a, b in pairwise(on))


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (-0.25, 0.15, 5, [-0.2, -0.1, 0.0, 0.1]),  # 0.4 / 5 = 0.08, so steps of 0.1
        (0.0, 10.0, 5, [0, 2, 4, 6, 8, 10]),
        (3.0, 103.0, 4, [50, 100]),  # 25, so steps of 50
    ],
)
def test_ticks_are_round(low, high, count, expected):
    """Steps are the smallest 1, 2 or 5 times a power of ten that give at most ``count`` + 1 ticks."""
    assert ticks(low, high, count) == pytest.approx(expected)


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e4), st.integers(3, 9))
def test_ticks_lie_between_the_ends_and_are_few(low, span, count):
    """Between one and count + 1 ticks lie inside the axis, for a count of three or more."""
    values = ticks(low, low + span, count)
    assert 1 <= len(values) <= count + 1
    assert all(low - 1e-6 * span <= v <= low + span * (1 + 1e-6) for v in values)


def test_decades_are_thinned():
    """Ticks are the powers of ten inside the axis; from seven on, every second one."""
    assert decades(0.5, 200.0) == [1, 10, 100]
    assert decades(1e-4, 1e3) == pytest.approx([1e-4, 1e-2, 1, 100])


def elements(svg: str, tag: str, kind: str) -> list[ElementTree.Element]:
    """Return the elements of a tag with this class; the SVG must be well-formed."""
    all_of_tag = ElementTree.fromstring(svg).iter(tag)
    return [e for e in all_of_tag if kind in e.get("class", "").split()]


def test_a_logarithmic_axis_is_one():
    """1 to 10 is as long as 10 to 100; on a linear axis it is a tenth."""
    marks = [mark("a", 1, 0.0), mark("b", 10, 0.0), mark("c", 100, 0.0)]
    for log, ratio in ((True, 1.0), (False, 0.1)):
        xs = [
            float(e.get("cx")) for e in elements(scatter(marks, Axis("x", log), "y", "l"), "circle", "mark")
        ]
        assert (xs[1] - xs[0]) / (xs[2] - xs[1]) == pytest.approx(ratio, abs=0.01)


def test_marks_tell_role_gate_and_front_by_shape():
    """A generator is a circle, a control a square, a gated row hollow; the staircase joins the front only."""
    svg = scatter(
        [
            mark("gan", 1, 0.01, front=True),
            mark("best", 4, 0.05, control=True, front=True),
            mark("copies", 2, 0.09, control=True, gated=True),
        ],
        LINEAR, "gain", "read out",
    )  # fmt: skip
    circles, squares = elements(svg, "circle", "mark"), elements(svg, "rect", "mark")
    assert [c.findtext("title") for c in circles] == ["gan"]
    assert {s.findtext("title"): "gated" in s.get("class") for s in squares} == {
        "best": False,
        "copies": True,
    }
    gan, best = circles[0], next(s for s in squares if s.findtext("title") == "best")
    half = float(best.get("width")) / 2
    (stair,) = elements(svg, "path", "front")
    corner = f"H{float(best.get('x')) + half}V{float(best.get('y')) + half}"
    expected = f"M{gan.get('cx')},{gan.get('cy')}{corner}H{RIGHT}"
    assert stair.get("d") == expected


@given(
    st.lists(st.tuples(st.floats(0.01, 1e4), st.floats(-0.5, 0.5), st.booleans()), min_size=1, max_size=12)
)
def test_nothing_leaves_the_plot(values):
    """Every mark, whisker and name lies within the axes, whatever the figures."""
    marks = [mark(f"row_{i}", x, y, front=on) for i, (x, y, on) in enumerate(values)]
    svg = scatter(marks, Axis("x", log=True), "y", "l")
    for circle in elements(svg, "circle", "mark"):
        assert LEFT <= float(circle.get("cx")) <= RIGHT
        assert TOP <= float(circle.get("cy")) <= BOTTOM
    for line in elements(svg, "line", "reach"):
        assert TOP <= float(line.get("y2")) <= float(line.get("y1")) <= BOTTOM


@given(st.lists(st.tuples(st.floats(1, 1e3), st.floats(-0.3, 0.3)), min_size=1, max_size=25))
def test_names_do_not_cover_each_other(values):
    """Names stand in one column beside the plot, at least a line apart, inside the picture."""
    marks = [mark(f"generator_{i}", x, y) for i, (x, y) in enumerate(values)]
    svg = scatter(marks, LINEAR, "y", "l")
    names = elements(svg, "text", "name")
    assert len(names) == len(marks)
    assert {float(n.get("x")) for n in names} == {RIGHT + 7.0}
    ys = sorted(float(n.get("y")) for n in names)
    assert all(b - a >= 12.8 for a, b in pairwise(ys))
    assert ys[0] >= 10
    assert ys[-1] <= float(ElementTree.fromstring(svg).get("viewBox").split()[3])


def test_spread_by_hand():
    """Two heights that are too close part evenly around their middle, inside the ends; a far one stays."""
    assert spread([10, 12, 40], 10, 0, 99) == [6.0, 16.0, 40]
    assert spread([5, 5, 5], 10, 0, 99) == [0, 10, 20]
    assert spread([95, 95], 10, 0, 99) == [89, 99]


def test_names_are_escaped():
    """A bundle's name is text in the chart, never markup."""
    svg = scatter([mark("<script>alert(1)</script>", 1, 0.0)], Axis("<b>", True), "<i>", '"><img>')
    assert "<script" not in svg
    assert "<b>" not in svg
    assert "<img" not in svg
    ElementTree.fromstring(svg)


def friedman(**changes: Any) -> Friedman:
    """Return four classifiers over 14 data sets, with the printed mean ranks and critical difference.

    Source: Demsar 2006, JMLR 7, section 3.2.4 and Table 6 (chi-squared 9.28, three degrees of freedom).
    """
    ranks = {"C4.5": 3.143, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964}
    record = {
        "statistic": 9.28, "df": 3, "p": 0.0258, "kendall_w": 0.221, "blocks": 14, "mean_ranks": ranks,
        "critical_difference": 1.25, "alpha": 0.05, "reason": None, "method": "chi-squared", "f": None,
        "nemenyi": [], "cliques": [["C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"]], **changes,
    }  # fmt: skip
    return Friedman.from_json(record)


def test_critical_difference_diagram_of_demsar():
    """Rows are sorted by mean rank, best first; marks and ruler follow the scale of the axis."""
    svg = rank_diagram(friedman())
    order = [e.text for e in elements(svg, "text", "name")]
    assert order == ["C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"]
    xs = [float(e.get("cx")) for e in elements(svg, "circle", "mark")]
    unit = (xs[3] - xs[0]) / (3.143 - 1.964)
    (ruler,) = elements(svg, "path", "ruler")
    path = str(ruler.get("d"))
    start, end = (float(re.findall(rf"{step}([\d.]+)", path)[0]) for step in "MH")
    assert (end - start) / unit == pytest.approx(1.25, abs=0.02)
    assert len(elements(svg, "line", "clique")) == 1
    assert sentences.mean_ranks(friedman()).startswith("Mean ranks, 1 is best: C4.5+m+cf 1.96, C4.5+m 2.00")


def test_cliques_become_bars():
    """A bar spans the first to the last row of a clique; a lone row has none."""
    assert clique_bars(["a", "b", "c", "d"], [["d"], ["c", "b"], ["a", "b"]]) == [(0, 1), (1, 2)]


def test_friedman_sentence():
    """The sentence has the figures and the decision, or the reason for a missing diagram."""
    text = sentences.friedman(friedman())
    assert "14 blocks: χ²(3) = 9.28, p = 0.026, Kendall's W 0.22; the rows differ." in text
    assert "closer than 1.25" in text
    assert "no significant difference between the rows" in sentences.friedman(friedman(p=0.2))
    missing = friedman(p=None, critical_difference=None, reason="fewer than two blocks")
    assert rank_diagram(missing) is None
    assert sentences.friedman(missing) == "Friedman's test: not available, fewer than two blocks."


@pytest.mark.parametrize(("blocks", "given"), [(9, False), (10, True)])
def test_a_critical_difference_needs_ten_blocks(blocks, given):
    """With nine there is neither a diagram nor a sentence that tells rows apart by mean ranks."""
    test = friedman(blocks=blocks)
    assert (rank_diagram(test) is not None) is given
    assert ("closer than 1.25" in sentences.friedman(test)) is given
    assert ("No significant difference within" in sentences.mean_ranks(test)) is given


def association(**changes: Any) -> Association:
    """Return a correlation over seven generators."""
    record = {
        "metric": "f1", "rows": [], "method": None, "rho": -0.6, "low": -0.9, "high": 0.1, "p": 0.09, "n": 7,
        "expected_sign": -1, "reason": None, **changes,
    }  # fmt: skip
    return Association.from_json(record)


def test_association_sentences_have_intervals():
    """The sentence states if the interval contains zero; measures without a correlation share a reason."""
    one = association(rho=1.0, low=None, high=None, reason="all rows in one order: no interval")
    none = association(rho=None, reason="fewer than four rows")
    tests = {"fid_x": association(), "kid_x": one, "ms_ssim": none, "filter_pass_rate": none}
    assert sentences.associations(tests) == [
        "FID (x): over 7 generators, Spearman's ρ with the difference to real_only is −0.60 [−0.90, +0.10], "
        "which includes zero, p = 0.090; negative where fidelity predicts utility.",
        "KID (x): over 7 generators, Spearman's ρ with the difference to real_only is +1.00 (all rows in "
        "one order: no interval), p = 0.090; negative where fidelity predicts utility.",
        "No rank correlation for Filter pass rate and MS-SSIM: fewer than four rows.",
    ]
    assert "includes zero" not in sentences.associations({"fid_x": association(high=-0.2)})[0]


def test_power_names_the_easiest_and_the_hardest_row():
    """There is a sentence per level; a level without figures has none."""
    rows = {"a": {"0.8": 0.031}, "b": {"0.8": 0.052}}
    record = Power.from_json({"levels": [0.8, 0.95], "rows": rows, "needed": {}, "mcnemar": {}})
    assert sentences.power(record) == [
        "With 80 % power, the smallest detectable difference to real_only is 3.1 (a) to 5.2 points (b)."
    ]


def test_equivalence_claims_only_what_is_shown():
    """The sentence has the margin in points, the p value, and the three shares of the posterior."""
    rope = {"below": 0.01, "within": 0.97, "above": 0.02}
    test = Equivalence.from_json({"margin": 0.02, "p": 0.013, "equivalent": True, "rope": rope})
    text = sentences.equivalence(test)
    assert text.startswith(
        "The difference is shown to lie within ±2.0 points (two one-sided tests, p = 0.013)"
    )
    assert "1 % of its distribution is below, 97 % within and 2 % above" in text
    assert "not shown to lie" in sentences.equivalence(test.model_copy(update={"equivalent": False}))


def test_variance_components_are_sorted_by_size():
    """The largest source comes first; without components the reason is shown."""
    common = {"variance": 0.1, "levels": 2}
    parts = [
        {"source": "seed", "share": 0.1, "sd": 0.01, **common},
        {"source": "generator", "share": 0.9, "sd": 0.03, **common},
    ]
    record = {"components": parts, "n": 27, "reason": None, "total": 0.2, "method": "REML", "left_out": {}}
    assert sentences.variance(Variance.from_json(record)) == (
        "Variance components of 27 values: generator 90 % (SD 3.0 points) and seed 10 % (SD 1.0 points)."
    )
    failed = {**record, "components": [], "reason": "the fit did not converge"}
    assert "the fit did not converge" in sentences.variance(Variance.from_json(failed))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            {"difference": 0.03, "runs": 12, "patients": None, "reason": "no number of patients suffices"},
            "12 runs to detect a difference of 3.0 points; no number of patients suffices.",
        ),
        (
            {"difference": 0.1, "runs": 2, "patients": 136, "reason": None},
            "2 runs or 136 patients to detect a difference of 10.0 points.",
        ),
        (
            {"difference": 0.001, "runs": None, "patients": None, "reason": "one run does not show it"},
            "No study of this kind detects a difference of 0.1 points: one run does not show it.",
        ),
    ],
)
def test_needed_runs_and_patients(record, expected):
    """The sentence has runs, patients, either or neither, and the reason for a missing number."""
    limits = {"power": 0.8, "with_endless_runs": None, "with_endless_patients": None}
    assert sentences.needed(Needed.from_json({**record, **limits})) == expected
