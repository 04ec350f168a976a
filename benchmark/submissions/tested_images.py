"""Compare the images of a table of predictions with the images that they must be of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmark.bundles.tables import FIT, KNOWN_TEXTS, with_fit

if TYPE_CHECKING:
    import pandas as pd

IMAGE = ["split", "fold", "image_id"]
RUN = ["bracket", "classifier", "seed"]


def image_faults(
    table: pd.DataFrame, expected: pd.DataFrame, run: list[str], file: str
) -> Iterator[tuple[str, str]]:
    """Yield field and problem of the first missing and added image, and of each column's first wrong value.

    Args:
        table: predictions.
        expected: one record per split, fold and image; every further column must agree.
        run: columns that identify a run.
        file: name of the table's file.
    """
    table, run = with_fit(table), [FIT, *run]
    counts = table.groupby(IMAGE).size()
    complete = counts[counts == table.groupby(run).ngroups].index
    missing = expected[~expected.set_index(IMAGE).index.isin(complete)]
    if len(missing):
        yield f"{file}: image_id", f"lacks a prediction of '{_first(missing)}'"
    both = table.merge(expected, on=IMAGE, how="left", suffixes=("", "_expected"), indicator="origin")
    added = both[both["origin"] == "left_only"]
    if len(added):
        yield f"{file}: image_id", f"'{_first(added)}' is not a test image"
        return
    for name in (c for c in expected.columns if c not in IMAGE):
        if name in table.columns:
            other = f"{name}_expected"
            wrong = both[_comparable(both[name], name) != _comparable(both[other], name)]
            if len(wrong):
                values = f"is {wrong.iloc[0][name]}, expected {wrong.iloc[0][other]}"
                yield f"{file}: {name}", f"of '{_first(wrong)}' {values}"
        elif expected[name].notna().any():
            yield f"{file}: {name}", "is missing, the images have it"


def _first(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    return f"{first['split']}, fold {first['fold']}, {first['image_id']}"


def _comparable(values: pd.Series, name: str) -> pd.Series:
    """Replace unknown values by one that equals itself; an empty text is unknown."""
    if name in KNOWN_TEXTS:
        return values.fillna("").astype(str)
    return values.astype(float).fillna(-1) if name == "age" else values
