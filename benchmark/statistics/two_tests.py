"""Compare the results of the same trained networks on two test sets of different patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.statistics import bootstrap
from benchmark.statistics.bootstrap import Replicates, Resamples
from benchmark.statistics.metrics import Kind
from benchmark.statistics.quality import Reading, columns
from benchmark.statistics.sides import FEWEST, every_class, too_few

STREAMS = (20_231, 20_232)  # seeds of the resamples: the two sets have no patient in common


@dataclass(frozen=True, eq=False)
class SetScores:
    """The scores of one test set.

    Attributes:
        label: (n,) class indices, or (n, K) 0 or 1.
        patient: (n,) labels.
        scores: (R, n, K) by the networks of a row.
        baseline: (B, n, K) by those of the baseline; None to compare results instead of gains.
    """

    label: np.ndarray
    patient: np.ndarray
    scores: np.ndarray
    baseline: np.ndarray | None = None


@dataclass(frozen=True)
class TwoTests:
    """A row's result on two test sets, and the difference of its gains over the baseline.

    Attributes:
        public, sealed: the metric, mean over networks.
        gain_public, gain_sealed: over the baseline; the results themselves without one.
        difference: of the two gains, with ``low`` and ``high``, or with a reason why it has no interval.
    """

    public: float
    sealed: float
    gain_public: float
    gain_sealed: float
    difference: float
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    @property
    def holds(self) -> bool | None:
        """False if the gain is smaller on the sealed set than chance explains; None without an interval."""
        return None if self.low is None else self.low <= 0


def compare_tests(
    kind: Kind,
    metric: str,
    public: SetScores,
    sealed: SetScores,
    alpha: float,
    classes: Sequence[str],
    replicates: int = bootstrap.REPLICATES,
) -> TwoTests:
    """Return the difference of a row's gains on two test sets, with an interval over the patients of both.

    Networks are fixed: those of a row whose samples and choices do not depend on the public set expect the
    same gain on both. The baseline's networks see the same patients, so a set that is easier by chance does
    not count.

    Args:
        metric: a figure that the kind of task has overall.
        alpha: 1 - level of the two-sided interval.
        replicates: resamples of each set's patients.
    Source: bootstrap of two independent samples, Efron and Tibshirani 1993, chapter 8.
    """
    column = np.array([columns(kind, public.scores.shape[2]).index((metric, None))])
    parts = [
        _draws(kind, column, part, Resamples(part.patient, replicates, seed), alpha)
        for part, seed in zip((public, sealed), STREAMS, strict=True)
    ]
    (value, gain, drawn), (other_value, other_gain, other_drawn) = parts
    result = TwoTests(value, other_value, gain, other_gain, gain - other_gain)
    for part in (public, sealed):
        if reason := too_few(every_class(part.label, part.patient, classes)):
            return replace(result, reason=reason)
    interval = bootstrap.percentile_interval(drawn - other_drawn, alpha)
    if interval is None:
        return replace(result, reason="too many resamples lack a class")
    return replace(result, low=interval[0], high=interval[1])


def _draws(
    kind: Kind, column: np.ndarray, part: SetScores, resamples: Resamples, alpha: float
) -> tuple[float, float, np.ndarray]:
    """Return the metric, the gain, and (B,) draws of the gain over new patients."""

    def replicates(scores: np.ndarray) -> Replicates:
        readings = [Reading(kind, part.label, one) for one in scores]
        return bootstrap.replicate(readings, resamples).only(column)

    own = replicates(part.scores)
    value = gain = float(own.estimate.mean())
    drawn = own.drawn.mean((0, 2))
    if part.baseline is not None:
        base = replicates(part.baseline)
        gain, drawn = value - float(base.estimate.mean()), drawn - base.drawn.mean((0, 2))
    widened = bootstrap.widening(max(len(np.unique(part.patient)), FEWEST), alpha)
    return value, gain, gain + widened * (drawn - np.nanmean(drawn))
