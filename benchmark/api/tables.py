"""The results of a run as data frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmark.bundles.io import Bundle
from benchmark.comparison.records import Comparison

if TYPE_CHECKING:
    import pandas as pd

INTERVAL = ("low", "high")
KEYS = ["model", "image_id", "patient_id", "label", "run"]


def leaderboard(bundles: Sequence[Bundle], comparison: Comparison) -> pd.DataFrame:
    """Return a record per row: ranked rows first, then the others by the primary metric."""
    import pandas as pd

    frame = pd.DataFrame([_row(bundle, comparison) for bundle in bundles]).set_index("row")
    metric = comparison.settings.primary_metric.name
    return frame.sort_values(["rank", metric], ascending=[True, False], na_position="last", kind="stable")


def _row(bundle: Bundle, comparison: Comparison) -> dict[str, Any]:
    manifest, metric = bundle.manifest, comparison.settings.primary_metric.name
    name = manifest.row.name
    ranked, figures = comparison.ranking.rows.get(name), comparison.primary.get(name)
    record: dict[str, Any] = {"row": name, "title": manifest.row.title, "role": manifest.row.role}
    record["rank"] = None if ranked is None else ranked.rank
    if figures is not None:
        record |= _with_interval(metric, figures.metrics[metric])
        for baseline, differences in figures.versus.items():
            gain = differences[metric]
            record |= _with_interval(f"gain_over_{baseline}", gain)
            record[f"gain_over_{baseline}_p_adjusted"] = gain.p_adjusted
    record |= {measure: each.value for measure, each in manifest.measures.items()}
    gate = manifest.memorization
    record |= {"copies": None if gate is None else gate.rate, "gated": gate is not None and gate.gated}
    seconds = [manifest.costs.fit_seconds, manifest.costs.sample_seconds, manifest.costs.classify_seconds]
    record |= {"seconds": sum(s or 0 for s in seconds), "peak_memory_mb": manifest.costs.peak_memory_mb}
    return record | {"error": manifest.error}


def _with_interval(name: str, value: Any) -> dict[str, Any]:
    return {name: value.estimate, **{f"{name}_{end}": getattr(value, end) for end in INTERVAL}}


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
