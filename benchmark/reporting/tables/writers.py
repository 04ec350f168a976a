"""Writers of a table: GitHub-flavored Markdown, LaTeX (booktabs, graphicx), and tidy CSV."""

import csv
import io
from collections.abc import Sequence
from itertools import groupby

from benchmark.reporting.formats import DASH
from benchmark.reporting.formats import escape_markdown as md
from benchmark.reporting.tables.record import Cell, Column, Key, Table, shown

FIGURES = ("value", "std", "low", "high", "n", "p_adjusted")
DIGITS = 8  # significant
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # starts of text that a spreadsheet runs
WIDE = 7  # columns, beyond which the table is scaled to the line
SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "−": "$-$", "±": r"$\pm$", "–": "--", "’": "'", "“": "``",
    "”": "''", "·": r"$\cdot$", "ε": r"$\varepsilon$",
}  # fmt: skip


def markdown(table: Table) -> str:
    """Return a heading, the table, its caption and notes."""
    heads = [*table.row_heads, *(" · ".join(c.key) for c in table.columns)]
    rows: list[list[str]] = []
    for i, row in enumerate(table.rows):
        cells = [(md(shown(table.cell(row, c), c.form)), table.cell(row, c).bold) for c in table.columns]
        texts = [f"**{text}**" if bold else text for text, bold in cells]
        rows.append([*map(md, first_of_group(table.rows, i)), *texts])
    lines = [[md(h) for h in heads], ["---"] * len(table.row_heads) + ["---:"] * len(table.columns), *rows]
    parts = [
        f"## {md(table.title)}",
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        md(table.caption),
        *[md(note) for note in table.notes],
    ]
    return "\n\n".join(parts) + "\n"


def first_of_group(rows: Sequence[Key], i: int) -> Key:
    """Return the key of a row, with empty levels where the row above has the same."""
    row, above = rows[i], rows[i - 1] if i else None
    same = 0
    while above and same < len(row) - 1 and row[same] == above[same]:
        same += 1
    return ("",) * same + row[same:]


def escape(text: str) -> str:
    """Escape text so that LaTeX prints it unchanged."""
    return "".join(SPECIAL.get(c, c) for c in " ".join(text.split()))


def latex(table: Table) -> str:
    """Return a ``table`` environment."""
    levels, figures = len(table.row_heads), len(table.columns)
    body = [
        r"\begin{tabular}{" + "l" * levels + "r" * figures + "}",
        r"\toprule",
        *_head(table),
        r"\midrule",
        *_rows(table),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if levels + figures > WIDE:
        body = [r"\resizebox{\linewidth}{!}{%", *body, "}"]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs} and \\usepackage{graphicx}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{' '.join(map(escape, (table.caption, *table.notes)))}}}",
            rf"\label{{tab:{table.name}}}",
            *body,
            r"\end{table}",
            "",
        ]
    )


def _head(table: Table) -> list[str]:
    """Return a line per level of the columns' keys; equal neighbors of an upper level share a head."""
    levels, lines = len(table.row_heads), []
    depth = len(table.columns[0].key)
    for level in range(depth - 1):
        cells, rules, at = [""] * levels, [], levels + 1
        for name, same in groupby(c.key[: level + 1] for c in table.columns):
            n = len(list(same))
            cells.append(rf"\multicolumn{{{n}}}{{c}}{{{escape(name[-1])}}}")
            rules.append(rf"\cmidrule(lr){{{at}-{at + n - 1}}}")
            at += n
        lines += [" & ".join(cells) + r" \\", "".join(rules)]
    heads = [*table.row_heads, *(c.key[-1] for c in table.columns)]
    return [*lines, " & ".join(map(escape, heads)) + r" \\"]


def _rows(table: Table) -> list[str]:
    lines = []
    for i, row in enumerate(table.rows):
        keys = first_of_group(table.rows, i)
        if i and len(row) > 1 and keys[0]:
            lines.append(r"\addlinespace")
        cells = [_latex_cell(table.cell(row, c), c) for c in table.columns]
        line = " & ".join([*map(escape, keys), *cells]) + r" \\"
        lines.append("{}" + line if line.startswith("[") else line)  # else the line break takes it as its own
    return lines


def _latex_cell(cell: Cell, column: Column) -> str:
    text = escape(shown(cell, column.form))
    if shown(cell, column.form) == DASH:
        return "--"
    return rf"\textbf{{{text}}}" if cell.bold else text


def tidy_csv(table: Table) -> str:
    """Return the file; its first columns are the levels of the keys of row and column."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heads = [_column_name(h, f"row_{i}") for i, h in enumerate(table.row_heads)]
    heads += [_column_name(h, "figure" if len(table.column_heads) == 1 else f"column_{i}")
              for i, h in enumerate(table.column_heads)]  # fmt: skip
    writer.writerow([*heads, *FIGURES, "significant", "shown"])
    for row in table.rows:
        for column in table.columns:
            cell = table.cell(row, column)
            if cell.value is None and not cell.text:
                continue
            figures = [_digits(getattr(cell, name)) for name in FIGURES]
            writer.writerow(
                [*_keys(row), *_keys(column.key), *figures, int(cell.bold), shown(cell, column.form)]
            )
    return out.getvalue()


def _column_name(head: str, other: str) -> str:
    return head.lower().replace(" ", "_") or other


def _keys(key: Key) -> list[str]:
    """Return keys as text: an apostrophe precedes what a spreadsheet takes for a formula, but not +250."""
    return [k if not k.startswith(FORMULA) or _is_number(k) else f"'{k}" for k in key]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _digits(value: float | int | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.{DIGITS}g}"
