"""Compare models or runs of any origin from a data frame."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.comparison.csv import predictions, runs
from benchmark.comparison.csv.predictions_table import KEYS, SCORE, read_predictions
from benchmark.errors import BenchmarkError, SubmissionError

if TYPE_CHECKING:
    import pandas as pd

NAME = "df"  # of the data frame in errors


def compare(df: pd.DataFrame, **settings: Any) -> pd.DataFrame:
    """Compare models by their predictions, or rows by the values of their runs, as ``stats`` does.

    Args:
        df: predictions (``image_id``, ``patient_id``, ``label``, and scores in wide or long form; see
            docs/comparing.md), such as ``Run.predictions()``; or runs (``row``, ``value`` and factors).
        settings: of predictions: ``metric``, ``baseline``, ``margin``, ``alpha``, ``correction``,
            ``positive``; of runs: ``alpha``, ``correction``, ``direction``.
    Returns:
        A record per model, with its difference to the baseline, or per row; ``attrs["record"]`` has every
        test as JSON values.
    Raises:
        BenchmarkError: a table of another form; names the column.
    """
    with tempfile.TemporaryDirectory(prefix="synththorax-compare-") as scratch:
        path = Path(scratch) / "table.csv"
        try:
            if {"row", "value"} <= {*df.columns}:
                df.to_csv(path, index=False)
                return _runs(path, settings)
            if "image_id" in df:
                _long_form(df).to_csv(path, index=False)
                return _predictions(path, settings)
        except BenchmarkError as error:
            where = error.where.replace(str(path), NAME)
            raise SubmissionError(where, error.problem.replace(str(path), NAME), error.remedy) from None
    problem = "is neither a table of predictions (image_id, ...) nor of runs (row, value, ...)"
    raise SubmissionError(NAME, problem, "docs/comparing.md shows the columns.")


def _long_form(df: pd.DataFrame) -> pd.DataFrame:
    """Return a table in the long form without the columns that no comparison reads."""
    if "model" not in df:
        return df
    return df[[name for name in df if name in (*KEYS, "model", "run") or str(name).startswith(SCORE)]]


def _runs(path: Path, settings: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    record = runs.compare_runs(runs.read_runs(path), **settings)
    frame = pd.DataFrame(record["rows"]).set_index("row")
    frame.attrs["record"] = record
    return frame


def _predictions(path: Path, settings: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    positive = settings.pop("positive", None)
    table = read_predictions(path, positive, order_only=settings.get("metric") == "auroc")
    record = predictions.compare_predictions(table, predictions.Settings(**settings))
    metric, records = record["settings"]["metric"], {}
    for model, own in record["models"].items():
        records[model] = {metric: own["estimate"], f"{metric}_low": own["low"], f"{metric}_high": own["high"]}
        if versus := record["versus"].get(model):
            difference = versus["difference"]
            records[model] |= {
                "difference": difference["estimate"],
                "difference_low": difference["low"],
                "difference_high": difference["high"],
                "p": difference["p"],
                "p_adjusted": difference["p_adjusted"],
            }
    frame = pd.DataFrame.from_dict(records, orient="index").rename_axis("model")
    frame.attrs["record"] = record
    return frame
