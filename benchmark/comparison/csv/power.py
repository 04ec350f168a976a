"""What a test set could have shown: from its size and discordance, or from predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmark.comparison.csv.predictions import Settings, chosen_baseline, detectable, panel_of
from benchmark.comparison.csv.predictions_table import Predictions
from benchmark.comparison.significance_tests import POWERS
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
    """What McNemar's test finds with so many test images, and how many a difference would take.

    Args:
        images: of the test set, counted as independent.
        discordant: share of the images that one classifier has right and the other wrong, above 0 to 1.
        difference: of the accuracies, for the number of images needed; or None.
        levels: powers; None for 80 % and 95 %.
        alpha: of the test.
    Returns:
        ``settings``; ``mcnemar`` with ``images``, ``discordant``, ``difference``, ``detectable`` and
        ``needed`` by power; ``rows``, empty.
    Raises:
        MetricError: see ``power.detectable_mcnemar`` and ``power.needed_mcnemar``.
    """
    asked = {f"{p:g}": p for p in levels or POWERS}
    seen = {name: power.detectable_mcnemar(images, discordant, alpha, p) for name, p in asked.items()}
    takes = {}
    if difference is not None:
        takes = {name: power.needed_mcnemar(difference, discordant, alpha, p) for name, p in asked.items()}
    found = {
        "images": images,
        "discordant": discordant,
        "difference": difference,
        "detectable": seen,
        "needed": takes,
    }
    return {"schema": 1, "settings": {"alpha": alpha}, "mcnemar": found, "rows": {}}


def of_predictions(
    given: Predictions, settings: Settings, *, difference: float | None = None, level: float | None = None
) -> Record:
    """What the comparison of each model with the baseline could have found, and what less would take.

    Returns:
        ``settings``; ``mcnemar``, None; ``rows[model]`` with the ``difference`` found, ``detectable`` at 80 %
        and 95 % power, and ``needed`` runs or patients for the wanted difference, see ``power.needed``.
    """
    panel, baseline = panel_of(given, settings), chosen_baseline(given, settings)
    rows = {}
    for model in (m for m in panel.rows if m != baseline):
        own = panel.primary.difference(model, baseline)
        rows[model] = {
            "difference": own.estimate,
            "detectable": detectable(own, settings.alpha),
            "needed": takes(own, difference, settings.alpha, level or POWERS[0]) if difference else None,
        }
    return {
        "schema": 1,
        "settings": {"alpha": settings.alpha, "metric": panel.protocol.primary.name, "baseline": baseline},
        "mcnemar": None,
        "rows": rows,
    }


def takes(own: Interval, difference: float, alpha: float, level: float) -> Record:
    """The runs or patients that a difference takes, as ``power.needed``.

    With one run, how much trainings vary is not known: the patients are those that it would take if they did
    not vary, since the standard error falls with the square root of the patients.
    """
    found = power.needed(own.parts, difference, alpha, level)
    if own.parts is None:
        seen = power.smallest_detectable(own.se, own.df, alpha, level)
        found["patients"] = max(2, math.ceil(own.patients * (seen / difference) ** 2))
        found["reason"] = "as if trainings did not vary, which one run does not show"
    return found
