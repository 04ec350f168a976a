"""Models against a baseline on the same images: everything that can be said of their predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.compare import intervals, metrics, power, weighted
from benchmark.compare.adjust import adjust
from benchmark.compare.delong import delong
from benchmark.compare.equivalence import equivalence
from benchmark.compare.intervals import Interval
from benchmark.compare.metrics import findings, members
from benchmark.compare.paired import discordance, mcnemar, mcnemar_clustered
from benchmark.compare.paired_bootstrap import paired_bootstrap
from benchmark.compare.predictions_csv import Predictions
from benchmark.errors import MetricError, SubmissionError, unknown_name

LEVELS = (0.8, 0.95)  # powers at which the smallest detectable difference is given
FEW_PATIENTS = 10
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
        adjusted p), ``detectable`` by power, ``bootstrap``, ``mcnemar`` with ``clustered``, ``delong`` with
        ``clustered`` (two classes), ``equivalence`` (with a margin), each with adjusted p values over the
        models, or None where the kind of labels does not admit it; ``notes``.
    Raises:
        SubmissionError: an unknown metric or baseline, no second model, or a class without images.
    """
    metric, baseline = chosen_metric(given, settings), chosen_baseline(given, settings)
    values = {m: metric.values(given.label, s) for m, s in given.scores.items()}
    others = [m for m in given.scores if m != baseline]
    versus = {m: _versus(given, settings, metric.name, (m, baseline), values) for m in others}
    _adjust(versus, settings.correction)
    return {
        "schema": 1,
        "settings": {
            "metric": metric.name, "baseline": baseline, "margin": settings.margin, "alpha": settings.alpha,
            "correction": settings.correction, "classes": list(given.classes), "kind": given.kind,
        },
        "test_set": _describe(given),
        "models": {m: _mean(v, given, settings.alpha, metric.lowest) for m, v in values.items()},
        "versus": versus,
        "notes": _notes(given),
    }  # fmt: skip


def chosen_metric(given: Predictions, settings: Settings) -> metrics.Metric:
    """The metric that is compared.

    Raises:
        UnknownNameError: it is not defined for the kind of labels.
    """
    usual = "auroc" if given.kind == "multilabel" else "balanced_accuracy"
    known = metrics.reported(given.kind, usual)
    name = settings.metric or usual
    if name not in known:
        raise unknown_name("metric", name, list(known), "--metric")
    return known[name]


def chosen_baseline(given: Predictions, settings: Settings) -> str:
    """The model that the others are compared with.

    Raises:
        SubmissionError: there is no second model, or none of that name.
    """
    names = list(given.scores)
    if len(names) < 2:
        raise SubmissionError("predictions", f"are of one model, '{names[0]}'", "Give a second to compare.")
    name = settings.baseline or names[0]
    if name not in names:
        raise unknown_name("model", name, names, "--baseline")
    return name


def difference(
    values: Mapping[str, np.ndarray], a: str, b: str, patient: np.ndarray, alpha: float, level: float
) -> Interval:
    """The paired difference a - b of (R, n) values per image, see ``intervals``; pooled over the models."""
    pooled = intervals.pooled_difference(np.array([v.mean(-1) for v in values.values()]))
    return intervals.interval(values[a] - values[b], patient, pooled, alpha=alpha, power=level)


def _mean(values: np.ndarray, given: Predictions, alpha: float, lowest: float) -> Record:
    found = intervals.interval(values, given.patient, None, alpha=alpha, power=LEVELS[0])
    return {"estimate": found.estimate, "low": max(lowest, found.low), "high": min(1.0, found.high)}


