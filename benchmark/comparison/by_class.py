"""Precision, recall and F1 of every class: over trainings with intervals, and fold by fold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.comparison.by_classifier import adjust_family, of_classifier, summary
from benchmark.comparison.panel import Measured, Panel
from benchmark.comparison.rows import Protocol, Study
from benchmark.statistics import metrics

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("precision", "recall", "f1")


def precision_values(actual: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Values per image for precision = TP / predicted positives, 0 to 1, by the delta method.

    Where nothing is predicted positive, precision and all values are 0.

    Args:
        actual: (n,) bool.
        said: (..., n) bool.
    Returns:
        (..., n).
    """
    both, positive = (said & actual).astype(np.float64), said.astype(np.float64)
    share = positive.mean(-1, keepdims=True)
    share = np.where(share > 0, share, 1.0)
    precision = both.mean(-1, keepdims=True) / share
    return np.asarray(precision + (both - precision * positive) / share)


def classes(study: Study, split: str = "test") -> list[dict[str, Any]]:
    """Precision, recall and F1 of every class, row and classifier.

    A row with added images stands there at the primary bracket and at its best one, which is chosen by
    the mean of the primary metric over the classifier's trainings on this very split.

    Returns:
        Records as of ``by_classifier.cells``, with ``class``, and ``best`` for the best bracket;
        ``p_adjusted`` is over the rows and classes of one metric and classifier.
    Source: shape of Schaudt et al. 2023, Table 9.
    """
    found: list[dict[str, Any]] = []
    panels = {b: Panel(study, split, b) for b in sorted(study.protocol.brackets)}
    for classifier in study.protocol.classifiers:
        shown = _shown_brackets(panels, study.protocol, classifier)
        for metric in KINDS:
            own: list[dict[str, Any]] = []
            for k, label in enumerate(study.protocol.classes):
                each = {b: of_classifier(_of_class(p, k, metric), p, classifier) for b, p in panels.items()}
                own += [
                    {"classifier": classifier, "row": row, "bracket": own_bracket, "best": best,
                     "metric": metric, "class": label, **summary(each[bracket], row)}
                    for row, bracket, own_bracket, best in shown
                ]  # fmt: skip
            adjust_family(own, study.protocol.correction)
            found += own
    return found


def _of_class(panel: Panel, k: int, metric: str) -> Measured:
    if metric == "recall":
        return panel.recall(k)
    values = precision_values if metric == "precision" else metrics.f1_of
    actual = metrics.members(panel.label, k)
    found = {n: values(actual, metrics.findings(panel.label, s, k)) for n, s in panel.scores.items()}
    return Measured(found, panel.patient, panel.protocol)


def _shown_brackets(
    panels: Mapping[int, Panel], protocol: Protocol, classifier: str
) -> list[tuple[str, int, int, bool]]:
    """By row: the panel, the row's own bracket, and whether it is the best one."""
    primary, shown = protocol.primary_bracket, []
    for row, (_, own) in panels[primary].rows.items():
        if own == 0:
            shown.append((row, primary, 0, False))
            continue
        mean = {
            b: np.mean(of_classifier(p.primary, p, classifier).run_values(row)) for b, p in panels.items()
        }
        best = max(mean, key=lambda b: (mean[b], -b))
        shown.append((row, primary, primary, best == primary))
        if best != primary:
            shown.append((row, best, best, True))
    return shown


def folds(manifest: Mapping[str, Any], predictions: pd.DataFrame) -> list[dict[str, Any]]:
    """A row's figures at the primary bracket, each fold with a value of its own.

    A fold's value is the mean over its seeds. A class without images in a fold has no figures there.

    Returns:
        Records of ``split``, ``classifier``, ``metric`` (``precision``, ``recall``, ``f1`` with a
        ``class``; ``accuracy``, ``balanced_accuracy`` with None), ``values`` by fold, ``estimate`` their
        mean and ``std`` their sample standard deviation; nothing where there are no folds or an image may
        have several labels.
    Source: shape of Zhang et al. 2023, Table 3.
    """
    if manifest["folds"] < 2 or manifest["labels"] == "multilabel":
        return []
    shown = predictions[predictions["bracket"].isin([0, manifest["primary_bracket"]])]
    found: dict[tuple[str, str, str, str | None], dict[int, list[float]]] = {}
    for (split, classifier, fold, _), part in shown.groupby(["split", "classifier", "fold", "seed"]):
        for (metric, label), value in _of_training(part, manifest["classes"]).items():
            by_fold = found.setdefault((str(split), str(classifier), metric, label), {})
            by_fold.setdefault(int(str(fold)), []).append(value)
    return [_fold_record(key, by_fold) for key, by_fold in found.items()]


def _fold_record(key: tuple[str, str, str, str | None], by_fold: Mapping[int, list[float]]) -> dict[str, Any]:
    values = {fold: float(np.mean(v)) for fold, v in sorted(by_fold.items())}
    each = list(values.values())
    std = float(np.std(each, ddof=1)) if len(each) > 1 else None
    return {"split": key[0], "classifier": key[1], "metric": key[2], "class": key[3],
            "values": values, "estimate": float(np.mean(each)), "std": std}  # fmt: skip


def _of_training(part: pd.DataFrame, names: list[str]) -> dict[tuple[str, str | None], float]:
    label = part["label"].to_numpy(dtype=np.int64)
    scores = part[[f"score_{k}" for k in range(len(names))]].to_numpy(dtype=np.float64)
    said = metrics.predicted(scores)
    present = [k for k in range(len(names)) if (label == k).any()]
    found: dict[tuple[str, str | None], float] = {}
    for k in present:
        actual, positive = label == k, said == k
        found["precision", names[k]] = float(metrics.precision_of(actual, positive))
        found["recall", names[k]] = float(positive[actual].mean())
        found["f1", names[k]] = float(metrics.f1_of(actual, positive).mean())
    found["accuracy", None] = float((said == label).mean())
    if len(present) == len(names):
        found["balanced_accuracy", None] = float(metrics.balanced_accuracy(label, scores[None]).mean())
    return found
