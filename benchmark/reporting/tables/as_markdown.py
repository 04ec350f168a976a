"""A table as GitHub-flavored Markdown."""

from collections.abc import Sequence

from benchmark.reporting.formats import escape_markdown as md
from benchmark.reporting.tables.record import Cell, Column, Key, Table, shown


def text(table: Table) -> str:
    """Return a heading, the table, its caption and notes."""
    heads = [*table.row_heads, *(" · ".join(c.key) for c in table.columns)]
    rows = [
        [*map(md, first_of_group(table.rows, i)), *[_cell(table.cell(row, c), c) for c in table.columns]]
        for i, row in enumerate(table.rows)
    ]
    lines = [[md(h) for h in heads], ["---"] * len(table.row_heads) + ["---:"] * len(table.columns), *rows]
    parts = [
        f"## {md(table.title)}",
        "\n".join(f"| {' | '.join(cells)} |" for cells in lines),
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


def _cell(cell: Cell, column: Column) -> str:
    text = md(shown(cell, column.form))
    return f"**{text}**" if cell.bold else text
