"""Precision, recall and F1 of every class: over trainings with intervals, and fold by fold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.comparison.aligned_rows import AlignedRows, Protocol
from benchmark.comparison.breakdown_records import ClassCell, FoldCell
from benchmark.comparison.by_classifier import adjust_family, of_classifier, summary
from benchmark.comparison.compared_rows import ComparedRows
from benchmark.statistics import metrics
from benchmark.utils.rounding import canonical_float

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("precision", "recall", "f1")


def classes(aligned: AlignedRows, split: str = "test") -> list[ClassCell]:
    """Return precision, recall and F1 of every class, row and classifier.

    A row with added images appears at the primary bracket and at its best one, which is chosen by the mean of
    the primary metric over the classifier's trainings on this very split. ``p_adjusted`` is over the rows and
    classes of one metric and classifier.

    Source: shape of Schaudt et al. 2023, Table 9.
    """
    records: list[ClassCell] = []
    protocol = aligned.protocol
    by_bracket = {b: ComparedRows(aligned, split, b) for b in sorted(protocol.brackets)}
    for classifier in protocol.classifiers:
        shown = _shown_brackets(by_bracket, protocol, classifier)
        for metric in METRICS:
            family: list[dict[str, Any]] = []
            for k, label in enumerate(protocol.classes):
                values = {
                    b: of_classifier(rows.class_metric(metric, k), rows, classifier)
                    for b, rows in by_bracket.items()
                }
                family += [
                    {"classifier": classifier, "row": row, "bracket": own_bracket, "best": best,
                     "metric": metric, "label": label, **summary(values[bracket], row)}
                    for row, bracket, own_bracket, best in shown
                ]  # fmt: skip
            adjust_family(family, protocol.correction)
            records += [ClassCell(**record) for record in family]
    return records


def _shown_brackets(
    by_bracket: Mapping[int, ComparedRows], protocol: Protocol, classifier: str
) -> list[tuple[str, int, int, bool]]:
    """Return for each row: the compared bracket, the row's own, and True for the best one."""
    primary, shown = protocol.primary_bracket, []
    for row, (_, own) in by_bracket[primary].rows.items():
        if own == 0:
            shown.append((row, primary, 0, False))
            continue
        values = {b: of_classifier(rows.primary, rows, classifier) for b, rows in by_bracket.items()}
        mean = {b: canonical_float(float(np.mean(v.run_values(row)))) for b, v in values.items()}
        best = max(mean, key=lambda b: (mean[b], -b))
        shown.append((row, primary, primary, best == primary))
        if best != primary:
            shown.append((row, best, best, True))
    return shown


def folds(manifest: Mapping[str, Any], predictions: pd.DataFrame) -> list[FoldCell]:
    """Return a row's figures at the primary bracket, fold by fold.

    A fold's value is the mean over its seeds and fits. A class without images in a fold has no figures there.
    Tasks without folds and multi-label tasks have none.

    Source: shape of Zhang et al. 2023, Table 3.
    """
    if manifest["folds"] < 2 or manifest["labels"] == "multilabel":
        return []
    shown = predictions[predictions["bracket"].isin([0, manifest["primary_bracket"]])]
    values: dict[tuple[str, str, str, str | None], dict[int, list[float]]] = {}
    fit = ["fit"] if "fit" in shown.columns else []
    for (split, classifier, fold, *_), part in shown.groupby(["split", "classifier", "fold", "seed", *fit]):
        for metric, label, value in _of_training(part, manifest["classes"]):
            by_fold = values.setdefault((str(split), str(classifier), metric, label), {})
            by_fold.setdefault(int(str(fold)), []).append(value)
    return [_fold_cell(*key, by_fold) for key, by_fold in values.items()]


def _fold_cell(
    split: str, classifier: str, metric: str, label: str | None, by_fold: Mapping[int, list[float]]
) -> FoldCell:
    values = {fold: float(np.mean(v)) for fold, v in sorted(by_fold.items())}
    each = list(values.values())
    return FoldCell(
        split=split, classifier=classifier, metric=metric, label=label, values=values,
        estimate=float(np.mean(each)), std=float(np.std(each, ddof=1)) if len(each) > 1 else None,
    )  # fmt: skip


def _of_training(part: pd.DataFrame, names: list[str]) -> Iterator[tuple[str, str | None, float]]:
    """Yield metric, class and value of one training in one fold."""
    label = part["label"].to_numpy(dtype=np.int64)
    scores = part[[f"score_{k}" for k in range(len(names))]].to_numpy(dtype=np.float64)
    predicted = metrics.predicted(scores)
    present = [k for k in range(len(names)) if (label == k).any()]
    for k in present:
        actual, positive = label == k, predicted == k
        yield "precision", names[k], float(metrics.precision_of(actual, positive))
        yield "recall", names[k], float(positive[actual].mean())
        yield "f1", names[k], float(metrics.f1_of(actual, positive).mean())
    yield "accuracy", None, float((predicted == label).mean())
    if len(present) == len(names):
        yield "balanced_accuracy", None, float(metrics.balanced_accuracy(label, scores[None]).mean())
