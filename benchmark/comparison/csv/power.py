"""Power of a test set: from its size and discordance, or from predictions."""

import math
from collections.abc import Sequence
from typing import Any

from benchmark.comparison.csv.predictions import Settings, chosen_baseline, panel_of
from benchmark.comparison.csv.predictions_table import Predictions
from benchmark.comparison.significance_tests import POWERS, detectable
from benchmark.statistics import power
from benchmark.statistics.intervals import Interval

Record = dict[str, Any]


def of_counts(
    images: int,
    discordant: float,
    *,
    difference: float | None = None,
    levels: Sequence[float] | None = None,
    alpha: float = 0.05,
) -> Record:
    """Power of McNemar's test on a test set.

    Args:
        images: of the test set, counted as independent.
        discordant: share of the images that exactly one classifier gets right, above 0 to 1.
        difference: of the accuracies, for the number of images that it needs; or None.
        levels: of power; None for 80 % and 95 %.
        alpha: of the test.
    Returns:
        ``settings``; ``mcnemar`` with ``images``, ``discordant``, ``difference``, ``detectable`` and
        ``needed`` by power; ``rows``, empty.
    Raises:
        MetricError: see ``power.detectable_mcnemar`` and ``power.needed_mcnemar``.
    """
    by_name = {f"{p:g}": p for p in levels or POWERS}
    record = {
        "images": images,
        "discordant": discordant,
        "difference": difference,
        "detectable": {n: power.detectable_mcnemar(images, discordant, alpha, p) for n, p in by_name.items()},
        "needed": {} if difference is None else {
            n: power.needed_mcnemar(difference, discordant, alpha, p) for n, p in by_name.items()
        },
    }  # fmt: skip
    return {"schema": 1, "settings": {"alpha": alpha}, "mcnemar": record, "rows": {}}


def of_predictions(
    given: Predictions, settings: Settings, *, difference: float | None = None, level: float | None = None
) -> Record:
    """Power of the comparison of each model with the baseline.

    Returns:
        ``settings``; ``mcnemar``, None; ``rows[model]`` with the observed ``difference``, ``detectable`` at
        80 % and 95 % power, and ``needed`` runs or patients for the given difference, see ``power.needed``.
    """
    panel, baseline = panel_of(given, settings), chosen_baseline(given, settings)
    rows = {}
    for model in (m for m in panel.rows if m != baseline):
        own = panel.primary.difference(model, baseline)
        rows[model] = {
            "difference": own.estimate,
            "reason": own.reason,
            "detectable": detectable(own, settings.alpha),
            "needed": needed(own, difference, settings.alpha, level or POWERS[0]) if difference else None,
        }
    return {
        "schema": 1,
        "settings": {"alpha": settings.alpha, "metric": panel.protocol.primary.name, "baseline": baseline},
        "mcnemar": None,
        "rows": rows,
    }


def needed(own: Interval, difference: float, alpha: float, level: float) -> Record:
    """Number of runs or patients that detects a difference, as ``power.needed``.

    One run does not show the variation between trainings. Then the number of patients assumes none: the
    standard error falls with the square root of the number of patients.
    """
    record = power.needed(own.parts, difference, alpha, level)
    if own.se is None or own.df is None:
        return {**record, "reason": own.reason}
    if own.parts is None:
        seen = power.smallest_detectable(own.se, own.df, alpha, level)
        record["patients"] = max(2, math.ceil(own.patients * (seen / difference) ** 2))
        record["reason"] = "assuming no variation between trainings, which one run does not show"
    return record
