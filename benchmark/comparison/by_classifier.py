"""The rows by classifier, and their average change over all brackets."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmark.comparison.aligned_rows import AlignedRows
from benchmark.comparison.breakdown_records import AverageChange, ClassifierCell
from benchmark.comparison.compared_rows import ComparedRows, MetricValues
from benchmark.comparison.figures import BASELINE
from benchmark.comparison.significance_tests import add_adjusted
from benchmark.statistics.intervals import Interval, interval

MEAN = ("estimate", "low", "high", "reason")


def cells(aligned: AlignedRows, split: str = "test") -> list[ClassifierCell]:
    """Return every metric of every row, bracket and classifier, with its difference to ``real_only``.

    The intervals are those of the leaderboard over the trainings of one classifier. ``p_adjusted`` is over
    all differences in a metric: rows, brackets and classifiers.

    Source: shape of Schaudt et al. 2023, Table 7.
    """
    records: list[ClassifierCell] = []
    for metric in aligned.protocol.metrics:
        family = [
            {"classifier": c, "row": row, "bracket": bracket, "metric": metric, **summary(values, row)}
            for bracket, compared, rows in _by_bracket(aligned, split)
            for c in aligned.protocol.classifiers
            for values in [of_classifier(compared.metric(metric), compared, c)]
            for row in rows
        ]
        adjust_family(family, aligned.protocol.correction)
        records += [ClassifierCell(**record) for record in family]
    return records


def changes(
    aligned: AlignedRows, generators: Sequence[str], split: str = "test", baseline: str = BASELINE
) -> list[AverageChange]:
    """Return the average change from the baseline over all brackets, by row and classifier.

    The values of each image are averaged over the brackets before the difference is taken, so the interval
    takes into account that all brackets share the baseline and the test images. ``p_adjusted`` is over the
    metric's rows and classifiers; means have their own p alone.

    Args:
        generators: the rows that ``row`` None averages over: all of them and all their brackets weigh the
            same, as in the paper.
    Source: shape of Schaudt et al. 2023, Table 8.
    """
    by_bracket = [ComparedRows(aligned, split, b) for b in aligned.protocol.brackets]
    if baseline not in by_bracket[0].rows:
        return []
    records: list[AverageChange] = []
    for metric in aligned.protocol.metrics:
        averaged = _over_brackets(by_bracket, metric, baseline)
        changed: list[dict[str, Any]] = []
        for classifier in (*aligned.protocol.classifiers, None):
            values = of_classifier(averaged, by_bracket[0], classifier)
            means: dict[str | None, Interval] = {
                row: values.difference(row, baseline) for row in values.values if row != baseline
            }
            if inside := [r for r in generators if r in values.values]:
                means[None] = _mean_change(values, inside, baseline)
            changed += [
                {"metric": metric, "row": row, "classifier": classifier, **_difference(mean)}
                for row, mean in means.items()
            ]
        add_adjusted([r for r in changed if r["row"] and r["classifier"]], aligned.protocol.correction)
        records += [AverageChange(**record) for record in changed]
    return records


def of_classifier(values: MetricValues, compared: ComparedRows, classifier: str | None) -> MetricValues:
    """Return the same metric over the trainings of one classifier; None for all."""
    if classifier is None:
        return values
    return values.of_runs([i for i, run in enumerate(compared.images.runs) if run[0] == classifier])


def adjust_family(records: Sequence[dict[str, Any]], correction: str) -> None:
    """Set ``p_adjusted`` of the difference of every record, as one family."""
    add_adjusted([r["versus"] for r in records if r["versus"]], correction)


def summary(values: MetricValues, row: str) -> dict[str, Any]:
    """Return mean, interval and spread of a row over its trainings, and its difference to ``real_only``."""
    mean, by_run = values.mean(row), values.training_values(row)
    return {
        **{k: mean[k] for k in MEAN},
        "std": float(np.std(by_run, ddof=1)) if len(by_run) > 1 else None,
        "n": len(by_run),
        "versus": _difference(d) if (d := values.versus(row, BASELINE)) else None,
    }


def _difference(difference: Interval) -> dict[str, Any]:
    return {k: getattr(difference, k) for k in (*MEAN, "p")}


def _by_bracket(aligned: AlignedRows, split: str) -> list[tuple[int, ComparedRows, list[str]]]:
    """Return rows without added images once, as bracket 0; then the others by bracket."""
    head = ComparedRows(aligned, split, aligned.protocol.primary_bracket)
    parts = [(0, head, [n for n, (_, own) in head.rows.items() if own == 0])]
    for bracket in sorted(aligned.protocol.brackets):
        compared = ComparedRows(aligned, split, bracket)
        parts.append((bracket, compared, [n for n, (_, own) in compared.rows.items() if own == bracket != 0]))
    return parts


def _over_brackets(by_bracket: Sequence[ComparedRows], metric: str, baseline: str) -> MetricValues:
    """Return (R, n) values of each row with added images, averaged over its brackets; and the baseline's."""
    each = [compared.metric(metric) for compared in by_bracket]
    rows = [n for n, (_, own) in by_bracket[0].rows.items() if own != 0 or n == baseline]
    values = {n: np.mean([m.values[n] for m in each], axis=0) for n in rows}
    by_fit = {n: np.mean([m.by_fit[n] for m in each], axis=0) for n in rows if n in each[0].by_fit}
    return replace(each[0], values=values, by_fit=by_fit, roles={n: each[0].roles[n] for n in by_fit})


def _mean_change(values: MetricValues, rows: Sequence[str], baseline: str) -> Interval:
    protocol = values.protocol
    change = np.mean([values.values[r] for r in rows], axis=0) - values.values[baseline]
    fits = [f * (1 / len(rows)) for f in values.fit_variances(*rows)] + values.fit_variances(baseline)
    levels = {"alpha": protocol.alpha, "power": protocol.power}
    return interval(change, values.patient, None, **levels, fits=fits, sides=values.sides)
