"""Tables after Segal et al. 2021."""

from __future__ import annotations

import pytest

from benchmark.reporting.tables import segal
from benchmark.reporting.tables.record import Column, LeftOut, shown
from support.measured_rows import CLASSES, measure, run_with

PLACES = dict(zip(CLASSES, (0.0, 1.0, 3.0, 2.0), strict=True))


def distances(**details: float):
    """Return distances to ``none`` of 1, 9 and 4 in real images, and twice that in synthetic ones."""
    per_class = {c: {"value": 2 * at**2, "floor": at**2} for c, at in PLACES.items()}
    own = measure("class_distances", 0.9, 0.95, "x", per_class=per_class, details=details)
    fid = measure("fid", 8.02, 0.53, "x", floor_sd=0.1)
    return {"measures": {"class_distances_x": own, "fid_x": fid}}


def cell(table, row: str, column: str) -> str:
    return shown(table.cell((row,), Column((column,))), "decimal")


def test_distances_follow_table_1():
    """Halves, sexes, classes and synthetic images have a line each; what a row lacks is a dash."""
    run = run_with(gan=distances(between_sexes_real=7.87), other=distances())
    table = segal.tables(run)[0]
    assert table.rows == tuple(
        (n,) for n in ("Patient-disjoint halves", "Women and men", *CLASSES, "Real and synthetic")
    )
    assert [c.key for c in table.columns] == [("real",), ("gan",), ("other",)]
    assert cell(table, "Patient-disjoint halves", "real") == "0.530 ± 0.100"
    assert (cell(table, "Women and men", "real"), cell(table, "Women and men", "gan")) == ("7.870", "–")
    assert (cell(table, "edema", "real"), cell(table, "edema", "gan")) == ("9.000", "18.000")
    assert cell(table, "Real and synthetic", "gan") == "8.020"
    assert "each class and none" in table.caption


def prevalence():
    per_class = {
        c: {"value": 0.1, "floor": 0.2, "interval": [0.05, 0.15], "floor_interval": [0.18, 0.22]}
        for c in CLASSES
    }
    own = measure("label_prevalence", 0.1, 0.01, per_class=per_class, details={"dropped": 4.0, "raised": 0.0})
    return {"measures": {"label_prevalence": own}}


def test_prevalence_has_intervals_of_both_sides():
    """A label is at 20 % in real images and at 10 % in others; the caption counts the dropped labels."""
    table = segal.tables(run_with(gan=prevalence()))[1]
    assert shown(table.cell(("mass",), Column(("real",))), "percent") == "20.00 [18.00, 22.00]"
    assert shown(table.cell(("mass",), Column(("gan",))), "percent") == "10.00 [5.00, 15.00]"
    assert "rarer than in real images: gan 4." in table.caption


def test_runs_without_the_metrics_have_a_reason():
    """Neither table can be made without its metric."""
    left_out = segal.tables(run_with(gan={"measures": {}}))
    assert [type(item) for item in left_out] == [LeftOut, LeftOut]
    with pytest.raises(AttributeError):
        left_out[0].caption  # noqa: B018
