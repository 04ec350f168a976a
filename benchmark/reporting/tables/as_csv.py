"""A table as tidy CSV: one line per cell, every number."""

import csv
import io

from benchmark.reporting.tables.record import Key, Table, shown

FIGURES = ("value", "std", "low", "high", "n", "p_adjusted")
DIGITS = 8  # significant
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # starts of text that a spreadsheet runs


def text(table: Table) -> str:
    """Return the file; its first columns are the levels of the keys of row and column."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heads = [_name(h, f"row_{i}") for i, h in enumerate(table.row_heads)]
    heads += [_name(h, "figure" if len(table.column_heads) == 1 else f"column_{i}")
              for i, h in enumerate(table.column_heads)]  # fmt: skip
    writer.writerow([*heads, *FIGURES, "significant", "shown"])
    for row in table.rows:
        for column in table.columns:
            cell = table.cell(row, column)
            if cell.value is None and not cell.text:
                continue
            figures = [_number(getattr(cell, name)) for name in FIGURES]
            writer.writerow(
                [*_keys(row), *_keys(column.key), *figures, int(cell.bold), shown(cell, column.form)]
            )
    return out.getvalue()


def _name(head: str, other: str) -> str:
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


def _number(value: float | int | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.{DIGITS}g}"
