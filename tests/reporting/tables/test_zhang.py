"""The table after Zhang et al. 2023, Table 2."""

from __future__ import annotations

from benchmark.reporting.tables import zhang
from benchmark.reporting.tables.record import Column, LeftOut, shown
from support.measured_rows import measure, run_with


def test_samples_and_sources_follow_table_2():
    """SIFID names its extractor in the caption, the floor is a line, and several fits have a range."""
    run = run_with(
        singan={"measures": {
            "sifid_x": measure("sifid", 1.16, 2.5, "x"),
            "ssim": measure("ssim", 0.23, 0.1, fit_range=[0.2, 0.26]),
        }},
        plain={"measures": {}},
    )  # fmt: skip
    (table,) = zhang.tables(run)
    assert table.rows == (("two real patients",), ("singan",))
    assert [c.key for c in table.columns] == [("SIFID",), ("SSIM",)]
    cells = [shown(table.cell((row,), Column((column,))), "decimal")
             for row in ("singan", "two real patients") for column in ("SIFID", "SSIM")]  # fmt: skip
    assert cells == ["1.160", "0.230 [0.200, 0.260]", "2.500", "0.100"]
    assert "SIFID with the features of x" in table.caption


def test_runs_without_sources_have_a_reason():
    """No row has such a metric."""
    assert zhang.tables(run_with(plain={"measures": {}})) == [
        LeftOut("single_image", "no row has a metric of samples and their source images")
    ]
