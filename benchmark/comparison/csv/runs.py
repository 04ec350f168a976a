"""Values of runs from a plain CSV, or from bundles: everything that can be said between runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.comparison.evidence import letters_of
from benchmark.errors import SubmissionError, unknown_name
from benchmark.statistics.between_runs import dunn, kruskal_wallis
from benchmark.statistics.friedman import friedman
from benchmark.statistics.variance import components
from benchmark.utils.csv_file import read_csv
from benchmark.utils.csv_table import SUBMITTED

MOST_ROWS = 100
DIRECTIONS = ("maximize", "minimize")
Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class RunTable:
    """One value per run.

    Attributes:
        row: (n,) str, what is compared, such as the generator.
        value: (n,) float.
        factors: (n,) str by factor, such as seed or classifier; together they name the block of a run.
    """

    row: np.ndarray
    value: np.ndarray
    factors: Mapping[str, np.ndarray]

    def by_row(self) -> dict[str, list[float]]:
        """The values of each row, rows in order of appearance."""
        return {name: self.value[self.row == name].tolist() for name in dict.fromkeys(self.row)}


def read_runs(path: Path) -> RunTable:
    """Read ``row,value`` and any further columns, each a factor such as ``seed`` or ``classifier``.

    Raises:
        SubmissionError: see ``csv_file.read_csv``; a value that is no finite number, an empty factor, the
            same run of a row twice, or more than 100 rows.
    """
    table = read_csv(path, ("row", "value"), None, SUBMITTED)
    names = [n for n in table.names if n not in ("row", "value")]
    factors = {name: table.filled(name) for name in names}
    if names:
        table.unique("row", *names)
    found = RunTable(table.filled("row"), table.numbers("value"), factors)
    rows = len(set(found.row))
    if rows > MOST_ROWS:
        raise SubmissionError(f"{path}: row", f"has {rows} rows, at most {MOST_ROWS} are compared")
    return found


def compare_runs(
    table: RunTable, *, alpha: float = 0.05, correction: str = "holm", direction: str = "maximize"
) -> Record:
    """Tests between the rows of a table of runs, as JSON values.

    Args:
        table: of ``read_runs``.
        alpha: of all tests.
        correction: of Dunn's test, see ``adjust``.
        direction: ``maximize`` where a higher value is better, else ``minimize``.
    Returns:
        ``settings``; ``rows[row]`` with ``mean``, ``sd``, ``runs`` and ``letters`` (rows that share one are
        not told apart by Dunn's test; None without a test), best mean first; ``kruskal_wallis``; ``dunn``;
        ``friedman`` over the blocks, where all rows were run in the same ones; ``variance``.
    Raises:
        UnknownNameError: an unknown direction.
        MetricError: an unknown correction.
    """
    if direction not in DIRECTIONS:
        raise unknown_name("direction", direction, list(DIRECTIONS), "--direction")
    values = table.by_row()
    sign = 1 if direction == "maximize" else -1
    merit = {name: sign * float(np.mean(own)) for name, own in values.items()}
    overall = kruskal_wallis(values)
    pairs = dunn(values, correction) if overall["p"] is not None else []
    shared = letters_of(merit, pairs, alpha) if pairs else {}
    best_first = sorted(merit, key=lambda name: (-merit[name], name))
    return {
        "schema": 1,
        "settings": {"alpha": alpha, "correction": correction, "direction": direction},
        "rows": [{"row": n, **_describe(values[n]), "letters": shared.get(n)} for n in best_first],
        "kruskal_wallis": overall,
        "dunn": pairs,
        "friedman": blocked(table, alpha, direction),
        "variance": components(list(table.value), {"row": list(table.row), **_lists(table.factors)}),
    }


def _lists(factors: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
    return {name: list(levels) for name, levels in factors.items()}


def _describe(values: Sequence[float]) -> Record:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": sd, "runs": len(values)}


def blocked(table: RunTable, alpha: float, direction: str) -> Record:
    """Friedman's and Nemenyi's tests over the blocks, or why there are none.

    A block is a combination of all factors; every row must have been run in every one.
    """
    if not table.factors:
        return {"p": None, "reason": "no column names the blocks, such as the seed"}
    keys = list(zip(*table.factors.values(), strict=True))
    own = {n: {keys[i]: table.value[i] for i in np.flatnonzero(table.row == n)} for n in table.by_row()}
    blocks = sorted(set(keys))
    for name, found in own.items():
        missing = [b for b in blocks if b not in found]
        if missing:
            where = ", ".join(f"{f} {v}" for f, v in zip(table.factors, missing[0], strict=True))
            return {"p": None, "reason": f"'{name}' was not run in every block: {where} is missing"}
    in_order = {name: [float(found[b]) for b in blocks] for name, found in own.items()}
    return friedman(in_order, alpha, higher_is_better=direction == "maximize")


def runs_of_rows(values: Mapping[str, Sequence[float]], factors: Mapping[str, Sequence[str]]) -> RunTable:
    """A table from the values of each row in the same runs, whose factors are given once."""
    count = len(values)
    return RunTable(
        np.repeat(np.array(list(values), dtype=object), [len(v) for v in values.values()]),
        np.concatenate([np.asarray(v, dtype=float) for v in values.values()]),
        {name: np.tile(np.array(levels, dtype=object), count) for name, levels in factors.items()},
    )
