"""A table as LaTeX, for the packages booktabs and, where it is wide, graphicx."""

from itertools import groupby

from benchmark.reporting.formats import DASH
from benchmark.reporting.tables.as_markdown import first_of_group
from benchmark.reporting.tables.record import Cell, Column, Table, shown

WIDE = 7  # columns, beyond which the table is scaled to the line
SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "−": "$-$", "±": r"$\pm$", "–": "--", "’": "'", "“": "``",
    "”": "''", "·": r"$\cdot$", "ε": r"$\varepsilon$",
}  # fmt: skip


def escape(text: str) -> str:
    """Escape text so that LaTeX prints it unchanged."""
    return "".join(SPECIAL.get(c, c) for c in " ".join(text.split()))


def text(table: Table) -> str:
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
        cells = [_cell(table.cell(row, c), c) for c in table.columns]
        line = " & ".join([*map(escape, keys), *cells]) + r" \\"
        lines.append("{}" + line if line.startswith("[") else line)  # else the line break takes it as its own
    return lines


def _cell(cell: Cell, column: Column) -> str:
    text = escape(shown(cell, column.form))
    if shown(cell, column.form) == DASH:
        return "--"
    return rf"\textbf{{{text}}}" if cell.bold else text
