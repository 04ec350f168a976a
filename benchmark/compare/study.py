"""The whole comparison of a leaderboard, as one JSON record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.compare import intervals, tests
from benchmark.compare.controls import COPIES, behaved
from benchmark.compare.ranks import ranks
from benchmark.compare.rows import Row, SplitImages, Study, align
from benchmark.compare.scores import macro_auroc, per_class, predicted

if TYPE_CHECKING:
    import pandas as pd

BASELINES = ("real_only", COPIES)
FEW_PATIENTS = 10


def compare(bundles: Iterable[tuple[Mapping[str, Any], pd.DataFrame | None]]) -> dict[str, Any]:
    """Compare the rows of one leaderboard.

    Args:
        bundles: for each row, the content of ``bundle.json`` and the predictions, None for a failed row.
    Returns:
        JSON values; docs/statistics.md says what each means:
        ``settings``; ``splits``; ``figures[split][bracket][row]`` with ``own_bracket``, ``balanced_accuracy``
        and ``accuracy`` (intervals and run values), ``auroc``, ``per_class``, ``versus[baseline][metric]``
        and ``mcnemar``; ``ranking``, ``kruskal_wallis``, ``dunn``, ``controls``, ``can_measure``,
        ``failed``, ``notes``.
    Raises:
        SubmissionError: the rows cannot be compared.
    """
    study = align(bundles)
    failed = {row.name: row.error for row in study.rows if row.error is not None}
    figures = {
        split: {str(b): _figures(study, split, b) for b in study.brackets} for split in sorted(study.splits)
    }
    primary = figures["test"][str(study.primary_bracket)]
    gates = {row.name: row.memorization for row in study.complete()}
    run_values = {name: f["balanced_accuracy"]["run_values"] for name, f in primary.items()}
    overall = tests.kruskal_wallis(run_values)
    controls = behaved(primary, gates, failed)
    return {
        "schema": 1,
        "settings": {
            "alpha": study.alpha,
            "correction": study.correction,
            "power": study.power,
            "classes": list(study.classes),
            "primary_bracket": study.primary_bracket,
            "brackets": list(study.brackets),
            "runs": [{"classifier": c, "seed": s} for c, s in study.runs],
        },
        "splits": {name: _describe(study, split) for name, split in sorted(study.splits.items())},
        "figures": figures,
        "ranking": _ranking(study),
        "kruskal_wallis": overall,
        "dunn": tests.dunn(run_values, study.correction) if overall["p"] is not None else [],
        "controls": controls,
        "can_measure": controls[0]["held"],
        "failed": failed,
        "notes": _notes(study),
    }


def _describe(study: Study, split: SplitImages) -> dict[str, Any]:
    counts = {c: int((split.label == k).sum()) for k, c in enumerate(study.classes)}
    return {"images": len(split.label), "patients": split.patients, "counts": counts}


def _notes(study: Study) -> list[str]:
    notes = []
    for name, split in sorted(study.splits.items()):
        for k, label in enumerate(study.classes):
            patients = len(np.unique(split.patient[split.label == k]))
            if patients < FEW_PATIENTS:
                notes.append(
                    f"Split {name} has {patients} patients of class {label}: too few to trust its intervals."
                )
    if len(study.runs) == 1:
        notes.append("There is one run per row: intervals leave out the variation between trainings.")
    present = {row.name for row in study.complete()}
    notes += [f"Differences to {b} are missing: no such finished row." for b in BASELINES if b not in present]
    return notes


class _Panel:
    """Correctness of the rows at one bracket of one split, and what is pooled over them."""

    def __init__(self, study: Study, split: str, bracket: int) -> None:
        self.study, self.images = study, study.splits[split]
        self.rows: dict[str, tuple[Row, int]] = {r.name: (r, b) for r, b in study.beside(split, bracket)}
        self.scores = {name: row.scores[split, own] for name, (row, own) in self.rows.items()}
        self.correct = {n: (predicted(s) == self.images.label).astype(float) for n, s in self.scores.items()}
        self.groups = {"balanced_accuracy": self.images.label, "accuracy": np.zeros_like(self.images.label)}

    def mean(self, name: str, metric: str, only: int | None = None) -> intervals.Interval:
        """Interval of a row's mean; with ``only``, of the recall of that class."""
        keep = np.full(len(self.images.label), True) if only is None else self.images.label == only
        group = self.groups[metric][keep]
        run_values = np.array([intervals.grouped_mean(c[:, keep], group) for c in self.correct.values()])
        return self._interval(self.correct[name][:, keep], group, keep, intervals.pooled_mean(run_values))

    def difference(self, a: str, b: str, metric: str) -> intervals.Interval:
        """Interval of the paired difference a minus b."""
        group = self.groups[metric]
        run_values = np.array([intervals.grouped_mean(c, group) for c in self.correct.values()])
        keep = np.full(len(group), True)
        pooled = intervals.pooled_difference(run_values)
        return self._interval(self.correct[a] - self.correct[b], group, keep, pooled)

    def _interval(
        self,
        values: np.ndarray,
        group: np.ndarray,
        keep: np.ndarray,
        pooled: intervals.RunVariance | None,
    ) -> intervals.Interval:
        alpha, power = self.study.alpha, self.study.power
        return intervals.interval(values, group, self.images.patient[keep], pooled, alpha=alpha, power=power)

    def run_values(self, name: str, metric: str) -> list[float]:
        """The value of every run of a row."""
        return [float(v) for v in intervals.grouped_mean(self.correct[name], self.groups[metric])]


