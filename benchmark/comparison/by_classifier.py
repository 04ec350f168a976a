"""The rows judged by each classifier on its own, and their average change over all brackets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.comparison.panel import Measured, Panel
from benchmark.comparison.rows import Study
from benchmark.statistics.adjust import adjust
from benchmark.statistics.intervals import interval
from benchmark.utils.rounding import canonical

BASELINE = "real_only"
DIFFERENCE = ("estimate", "low", "high", "p")


def cells(study: Study, split: str = "test") -> list[dict[str, Any]]:
    """Every metric of every row, bracket and classifier, with its difference to ``real_only``.

    The intervals are those of the leaderboard (see ``intervals``) over the trainings of one classifier.

    Returns:
        Records of ``classifier``, ``row``, ``bracket`` (0 for a row without added images), ``metric``,
        ``estimate``, ``low``, ``high``, ``std`` (sample standard deviation over the trainings, None for
        one training), ``n`` trainings, and ``versus``: the paired difference with ``p`` and
        ``p_adjusted`` over all differences in the metric (rows, brackets and classifiers), or None.
    Source: shape of Schaudt et al. 2023, Table 7.
    """
    found: list[dict[str, Any]] = []
    for metric in study.protocol.metrics:
        own = [
            {"classifier": c, "row": row, "bracket": bracket, "metric": metric, **summary(measured, row)}
            for bracket, panel, rows in _by_bracket(study, split)
            for c in study.protocol.classifiers
            for measured in [of_classifier(panel.metric(metric), panel, c)]
            for row in rows
        ]
        adjust_family(own, study.protocol.correction)
        found += own
    return found


def changes(
    study: Study, generators: Sequence[str], split: str = "test", baseline: str = BASELINE
) -> list[dict[str, Any]]:
    """The average change from the baseline over all brackets, by row and classifier.

    The values of each image are averaged over the brackets before the difference is taken, so that the
    interval knows that all brackets share the baseline and the test images.

    Args:
        generators: the rows that ``row`` None averages over: all of them and all their brackets weigh the
            same, as in the paper.
    Returns:
        Records of ``metric``, ``row`` (None for the mean over the generators), ``classifier`` (None for
        all together), ``estimate``, ``low``, ``high``, ``p``, and ``p_adjusted`` over the metric's rows
        and classifiers (means are left out of that family and have their own p alone).
    Source: shape of Schaudt et al. 2023, Table 8.
    """
    panels = [Panel(study, split, b) for b in study.protocol.brackets]
    if baseline not in panels[0].rows:
        return []
    found: list[dict[str, Any]] = []
    for metric in study.protocol.metrics:
        averaged = _over_brackets(panels, metric, baseline)
        own: list[dict[str, Any]] = []
        for classifier in (*study.protocol.classifiers, None):
            measured = of_classifier(averaged, panels[0], classifier)
            for row in (r for r in measured.values if r != baseline):
                difference = measured.difference(row, baseline).record()
                own.append({"metric": metric, "row": row, "classifier": classifier,
                            **{k: difference[k] for k in DIFFERENCE}})  # fmt: skip
            if inside := [r for r in generators if r in measured.values]:
                own.append({"metric": metric, "row": None, "classifier": classifier,
                            **_mean_change(measured, inside, baseline)})  # fmt: skip
        family = [r for r in own if r["row"] and r["classifier"]]
        adjusted = canonical(adjust([float(r["p"]) for r in family], study.protocol.correction))
        for record, p in zip(family, adjusted, strict=True):
            record["p_adjusted"] = p
        found += own
    return found


def of_classifier(measured: Measured, panel: Panel, classifier: str | None) -> Measured:
    """The same metric over the trainings of one classifier; None for all."""
    if classifier is None:
        return measured
    runs = [i for i, run in enumerate(panel.images.runs) if run[0] == classifier]
    kept = {row: values[runs] for row, values in measured.values.items()}
    return Measured(kept, measured.patient, measured.protocol, measured.lowest)


def adjust_family(records: Sequence[dict[str, Any]], correction: str) -> None:
    """Put ``p_adjusted`` beside the p of every difference, as one family."""
    compared = [r["versus"] for r in records if r["versus"]]
    for versus, p in zip(compared, adjust([v["p"] for v in compared], correction), strict=True):
        versus["p_adjusted"] = p


def summary(measured: Measured, row: str, baseline: str = BASELINE) -> dict[str, Any]:
    """Mean, interval and spread of a row over its trainings, and its difference to the baseline."""
    mean, values = measured.mean(row), measured.run_values(row)
    versus = None
    if row != baseline and baseline in measured.values:
        record = measured.difference(row, baseline).record()
        versus = {k: record[k] for k in DIFFERENCE}
    return {
        **{k: mean[k] for k in ("estimate", "low", "high")},
        "std": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "n": len(values),
        "versus": versus,
    }


def _by_bracket(study: Study, split: str) -> list[tuple[int, Panel, list[str]]]:
    """Rows without added images once, as bracket 0 beside the primary one; then the others by bracket."""
    head = Panel(study, split, study.protocol.primary_bracket)
    found = [(0, head, [n for n, (_, own) in head.rows.items() if own == 0])]
    for bracket in sorted(study.protocol.brackets):
        panel = Panel(study, split, bracket)
        found.append((bracket, panel, [n for n, (_, own) in panel.rows.items() if own == bracket != 0]))
    return found


def _over_brackets(panels: Sequence[Panel], metric: str, baseline: str) -> Measured:
    """(R, n) values of each row with added images, averaged over its brackets; and the baseline's."""
    each = [p.metric(metric) for p in panels]
    rows = [n for n, (_, own) in panels[0].rows.items() if own != 0 or n == baseline]
    values = {n: np.mean([m.values[n] for m in each], axis=0) for n in rows}
    return Measured(values, each[0].patient, each[0].protocol, each[0].lowest)


def _mean_change(measured: Measured, rows: Sequence[str], baseline: str) -> dict[str, Any]:
    protocol = measured.protocol
    values = np.mean([measured.values[r] for r in rows], axis=0) - measured.values[baseline]
    record = interval(values, measured.patient, None, alpha=protocol.alpha, power=protocol.power).record()
    return {k: record[k] for k in DIFFERENCE}
