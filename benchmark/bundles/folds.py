"""Join the results of the folds into those of the whole cross-validation."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from benchmark.stages.data import DataResult
from benchmark.stages.measure import CopyShare, Memorization, Nearness
from benchmark.stages.records import ClassValue, FilterRate, Measure, SplitSummary, mean_matrix
from benchmark.utils.hashing import sha256_of


def joined_filter(folds: Sequence[dict[str, FilterRate]]) -> dict[str, FilterRate] | None:
    """Return the rates of the quality filter by class, summed over the folds."""
    if not folds:
        return None
    rates: dict[str, FilterRate] = {}
    for name in dict.fromkeys(name for fold in folds for name in fold):
        own = [fold[name] for fold in folds if name in fold]
        rates[name] = FilterRate(**{k: sum(getattr(r, k) for r in own) for k in FilterRate.model_fields})
    return rates


def joined_data(folds: Sequence[DataResult]) -> DataResult:
    """Return what the data hold over all folds; a test split that differs by fold is joined."""
    first = folds[0]
    if len(folds) == 1:
        return first
    splits = dict(first.splits)
    for name in (n for n in splits if n.startswith("test")):
        each = [f.splits[name] for f in folds]
        if len({e.hash for e in each}) > 1:
            splits[name] = SplitSummary(
                images=sum(e.images for e in each),
                patients=sum(e.patients for e in each),
                counts={c: sum(e.counts[c] for e in each) for c in each[0].counts},
                hash=sha256_of([e.hash for e in each]),
            )
    note = f"Sizes of train, val and reserve are those of the first of {len(folds)} folds."
    return DataResult(
        classes=first.classes,
        splits=splits,
        notes=[*dict.fromkeys(n for f in folds for n in f.notes), note],
        proof={f"fold {k}": f.proof for k, f in enumerate(folds)},
    )


def joined_measures(folds: Sequence[dict[str, Measure]]) -> dict[str, Measure]:
    """Return the mean of every measure and floor over the folds; ``n`` is that of the smallest fold."""
    if len(folds) <= 1:
        return folds[0] if folds else {}
    return {
        name: mean.model_copy(update={"folds": len(folds)}) for name, mean in mean_measures(folds).items()
    }


def mean_measures(parts: Sequence[dict[str, Measure]]) -> dict[str, Measure]:
    """Return the mean of every measure and floor over folds or fits, if all of them have it."""
    means = {}
    for name, first in parts[0].items():
        if not all(name in part for part in parts):
            continue
        each = [part[name] for part in parts]
        by_class = [m.per_class for m in each if m.per_class is not None]
        means[name] = first.model_copy(
            update={
                "value": sum(m.value for m in each) / len(each),
                "floor": sum(m.floor for m in each) / len(each),
                "n": min(m.n for m in each),
                "per_class": _mean_per_class(by_class) if by_class else None,
                "matrix": mean_matrix([m.matrix for m in each]),
                "floor_matrix": mean_matrix([m.floor_matrix for m in each]),
            }
        )
    return means


def _mean_per_class(folds: Sequence[dict[str, ClassValue]]) -> dict[str, ClassValue]:
    """Return value and floor of every class, the mean over the folds or fits that have it.

    So are the bounds of an interval, which is then no narrower than that of the mean.
    """
    means = {}
    for name in dict.fromkeys(name for fold in folds for name in fold):
        own = [fold[name] for fold in folds if name in fold]
        means[name] = ClassValue(
            value=sum(v.value for v in own) / len(own),
            floor=sum(v.floor for v in own) / len(own),
            interval=_mean_interval([v.interval for v in own]),
            floor_interval=_mean_interval([v.floor_interval for v in own]),
        )
    return means


def _mean_interval(intervals: Sequence[tuple[float, float] | None]) -> tuple[float, float] | None:
    known = [interval for interval in intervals if interval is not None]
    if len(known) < len(intervals):
        return None
    low, high = (sum(bounds) / len(known) for bounds in zip(*known, strict=True))
    return low, high


def joined_gate(folds: Sequence[Memorization]) -> Memorization | None:
    """Return the memorization gate over the images of all folds: counts add up, as for one larger set."""
    if len(folds) <= 1:
        return folds[0] if folds else None
    from benchmark.images.copies.rates import clopper_pearson
    from benchmark.metrics.memorization.gate import blindness

    n = sum(f.n for f in folds)
    hits = sum(round(f.rate * f.n) for f in folds)
    interval = clopper_pearson(hits, n)
    names = ("expected", "threshold", "tolerance")
    means = {name: float(sum(getattr(f, name) * f.n for f in folds) / n) for name in names}
    recall = {kind: float(np.mean([f.recall[kind] for f in folds])) for kind in folds[0].recall}
    return folds[0].model_copy(
        update={
            **means,
            "n": n,
            "rate": hits / n,
            "interval": interval,
            "nearness": (near := _joined_nearness(folds)),
            "gated": interval[0] > means["tolerance"] or (near is not None and near.excess),
            "recall": recall,
            "planted_recall": float(np.mean(list(recall.values()))),
            **blindness(recall, means["tolerance"]),
            "copies": {name: _joined_share([f.copies[name] for f in folds]) for name in folds[0].copies},
            "folds": len(folds),
        }
    )


def _joined_nearness(folds: Sequence[Memorization]) -> Nearness | None:
    """Return the share over the images of all folds. Folds share patients, so their errors do not cancel."""
    from benchmark.images.copies import rates

    known = [f.nearness for f in folds if f.nearness is not None]
    if not known:
        return None
    n = sum(near.n for near in known)
    share, error = (sum(getattr(near, k) * near.n for near in known) / n for k in ("share", "error"))
    return Nearness(**asdict(rates.Nearness.of(share, error, n)))


def _joined_share(folds: Sequence[CopyShare]) -> CopyShare:
    """Return the share over the images of all folds."""
    from benchmark.images.copies.rates import CopyRate

    n = sum(f.n for f in folds)
    expected = sum(f.expected * f.n for f in folds) / n
    return CopyShare(**asdict(CopyRate.of(sum(round(f.rate * f.n) for f in folds), n, expected)))
