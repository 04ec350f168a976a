"""The results of a run as data frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmark.bundles.io import Bundle
from benchmark.comparison.records import Comparison
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.summary import row_records

if TYPE_CHECKING:
    import pandas as pd

KEYS = ["model", "image_id", "patient_id", "label", "run"]


def leaderboard(board: Board) -> pd.DataFrame:
    """Return a record per row, in the order of the board: candidates by rank, then the references."""
    import pandas as pd

    return pd.DataFrame(list(row_records(board))).set_index("row")


def predictions(bundles: Sequence[Bundle], split: str, bracket: int | None) -> pd.DataFrame:
    """Return a record per image, training and row, in the long form that ``compare`` reads.

    Columns ``score_<class>``; ``label`` is the name of the class, and of multi-label images there is a
    column ``label_<class>`` for each.
    """
    import pandas as pd

    frames = [_predictions(b, split, bracket) for b in bundles if b.predictions is not None]
    frame = pd.concat(frames, ignore_index=True)
    first = [name for name in KEYS if name in frame]
    return frame[first + [name for name in frame if name not in first]]


def _predictions(bundle: Bundle, split: str, bracket: int | None) -> pd.DataFrame:
    manifest, frame = bundle.manifest, bundle.predictions
    assert frame is not None
    chosen = manifest.primary_bracket if bracket is None else bracket
    own = frame[(frame["split"] == split) & frame["bracket"].isin([0, chosen])]
    numbered = {
        f"{kind}_{k}": f"{kind}_{c}" for k, c in enumerate(manifest.classes) for kind in ("score", "label")
    }
    own = own.rename(columns=numbered).assign(model=manifest.row.name)
    if "label" in own:
        own["label"] = [manifest.classes[k] for k in own["label"]]
    parts = own[[name for name in ("seed", "fold", "fit") if name in own]].astype(str)
    own["run"] = own["classifier"].str.cat(parts, sep="/")
    return own


def metrics(bundles: Sequence[Bundle], comparison: Comparison) -> pd.DataFrame:
    """Return a record per metric: ``kind`` is classification, by split and bracket, or images."""
    import pandas as pd

    records: list[dict[str, Any]] = []
    for split, by_bracket in comparison.figures.items():
        for bracket, rows in by_bracket.items():
            for row, figures in rows.items():
                about = {"row": row, "kind": "classification", "split": split, "bracket": bracket}
                records += [
                    {**about, "metric": name, "value": m.estimate, "low": m.low, "high": m.high}
                    for name, m in figures.metrics.items()
                ]
    for bundle in bundles:
        manifest = bundle.manifest
        about = {"row": manifest.row.name, "kind": "images", "bracket": manifest.primary_bracket}
        records += [
            {**about, "metric": name, "value": m.value, "floor": m.floor, "direction": m.direction}
            for name, m in manifest.measures.items()
        ]
    return pd.DataFrame(records)
