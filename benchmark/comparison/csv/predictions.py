"""Models against a baseline on the same images: everything that can be said of their predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.comparison import significance_tests
from benchmark.comparison.aligned_rows import AlignedRows, Protocol, Row, SplitImages
from benchmark.comparison.compared_rows import ComparedRows
from benchmark.comparison.csv.predictions_table import Predictions
from benchmark.comparison.significance_tests import POWERS
from benchmark.errors import SubmissionError, unknown_name
from benchmark.statistics import power, weighted
from benchmark.statistics.adjust import adjust
from benchmark.statistics.equivalence import equivalence
from benchmark.statistics.intervals import Interval
from benchmark.statistics.metrics import Kind, members, reported
from benchmark.statistics.paired_bootstrap import paired_bootstrap
from benchmark.statistics.quality import Reading
from benchmark.utils.rounding import canonical

FEW_PATIENTS = 10
SPLIT, BRACKET = "test", 0  # where a table of predictions stands in a study
Record = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What is asked of a comparison of predictions.

    Attributes:
        metric: of ``metrics.reported``; None for balanced accuracy, or AUROC of several labels an image.
        baseline: the model that the others are compared with; None for the first.
        margin: the smallest difference that matters, in the metric, for a test of equivalence; or None.
        alpha: of all tests and intervals.
        correction: over the models that are compared with the baseline, see ``adjust``.
    """

    metric: str | None = None
    baseline: str | None = None
    margin: float | None = None
    alpha: float = 0.05
    correction: str = "holm"


def compare_predictions(given: Predictions, settings: Settings) -> Record:
    """Every model against the baseline, as JSON values.

    Returns:
        ``settings``; ``test_set`` (images, patients, counts by class, runs); ``models[model]`` with the
        metric's interval; ``versus[model]`` with ``difference`` (interval over new patients and trainings, p,
        adjusted p), ``detectable`` by power, ``bootstrap``, ``mcnemar`` with ``clustered``, ``delong``
        clustered by patient (two classes), ``equivalence`` (with a margin), each with adjusted p values over
        the models, or None where the labels do not admit it; ``notes``.
    Raises:
        SubmissionError: an unknown metric or baseline, or no second model.
    """
    panel, baseline = panel_of(given, settings), chosen_baseline(given, settings)
    metric, others = panel.protocol.primary.name, [m for m in panel.rows if m != baseline]
    tests: dict[str, Mapping[str, Record]] = {
        "difference": {m: panel.primary.difference(m, baseline).record() for m in others},
        "bootstrap": {m: _bootstrap(panel, metric, m, baseline) for m in others},
        "mcnemar": {} if given.kind == "multilabel" else significance_tests.mcnemar_by_row(panel, baseline),
        "delong": significance_tests.delong_by_row(panel, baseline)
        if significance_tests.can_delong(panel)
        else {},
    }
    for name in ("difference", "bootstrap"):
        _adjust(tests[name], settings.correction)
    return {
        "schema": 1,
        "settings": {
            "metric": metric, "baseline": baseline, "margin": settings.margin, "alpha": settings.alpha,
            "correction": settings.correction, "classes": list(given.classes), "kind": given.kind,
        },
        "test_set": _describe(given),
        "models": {m: _mean(panel, m) for m in panel.rows},
        "versus": {m: _versus(panel, settings, m, baseline, tests) for m in others},
        "notes": _notes(given),
    }  # fmt: skip


def panel_of(given: Predictions, settings: Settings) -> ComparedRows:
    """The models as the rows of a leaderboard, so that one machinery serves both.

    Raises:
        UnknownNameError: the metric is not defined for the kind of labels.
    """
    usual = "auroc" if given.kind == "multilabel" else "balanced_accuracy"
    name, known = settings.metric or usual, reported(given.kind, usual)
    if name not in known:
        raise unknown_name("metric", name, list(known), "--metric")
    runs = range(len(next(iter(given.scores.values()))))
    protocol = Protocol(
        classes=given.classes, kind=given.kind, metrics=reported(given.kind, name), folds=1, subgroups=(),
        primary_bracket=BRACKET, brackets=(BRACKET,), seeds=tuple(runs), classifiers=("",),
        alpha=settings.alpha, correction=settings.correction, power=POWERS[0],
    )  # fmt: skip
    ids = np.arange(len(given.label)).astype(str)
    images = SplitImages(ids, given.label, given.patient, tuple(("", r, None) for r in runs), False, {})
    rows = [Row(m, "generator", None, None, {(SPLIT, BRACKET): s}) for m, s in given.scores.items()]
    return ComparedRows(AlignedRows(protocol, {SPLIT: images}, tuple(rows)), SPLIT, BRACKET)


