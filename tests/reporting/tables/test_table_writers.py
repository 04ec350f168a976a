"""Tables as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io

import pytest

from benchmark.reporting.tables import writers
from benchmark.reporting.tables.record import Cell, Column, Table, shown

TABLE = Table(
    name="made",
    title="Made_up",
    caption="A & B, 100 %.",
    row_heads=("Added", "Row"),
    column_heads=("Finding", "Metric"),
    rows=(("none", "real_only"), ("+100", "a|b"), ("+100", "<i>c</i>")),
    columns=(
        Column(("X", "F1"), "decimal"), Column(("X", "Change"), "points"), Column(("Y", "F1"), "decimal"),
    ),
    cells={
        (("none", "real_only"), ("X", "F1")): Cell(0.5, std=0.0125, low=0.4, high=0.6, n=3),
        (("+100", "a|b"), ("X", "F1")): Cell(0.75, low=0.7, high=0.8, p_adjusted=0.01, bold=True),
        (("+100", "a|b"), ("X", "Change")): Cell(-0.0123456789),
        (("+100", "<i>c</i>"), ("Y", "F1")): Cell(text="too few"),
    },
    notes=("A note_.",),
)  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "form", "text"),
    [
        (Cell(0.67321, std=0.0118), "percent", "67.32 ± 1.18"),
        (Cell(0.67321, low=0.6, high=0.7), "percent", "67.32 [60.00, 70.00]"),
        (Cell(0.67321, std=0.0118, low=0.6, high=0.7), "decimal", "0.673 ± 0.012"),
        (Cell(0.0052), "points", "+0.52"),
        (Cell(-0.0052, low=-0.01, high=0.0), "points", "−0.52 [−1.00, 0.00]"),
        (Cell(-0.00001), "decimal", "0.000"),
        (Cell(1234.5), "number", "1234"),
        (Cell(), "percent", "–"),
        (Cell(text=""), "percent", ""),
    ],
)
def test_cells_are_shown_as_papers_show_them(cell, form, text):
    """A cell shows mean ± std, else the interval, else the figure; negative numbers have a minus sign."""
    assert shown(cell, form) == text


def test_csv_is_tidy_and_has_every_number():
    """There is one line per existing cell, with a column per level."""
    lines = list(csv.DictReader(io.StringIO(writers.tidy_csv(TABLE))))
    assert [(li["added"], li["row"], li["finding"], li["metric"]) for li in lines] == [
        ("none", "real_only", "X", "F1"), ("+100", "a|b", "X", "F1"), ("+100", "a|b", "X", "Change"),
        ("+100", "<i>c</i>", "Y", "F1"),
    ]  # fmt: skip
    assert {k: lines[0][k] for k in writers.FIGURES} == {
        "value": "0.5", "std": "0.0125", "low": "0.4", "high": "0.6", "n": "3", "p_adjusted": "",
    }  # fmt: skip
    assert lines[1]["significant"] == "1"
    assert lines[2]["value"] == "-0.012345679"
    assert (lines[3]["value"], lines[3]["shown"]) == ("", "too few")


def test_csv_starts_no_formula():
    """A name that a spreadsheet would evaluate is marked as text; a bracket is a number."""
    rows = (("+100",), ("=1+1",), ("@x",), ("-cmd",))
    cells = {(r, ("v",)): Cell(1.0) for r in rows}
    table = Table("t", "t", "c", ("Row",), ("",), (Column(("v",)),), cells)
    assert [line.split(",")[0] for line in writers.tidy_csv(table).splitlines()[1:]] == [
        "+100",
        "'=1+1",
        "'@x",
        "'-cmd",
    ]


def test_markdown_of_a_table_by_hand():
    """A level equal to the one above is left empty; markup is escaped."""
    assert writers.markdown(TABLE).splitlines() == [
        "## Made\\_up",
        "",
        "| Added | Row | X · F1 | X · Change | Y · F1 |",
        "| --- | --- | ---: | ---: | ---: |",
        "| none | real\\_only | 0.500 ± 0.013 | – | – |",
        "| +100 | a\\|b | **0.750 \\[0.700, 0.800\\]** | −1.23 | – |",
        "|  | &lt;i&gt;c&lt;/i&gt; | – | – | too few |",
        "",
        "A & B, 100 %.".replace("&", "&amp;"),
        "",
        "A note\\_.",
    ]


def test_latex_of_a_table_by_hand():
    """Head levels span their columns, groups have a gap, and special characters are escaped."""
    assert writers.latex(TABLE).splitlines() == [
        "% needs \\usepackage{booktabs} and \\usepackage{graphicx}",
        "\\begin{table}",
        "\\centering",
        "\\caption{A \\& B, 100 \\%. A note\\_.}",
        "\\label{tab:made}",
        "\\begin{tabular}{llrrr}",
        "\\toprule",
        " &  & \\multicolumn{2}{c}{X} & \\multicolumn{1}{c}{Y} \\\\",
        "\\cmidrule(lr){3-4}\\cmidrule(lr){5-5}",
        "Added & Row & F1 & Change & F1 \\\\",
        "\\midrule",
        "none & real\\_only & 0.500 $\\pm$ 0.013 & -- & -- \\\\",
        "\\addlinespace",
        "+100 & a\\textbar{}b & \\textbf{0.750 [0.700, 0.800]} & $-$1.23 & -- \\\\",
        " & \\textless{}i\\textgreater{}c\\textless{}/i\\textgreater{} & -- & -- & too few \\\\",
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]


def test_latex_escapes_commands():
    """Backslash, braces, comment signs and mathematics are escaped."""
    assert writers.escape("\\input{x} % $y_1^2$ #~") == (
        "\\textbackslash{}input\\{x\\} \\% \\$y\\_1\\textasciicircum{}2\\$ \\#\\textasciitilde{}"
    )


def test_wide_latex_tables_are_scaled_to_the_line():
    """Tables of more than seven columns are scaled to the line width."""
    columns = tuple(Column((f"c{i}",)) for i in range(8))
    text = writers.latex(Table("t", "t", "c", ("Row",), ("",), columns, {}, (("r",),)))
    assert "\\resizebox{\\linewidth}{!}{%\n\\begin{tabular}{lrrrrrrrr}" in text
    assert "\\end{tabular}\n}\n" in text