def _versus(
    given: Predictions,
    settings: Settings,
    metric: str,
    names: tuple[str, str],
    values: Mapping[str, np.ndarray],
) -> Record:
    alpha, margin = settings.alpha, settings.margin
    found = {p: difference(values, *names, given.patient, alpha, p) for p in LEVELS}
    own = found[LEVELS[0]]
    pair = given.scores[names[0]], given.scores[names[1]]
    return {
        "difference": {k: v for k, v in own.record().items() if k != "detectable"},
        "detectable": {str(p): f.detectable for p, f in found.items()},
        "equivalence": equivalence(own.estimate, own.se, own.df, margin, alpha) if margin else None,
        "bootstrap": _bootstrap(given, metric, *pair, alpha),
        "mcnemar": _mcnemar(given, *pair, alpha) if given.kind != "multilabel" else None,
        "delong": _delong(given, *pair, alpha) if given.kind == "binary" else None,
    }


def _mcnemar(given: Predictions, a: np.ndarray, b: np.ndarray, alpha: float) -> Record:
    """Both forms, and the difference in accuracy that the plain one would find with the images at hand."""
    gained, lost = discordance(given.label, a, b, given.patient)
    plain, images = mcnemar(int(gained.sum()), int(lost.sum())), len(given.label)
    share = plain["discordant"] / images
    seen = {str(p): power.detectable_mcnemar(images, share, alpha, p) if share else None for p in LEVELS}
    return {**plain, "share": share, "detectable": seen, "clustered": mcnemar_clustered(gained, lost)}


def _delong(given: Predictions, a: np.ndarray, b: np.ndarray, alpha: float) -> Record:
    """On the score of the positive class, averaged over runs."""
    scores = a.mean(0)[:, 1], b.mean(0)[:, 1]
    try:
        plain = delong(given.label, *scores, alpha=alpha)
        return {**plain, "clustered": delong(given.label, *scores, given.patient, alpha)}
    except MetricError as error:
        return {"p": None, "reason": f"{error.problem}", "clustered": {"p": None}}


def _bootstrap(given: Predictions, metric: str, a: np.ndarray, b: np.ndarray, alpha: float) -> Record:
    return paired_bootstrap(
        statistic_of(metric, given.kind), given.label, a.swapaxes(0, 1), b.swapaxes(0, 1), given.patient,
        alpha=alpha, vectorized=True,
    )  # fmt: skip


def statistic_of(metric: str, kind: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """A metric of weighted images, for ``paired_bootstrap``: the mean over runs, NaN where not defined.

    It takes labels, (n, R, K) scores and (B, n) weights, and gives (B,).
    """

    def of_run(label: np.ndarray, scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
        each = range(scores.shape[1])
        actual = np.stack([members(label, k) for k in each], axis=1)
        if metric == "auroc":
            own = [1] if kind == "binary" else each
            return np.asarray(
                np.mean([weighted.auroc(actual[:, k], scores[:, k], weight) for k in own], axis=0)
            )
        said = np.stack([findings(label, scores, k) for k in each], axis=1)
        counts = weighted.counts(actual, said, weight)
        if metric in ("f1", "macro_f1"):
            return counts.f1[:, 1] if metric == "f1" else np.asarray(counts.f1.mean(1))
        return np.asarray(getattr(counts, metric))

    def mean(label: np.ndarray, scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
        runs = range(scores.shape[1])
        return np.asarray(np.mean([of_run(label, scores[:, r], weight) for r in runs], axis=0))

    return mean


PLACES = (
    ("difference",),
    ("bootstrap",),
    ("mcnemar",),
    ("mcnemar", "clustered"),
    ("delong",),
    ("delong", "clustered"),
)


def _adjust(versus: Mapping[str, Record], correction: str) -> None:
    """Adjust each kind of p value over the models that have one."""
    for place in PLACES:
        found = []
        for record in versus.values():
            own: Record | None = record
            for key in place:
                own = own[key] if own else None
            if own is not None:
                own["p_adjusted"] = None
                found.append(own)
        known = [own for own in found if own["p"] is not None]
        for own, p in zip(known, adjust([o["p"] for o in known], correction), strict=True):
            own["p_adjusted"] = p


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
