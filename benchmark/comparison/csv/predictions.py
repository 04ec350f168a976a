"""Models against a baseline on the same images: intervals, tests and power from their predictions."""

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
from benchmark.statistics.metrics import Kind, members, reported
from benchmark.statistics.paired_bootstrap import paired_bootstrap
from benchmark.statistics.quality import Reading
from benchmark.statistics.sides import FEWEST, every_class
from benchmark.utils.rounding import canonical

FEW_PATIENTS = 10
NO_THRESHOLD = "McNemar's test is left out: scores outside 0 to 1 have no threshold that divides the classes."
SPLIT, BRACKET = "test", 0  # of a table of predictions, which has no splits and brackets
Record = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """Settings of a comparison of predictions."""

    # of ``metrics.reported``; None for balanced accuracy, or AUROC in multi-label tasks
    metric: str | None = None
    baseline: str | None = None  # the model that the others are compared with; None for the first
    # smallest difference that matters, in the metric, for a test of equivalence; or None
    margin: float | None = None
    alpha: float = 0.05  # of all tests and intervals
    correction: str = "holm"  # over the models that are compared with the baseline, see ``adjust``


def compare_predictions(given: Predictions, settings: Settings) -> Record:
    """Compare every model with the baseline.

    Returns:
        JSON values: ``settings``; ``test_set`` (images, patients, counts by class, runs); ``models[model]``
        with the interval of the metric; ``versus[model]`` with ``difference`` (interval over new patients and
        trainings, p), ``detectable`` by power, ``bootstrap``, ``mcnemar`` with ``clustered``, ``delong``
        clustered by patient (two classes), ``equivalence`` (with a margin), p-values also adjusted over the
        models, or None if the test does not apply to the labels; ``notes``.
    Raises:
        SubmissionError: an unknown metric or baseline, or no second model.
    """
    panel, baseline = panel_of(given, settings), chosen_baseline(given, settings)
    metric, others = panel.protocol.primary.name, [m for m in panel.rows if m != baseline]
    tests: dict[str, Mapping[str, Record]] = {
        "difference": {m: panel.primary.difference(m, baseline).record() for m in others},
        "bootstrap": {m: _bootstrap(panel, metric, m, baseline) for m in others},
        "mcnemar": significance_tests.mcnemar_by_row(panel, baseline) if given.decision else {},
        "delong": significance_tests.delong_by_row(panel, baseline),
    }
    for name in ("difference", "bootstrap"):
        _adjust(tests[name], settings.correction)
    return {
        "schema": 1,
        "settings": {
            "metric": metric, "baseline": baseline, "margin": settings.margin, "alpha": settings.alpha,
            "correction": settings.correction, "classes": list(given.classes), "kind": given.kind,
            "decision": given.decision,
        },
        "test_set": {
            "images": len(given.label),
            "patients": len(np.unique(given.patient)),
            "counts": {c: int(members(given.label, k).sum()) for k, c in enumerate(given.classes)},
            "runs": len(panel.images.runs),
        },
        "models": {m: {k: panel.primary.mean(m)[k] for k in ("estimate", "low", "high")} for m in panel.rows},
        "versus": {m: _versus(panel, settings, m, baseline, tests) for m in others},
        "notes": _notes(given, len(panel.images.runs)),
    }  # fmt: skip


def panel_of(given: Predictions, settings: Settings) -> ComparedRows:
    """Arrange the models as rows of a leaderboard, so that both share one implementation.

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
    """Name of the model that the others are compared with.

    Raises:
        SubmissionError: there is no second model.
        UnknownNameError: no model has that name.
    """
    names = list(given.scores)
    if len(names) < 2:
        raise SubmissionError("predictions", f"are of one model, '{names[0]}'", "Give a second to compare.")
    name = settings.baseline or names[0]
    if name not in names:
        raise unknown_name("model", name, names, "--baseline")
    return name


def _versus(
    panel: ComparedRows,
    settings: Settings,
    model: str,
    baseline: str,
    tests: Mapping[str, Mapping[str, Record]],
) -> Record:
    own, alpha, margin = panel.primary.difference(model, baseline), settings.alpha, settings.margin
    record: Record = {name: records.get(model) for name, records in tests.items()}
    if record["mcnemar"]:
        images = len(panel.label)
        share = record["mcnemar"]["discordant"] / images
        seen = {str(p): power.detectable_mcnemar(images, share, alpha, p) if share else None for p in POWERS}
        record["mcnemar"] = {**record["mcnemar"], "share": share, "detectable": seen}
    record["detectable"] = significance_tests.detectable(own, alpha)
    record["equivalence"] = None
    if margin and own.se is not None and own.df is not None:
        record["equivalence"] = equivalence(own.estimate, own.se, own.df, margin, alpha)
    return record


def _bootstrap(panel: ComparedRows, metric: str, model: str, baseline: str) -> Record:
    a, b = (panel.scores[name].swapaxes(0, 1) for name in (model, baseline))
    statistic = statistic_of(metric, panel.protocol.kind)
    alpha = panel.protocol.alpha
    return paired_bootstrap(statistic, panel.label, a, b, panel.patient, alpha=alpha, vectorized=True)


def _adjust(records: Mapping[str, Record], correction: str) -> None:
    """Add ``p_adjusted`` over the models with a p-value; None for the others."""
    tested = [record for record in records.values() if record["p"] is not None]
    adjusted = iter(canonical(adjust([record["p"] for record in tested], correction)))
    for record in records.values():
        record["p_adjusted"] = None if record["p"] is None else next(adjusted)


def statistic_of(metric: str, kind: Kind) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Metric of weighted images for ``paired_bootstrap``: the mean over runs, NaN where not defined.

    The statistic takes labels, (n, R, K) scores and (B, n) weights, and returns (B,). It caches the sorted
    scores by identity, so that it serves one comparison only.
    """
    prepared: dict[int, list[Reading]] = {}

    def mean(label: np.ndarray, scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
        if id(scores) not in prepared:
            prepared[id(scores)] = [Reading(kind, label, run) for run in scores.swapaxes(0, 1)]
        return np.asarray(np.mean([_of_run(metric, run, weight) for run in prepared[id(scores)]], axis=0))

    return mean


def _of_run(metric: str, run: Reading, weight: np.ndarray) -> np.ndarray:
    if metric == "auroc":
        ranked = run.ranked[1:] if run.kind == "binary" else run.ranked
        return np.asarray(np.mean([own.areas(weight)["auroc"] for own in ranked], axis=0))
    counts = weighted.counts(run.actual, run.predicted, weight)
    if metric in ("f1", "macro_f1"):
        return counts.f1[:, 1] if metric == "f1" else np.asarray(counts.f1.mean(1))
    return np.asarray(getattr(counts, metric))


def _notes(given: Predictions, runs: int) -> list[str]:
    notes = [] if given.decision else [NO_THRESHOLD]
    for side in every_class(given.label, given.patient, given.classes):
        if FEWEST <= side.patients < FEW_PATIENTS:
            notes.append(f"{side}: too few for reliable intervals.")
    if runs == 1:
        notes.append("One run of each model: the intervals do not cover the variation between trainings.")
    return notes
