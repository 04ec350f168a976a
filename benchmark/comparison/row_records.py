"""Records of one row: its metrics, differences, classes, figures of merit and subgroups.

Metrics and their differences are fractions: 1 is the best value, a difference of 0.01 is one point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from benchmark.comparison.record_base import Number, Record


def _is_none(value: Any) -> bool:
    return value is None


class Bounds(Record):
    """An estimate with its bootstrap interval.

    Attributes:
        estimate: mean over runs; None where the metric is not defined.
        low, high: ends of the interval; None where too many resamples lack a class.
    """

    estimate: Number | None
    low: Number | None
    high: Number | None


class Interval(Record):
    """An estimate with its interval over test patients and trainings.

    Attributes:
        estimate: mean over runs.
        low, high: ends of the two-sided interval of level 1 - alpha.
        se: standard error, at least 0.
        df: degrees of freedom of the t distribution.
        runs, images, patients: sample sizes.
    """

    estimate: Number
    low: Number
    high: Number
    se: Number
    df: Number
    runs: int
    images: int
    patients: int


class MetricFigures(Interval):
    """One metric of a row.

    Attributes:
        run_values: the metric of every run, in the order of ``SplitSummary.runs``.
    """

    run_values: tuple[Number, ...]


class Difference(Interval):
    """A paired difference of two rows, the first minus the second.

    Attributes:
        p: two-sided p value, 0 to 1.
        detectable: smallest true difference that the test detects with the task's power.
    """

    p: Number
    detectable: Number


class Rope(Record):
    """Posterior probabilities of a true difference below, within and above the margins; they sum to 1."""

    below: Number
    within: Number
    above: Number


class Equivalence(Record):
    """Two one-sided tests against a margin.

    Attributes:
        margin: smallest difference that matters, above 0.
        p: the larger of the two one-sided p values.
        equivalent: True where p is below alpha.
        rope: probabilities of the region of practical equivalence.
    """

    margin: Number
    p: Number
    equivalent: bool
    rope: Rope


class BaselineDifference(Difference):
    """A difference to a baseline.

    Attributes:
        p_adjusted: p corrected over all rows compared with this baseline in this metric.
        equivalence: the test of equivalence of the same difference.
    """

    equivalence: Equivalence
    p_adjusted: Number


class ClusteredMcNemar(Record):
    """McNemar's test with images clustered by patient.

    Attributes:
        statistic: chi-squared; None where the method has none.
        method: in words.
        patients: all patients; ``discordant_patients`` are those with unequal gains and losses.
        design_effect: factor by which clustering multiplies the variance; None without discordant images.
    """

    statistic: Number | None
    p: Number
    p_adjusted: Number
    method: str
    patients: int
    discordant_patients: int
    design_effect: Number | None


class McNemar(Record):
    """McNemar's test against ``real_only``, images taken as independent.

    Attributes:
        gained, lost: images that only the row, or only the baseline, classifies correctly.
        discordant: their sum.
        method: in words.
        statistic: chi-squared; None where the method has none.
        p_adjusted: p corrected over the rows.
        clustered: the same test with images clustered by patient.
    """

    gained: int
    lost: int
    discordant: int
    method: str
    statistic: Number | None
    p: Number
    p_adjusted: Number
    clustered: ClusteredMcNemar


class Area(Record):
    """An area under the ROC curve, 0 to 1; no interval for an area of 0 or 1."""

    auroc: Number
    se: Number
    low: Number | None
    high: Number | None


class DeLong(Record):
    """DeLong's test against ``real_only``, of scores averaged over runs, clustered by patient.

    Attributes:
        difference: of the areas, a minus b, with its interval ``low`` to ``high`` and standard error ``se``.
        z: difference / se; None where the components do not vary, as ``reason`` explains.
        df: degrees of freedom; None where infinite.
        p: two-sided; None where no p value exists. ``p_adjusted``: corrected over the rows.
        a, b: areas of the row and of the baseline.
        positives, negatives: images; ``patients``: patients.
    """

    difference: Number
    low: Number
    high: Number
    se: Number
    z: Number | None
    df: Number | None
    p: Number | None
    p_adjusted: Number | None
    reason: str | None
    a: Area
    b: Area
    positives: int
    negatives: int
    patients: int | None


class ClassFigures(Record):
    """One class of a row.

    Attributes:
        recall: for single-label tasks; the key is left out elsewhere.
        auroc: against the rest, for multi-label tasks; the key is left out elsewhere.
        precision, f1: means over runs, 0 to 1.
        images: of the class.
        versus_real_only: paired difference in ``value``; None for ``real_only`` or without it.
    """

    recall: Interval | None = Field(None, exclude_if=_is_none)
    auroc: Interval | None = Field(None, exclude_if=_is_none)
    precision: Number
    f1: Number
    images: int
    versus_real_only: Difference | None

    @property
    def value(self) -> Interval:
        """The metric of the class that has an interval: recall or AUROC."""
        value = self.recall or self.auroc
        assert value is not None
        return value


class RowFigures(Record):
    """A row at one bracket of one split. In JSON, each metric is a key beside the other fields.

    Attributes:
        own_bracket: the row's bracket; 0 for a row without added images.
        metrics: by name, in the order of ``Settings.metrics``.
        per_class: by class.
        versus: by baseline and metric; the baseline itself has no entry.
        mcnemar: None for the baseline, without it, and for multi-label tasks.
        delong: None except for binary tasks.
    """

    own_bracket: int
    metrics: dict[str, MetricFigures]
    per_class: dict[str, ClassFigures]
    versus: dict[str, dict[str, BaselineDifference]]
    mcnemar: McNemar | None
    delong: DeLong | None

    @model_serializer(mode="wrap")
    def _flat(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        record = handler(self)
        metrics = record.pop("metrics")
        return {**record, **metrics}

    @model_validator(mode="before")
    @classmethod
    def _nested(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or "metrics" in values:
            return values
        own = {k: v for k, v in values.items() if k in cls.model_fields}
        return {**own, "metrics": {k: v for k, v in values.items() if k not in own}}


class CalibrationBin(Record):
    """One bin of a reliability diagram.

    Attributes:
        low, high: edges of the confidence, 0 to 1.
        weight: share of all predictions, 0 to 1.
        confidence, accuracy: means within the bin; None in an empty bin.
    """

    low: Number
    high: Number
    weight: Number
    confidence: Number | None
    accuracy: Number | None


class Calibration(Record):
    """A reliability diagram over all runs: bins of equal width."""

    bins: tuple[CalibrationBin, ...]


class OverallQuality(Record):
    """Figures of merit over all classes, by name; ``versus_real_only`` is None for the baseline."""

    overall: dict[str, Bounds]
    versus_real_only: dict[str, Bounds] | None


class RowQuality(OverallQuality):
    """All figures of merit of a row, with bootstrap intervals.

    Attributes:
        per_class: by class and figure.
        calibration: reliability diagram.
    """

    per_class: dict[str, dict[str, Bounds]]
    calibration: Calibration


class Subgroup(Record):
    """The primary metric of a row in one group of patients; figures are absent where ``too_small`` says why.

    Attributes:
        images, patients: size of the group.
        estimate, low, high, se, df, runs: as in ``Interval``.
        versus_real_only: paired difference, p not adjusted; None for the baseline.
        quality: figures of merit.
    """

    images: int
    patients: int
    too_small: str | None
    estimate: Number | None = None
    low: Number | None = None
    high: Number | None = None
    se: Number | None = None
    df: Number | None = None
    runs: int | None = None
    versus_real_only: Difference | None = None
    quality: OverallQuality | None = None

    @model_serializer(mode="wrap")
    def _compact(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        record = handler(self)
        return {k: record[k] for k in ("images", "patients", "too_small")} if self.too_small else record
