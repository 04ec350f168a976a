"""Tests between rows on values of runs, from a plain CSV file or from bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.comparison.significance_tests import letters_of
from benchmark.errors import SubmissionError, unknown_name
from benchmark.statistics.between_runs import dunn, kruskal_wallis
from benchmark.statistics.friedman import friedman
from benchmark.statistics.variance import components
from benchmark.utils.csv_file import read_csv
from benchmark.utils.csv_table import SUBMITTED

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 100
DIRECTIONS = ("maximize", "minimize")
COLUMNS = ("row", "value")  # of a table of runs; every other column is a factor
Record = dict[str, Any]


def read_runs(path: Path) -> pd.DataFrame:
    """Read a table of runs: ``row``, ``value`` and any further columns, each a factor such as ``seed``.

    Returns:
        One record per run: ``row`` str, ``value`` float, and the factors as str, which together name the
        block of the run.
    Raises:
        SubmissionError: see ``csv_file.read_csv``; a value that is not a finite number, an empty factor, a
            duplicate run of a row, or more than 100 rows.
    """
    table = read_csv(path, COLUMNS, None, SUBMITTED)
    factors = [n for n in table.names if n not in COLUMNS]
    levels = {name: table.filled(name) for name in factors}
    if factors:
        table.unique("row", *factors)
    runs = _frame({"row": table.filled("row"), "value": table.numbers("value"), **levels})
    count = runs["row"].nunique()
    if count > MOST_ROWS:
        raise SubmissionError(f"{path}: row", f"has {count} rows, at most {MOST_ROWS} are allowed")
    return runs


def runs_of_rows(values: Mapping[str, Sequence[float]], factors: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Table of runs from the values of each row in the same runs, whose factors are given once."""
    runs = [(row, *run) for row, own in values.items() for run in zip(own, *factors.values(), strict=True)]
    return _frame(dict(zip((*COLUMNS, *factors), zip(*runs, strict=True), strict=True)))


def _frame(columns: Mapping[str, Sequence[Any] | np.ndarray]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns)


def values_by_row(runs: pd.DataFrame) -> dict[str, list[float]]:
    """Values of each row, rows in order of appearance."""
    return {str(row): own.tolist() for row, own in runs.groupby("row", sort=False)["value"]}


def compare_runs(
    runs: pd.DataFrame, *, alpha: float = 0.05, correction: str = "holm", direction: str = "maximize"
) -> Record:
    """Test the differences between the rows of a table of runs.

    Args:
        runs: of ``read_runs``.
        alpha: of all tests.
        correction: of Dunn's test, see ``adjust``.
        direction: ``maximize`` if a higher value is better, else ``minimize``.
    Returns:
        JSON values: ``settings``; ``rows``, best mean first, each with ``mean``, ``sd``, ``runs`` and
        ``letters`` (rows that share one do not differ by Dunn's test; None without a test);
        ``kruskal_wallis``; ``dunn``; ``friedman`` over the blocks, if all rows were run in the same ones;
        ``variance``.
    Raises:
        UnknownNameError: an unknown direction or correction.
    """
    if direction not in DIRECTIONS:
        raise unknown_name("direction", direction, list(DIRECTIONS), "--direction")
    values = values_by_row(runs)
    sign = 1 if direction == "maximize" else -1
    merit = {name: sign * float(np.mean(own)) for name, own in values.items()}
    overall = kruskal_wallis(values)
    pairs = dunn(values, correction) if overall["p"] is not None else []
    shared = letters_of(merit, pairs, alpha) if pairs else {}
    best_first = sorted(merit, key=lambda name: (-merit[name], name))
    factors = {str(name): runs[name].tolist() for name in runs if name != "value"}
    return {
        "schema": 1,
        "settings": {"alpha": alpha, "correction": correction, "direction": direction},
        "rows": [{"row": n, **_describe(values[n]), "letters": shared.get(n)} for n in best_first],
        "kruskal_wallis": overall,
        "dunn": pairs,
        "friedman": blocked(runs, alpha, direction),
        "variance": components(runs["value"].tolist(), factors),
    }


def _describe(values: Sequence[float]) -> Record:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": sd, "runs": len(values)}


def blocked(runs: pd.DataFrame, alpha: float, direction: str) -> Record:
    """Friedman's and Nemenyi's tests over the blocks, or the reason why there are none.

    A block is a combination of all factors. Every row needs a run in every block.
    """
    factors = [name for name in runs if name not in COLUMNS]
    if not factors:
        return {"p": None, "reason": "no column names the blocks, such as the seed"}
    grid = runs.pivot(index=factors, columns="row", values="value")
    for name in runs["row"].unique():
        missing = grid.index[grid[name].isna()]
        if len(missing):
            block = missing[0] if len(factors) > 1 else missing[:1]
            where = ", ".join(f"{factor} {level}" for factor, level in zip(factors, block, strict=True))
            return {"p": None, "reason": f"'{name}' was not run in every block: {where} is missing"}
    values = {str(name): grid[name].tolist() for name in runs["row"].unique()}
    return friedman(values, alpha, higher_is_better=direction == "maximize")