def chosen_baseline(given: Predictions, settings: Settings) -> str:
    """The model that the others are compared with.

    Raises:
        SubmissionError: there is no second model.
        UnknownNameError: there is none of that name.
    """
    names = list(given.scores)
    if len(names) < 2:
        raise SubmissionError("predictions", f"are of one model, '{names[0]}'", "Give a second to compare.")
    name = settings.baseline or names[0]
    if name not in names:
        raise unknown_name("model", name, names, "--baseline")
    return name


def detectable(found: Interval, alpha: float) -> dict[str, float]:
    """The smallest true difference that is found, by power."""
    return {str(p): power.smallest_detectable(found.se, found.df, alpha, p) for p in POWERS}


def _mean(panel: ComparedRows, model: str) -> Record:
    return {k: v for k, v in panel.primary.mean(model).items() if k in ("estimate", "low", "high")}


def _versus(
    panel: ComparedRows,
    settings: Settings,
    model: str,
    baseline: str,
    tests: Mapping[str, Mapping[str, Record]],
) -> Record:
    found, alpha, margin = panel.primary.difference(model, baseline), settings.alpha, settings.margin
    record: Record = {name: own.get(model) for name, own in tests.items()}
    if record["mcnemar"]:
        record["mcnemar"] = {**record["mcnemar"], **_mcnemar_power(panel, record["mcnemar"])}
    return {
        **record,
        "detectable": detectable(found, alpha),
        "equivalence": equivalence(found.estimate, found.se, found.df, margin, alpha) if margin else None,
    }


def _mcnemar_power(panel: ComparedRows, found: Record) -> Record:
    """The share of discordant images, and the difference in accuracy that the plain test would find."""
    images, alpha = len(panel.label), panel.protocol.alpha
    share = found["discordant"] / images
    seen = {str(p): power.detectable_mcnemar(images, share, alpha, p) if share else None for p in POWERS}
    return {"share": share, "detectable": seen}


def _bootstrap(panel: ComparedRows, metric: str, model: str, baseline: str) -> Record:
    a, b = (panel.scores[name].swapaxes(0, 1) for name in (model, baseline))
    statistic = statistic_of(metric, panel.protocol.kind)
    alpha = panel.protocol.alpha
    return paired_bootstrap(statistic, panel.label, a, b, panel.patient, alpha=alpha, vectorized=True)


def _adjust(found: Mapping[str, Record], correction: str) -> None:
    """Adjust the p values over the models that have one."""
    known = [own for own in found.values() if own["p"] is not None]
    adjusted = canonical(adjust([own["p"] for own in known], correction))
    for own in found.values():
        own["p_adjusted"] = None
    for own, p in zip(known, adjusted, strict=True):
        own["p_adjusted"] = p


def statistic_of(metric: str, kind: Kind) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """A metric of weighted images, for ``paired_bootstrap``: the mean over runs, NaN where not defined.

    It takes labels, (n, R, K) scores and (B, n) weights, and gives (B,). The scores are sorted once, however
    often they come; so a statistic serves one comparison.
    """
    known: dict[int, list[Reading]] = {}

    def mean(label: np.ndarray, scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
        if id(scores) not in known:
            known[id(scores)] = [Reading(kind, label, own) for own in scores.swapaxes(0, 1)]
        return np.asarray(np.mean([_of_run(metric, run, weight) for run in known[id(scores)]], axis=0))

    return mean


def _of_run(metric: str, run: Reading, weight: np.ndarray) -> np.ndarray:
    if metric == "auroc":
        ranked = run.ranked[1:] if run.kind == "binary" else run.ranked
        return np.asarray(np.mean([own.areas(weight)["auroc"] for own in ranked], axis=0))
    counts = weighted.counts(run.actual, run.said, weight)
    if metric in ("f1", "macro_f1"):
        return counts.f1[:, 1] if metric == "f1" else np.asarray(counts.f1.mean(1))
    return np.asarray(getattr(counts, metric))


def _describe(given: Predictions) -> Record:
    return {
        "images": len(given.label),
        "patients": len(np.unique(given.patient)),
        "counts": {c: int(members(given.label, k).sum()) for k, c in enumerate(given.classes)},
        "runs": len(next(iter(given.scores.values()))),
    }


def _notes(given: Predictions) -> list[str]:
    notes = []
    for k, name in enumerate(given.classes):
        patients = len(np.unique(given.patient[members(given.label, k)]))
        if patients < FEW_PATIENTS:
            notes.append(f"{patients} patients of class {name}: too few to trust the intervals.")
    if len(next(iter(given.scores.values()))) == 1:
        notes.append("One run of each model: how much trainings vary is not known, and no interval shows it.")
    return notes