def _figures(study: Study, split: str, bracket: int) -> dict[str, dict[str, Any]]:
    panel = _Panel(study, split, bracket)
    figures = {name: _row_figures(panel, name) for name in panel.rows}
    for base in BASELINES:
        for metric in panel.groups:
            others = [n for n in figures if n != base and base in figures]
            found = {n: panel.difference(n, base, metric).record() for n in others}
            adjusted = tests.adjust([d["p"] for d in found.values()], study.correction)
            for (name, record), p in zip(found.items(), adjusted, strict=True):
                figures[name]["versus"].setdefault(base, {})[metric] = {**record, "p_adjusted": p}
    if "real_only" in figures:
        _add_mcnemar(panel, figures)
    return figures


def _row_figures(panel: _Panel, name: str) -> dict[str, Any]:
    label, scores = panel.images.label, panel.scores[name]
    each = [per_class(label, s) for s in scores]
    aurocs = [macro_auroc(label, s) for s in scores]
    classes = {
        c: {
            "recall": _bounded(panel.mean(name, "accuracy", only=k).record()),
            "precision": float(np.mean([e["precision"][k] for e in each])),
            "f1": float(np.mean([e["f1"][k] for e in each])),
            "images": int((label == k).sum()),
        }
        for k, c in enumerate(panel.study.classes)
    }
    figures: dict[str, Any] = {
        "own_bracket": panel.rows[name][1],
        "auroc": {"mean": float(np.mean(aurocs)), "run_values": aurocs},
        "per_class": classes,
        "versus": {},
        "mcnemar": None,
    }
    for metric in panel.groups:
        record = _bounded(panel.mean(name, metric).record())
        figures[metric] = {**record, "run_values": panel.run_values(name, metric)}
    return figures


def _bounded(record: dict[str, float]) -> dict[str, float]:
    """A share's interval does not leave 0 to 1; a test against zero and its power say nothing about it."""
    kept = {k: v for k, v in record.items() if k not in ("p", "detectable")}
    return {**kept, "low": max(0.0, record["low"]), "high": min(1.0, record["high"])}


def _add_mcnemar(panel: _Panel, figures: dict[str, dict[str, Any]]) -> None:
    others = [n for n in figures if n != "real_only"]
    found = [tests.mcnemar(panel.images.label, panel.scores[n], panel.scores["real_only"]) for n in others]
    adjusted = tests.adjust([f["p"] for f in found], panel.study.correction)
    for name, record, p in zip(others, found, adjusted, strict=True):
        figures[name]["mcnemar"] = {**record, "p_adjusted": p}


def _ranking(study: Study) -> dict[str, Any]:
    """Tie groups at the primary bracket; without rows that copy patients (but for ``duplicate_real``)."""
    panel = _Panel(study, "test", study.primary_bracket)
    unranked = {row.name: "failed" for row in study.rows if row.error is not None}
    for name, (row, _) in panel.rows.items():
        if row.memorization and row.memorization["gated"] and name != COPIES:
            unranked[name] = "copies training images"
    names = [n for n in panel.rows if n not in unranked]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    found = [panel.difference(a, b, "balanced_accuracy") for a, b in pairs]
    adjusted = tests.adjust([d.p for d in found], study.correction)
    records, wins = [], {}
    for (a, b), difference, p in zip(pairs, found, adjusted, strict=True):
        estimate, low, high = difference.estimate, difference.low, difference.high
        records.append({"a": a, "b": b, "estimate": estimate, "low": low, "high": high, "p_adjusted": p})
        if p < study.alpha:
            wins[(a, b) if estimate > 0 else (b, a)] = True
    rank = ranks(names, wins)
    groups: dict[int, list[str]] = {}
    for name in names:
        groups.setdefault(rank[name], []).append(name)
    rows = {n: {"rank": rank[n], "tied_with": [m for m in groups[rank[n]] if m != n]} for n in names}
    return {"rows": rows, "unranked": unranked, "pairs": records, "compared": len(pairs)}
