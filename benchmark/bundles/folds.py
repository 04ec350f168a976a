"""What the stages said of each fold, put together for the whole cross-validation."""

from __future__ import annotations

from typing import Any

from benchmark.utils.hashing import sha256_of


def joined_filter(folds: list[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]] | None:
    """What the quality filter drew, found plausible, wanted and kept, by class, summed over the folds."""
    if not folds:
        return None
    names = dict.fromkeys(name for fold in folds for name in fold)
    keys = ("drawn", "accepted", "requested", "retained")
    return {name: {k: sum(fold[name][k] for fold in folds if name in fold) for k in keys} for name in names}


def joined_data(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """What is said of the data, over all folds: a test split that differs by fold is their union."""
    first = folds[0]
    if len(folds) == 1:
        return first
    splits = dict(first["splits"])
    for name in (n for n in splits if n.startswith("test")):
        each = [f["splits"][name] for f in folds]
        if len({e["hash"] for e in each}) > 1:
            splits[name] = {
                "images": sum(e["images"] for e in each),
                "patients": sum(e["patients"] for e in each),
                "counts": {c: sum(e["counts"][c] for e in each) for c in each[0]["counts"]},
                "hash": sha256_of([e["hash"] for e in each]),
            }
    note = f"Sizes of train, val and reserve are those of the first of {len(folds)} folds."
    notes = list(dict.fromkeys(n for f in folds for n in f["notes"]))
    return {
        "classes": first["classes"],
        "splits": splits,
        "notes": [*notes, note],
        "proof": {f"fold {k}": f["proof"] for k, f in enumerate(folds)},
    }


def joined_measures(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Every measure's mean over the folds, value and floor; ``n`` is that of the smallest fold."""
    if len(folds) <= 1:
        return folds[0] if folds else {}
    joined = {}
    for name, first in folds[0].items():
        each = [f[name] for f in folds]
        means = {k: sum(e[k] for e in each) / len(each) for k in ("value", "floor") if first[k] is not None}
        joined[name] = {**first, **means, "n": min(e["n"] for e in each), "folds": len(each)}
        if "per_class" in first:
            joined[name]["per_class"] = _mean_per_class([e["per_class"] for e in each])
    return joined


def _mean_per_class(folds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Value and floor of every class, the mean over the folds that have it."""
    means = {}
    for name in dict.fromkeys(name for fold in folds for name in fold):
        own = [fold[name] for fold in folds if name in fold]
        means[name] = {k: sum(f[k] for f in own) / len(own) for k in ("value", "floor")}
    return means


def joined_gate(folds: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The memorization gate over the images of all folds; the counts add up, the interval is of their sum."""
    if len(folds) <= 1:
        return folds[0] if folds else None
    from benchmark.metrics.memorization import clopper_pearson

    n = sum(f["n"] for f in folds)
    hits = sum(round(f["rate"] * f["n"]) for f in folds)

    def mean(name: str) -> float:
        return float(sum(f[name] * f["n"] for f in folds) / n)

    interval, tolerance = clopper_pearson(hits, n), mean("tolerance")
    return {
        **folds[0],
        **{name: mean(name) for name in ("expected", "threshold", "planted_recall")},
        "n": n,
        "rate": hits / n,
        "interval": list(interval),
        "tolerance": tolerance,
        "gated": interval[0] > tolerance,
        "blind": any(f["blind"] for f in folds),
        "folds": len(folds),
    }
