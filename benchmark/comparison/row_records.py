"""Records of one row: its metrics, differences, classes, figures of merit and subgroups.

Metrics and their differences are fractions: 1 is the best value, a difference of 0.01 is one point. P values
are two-sided, 0 to 1.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from benchmark.comparison.record_base import Estimate, Number, Record, is_none


class Bounds(Record):
    """An estimate with its bootstrap interval."""

    estimate: Number | None  # mean over runs; None where the metric is not defined
    low: Number | None  # None with a reason
    high: Number | None
    reason: str | None = Field(None, exclude_if=is_none)


class Interval(Estimate):
    """A mean over runs with its interval over test patients and trainings."""

    se: Number | None  # standard error, above 0; this and the next are None without an interval
    df: Number | None  # degrees of freedom of the t distribution
    runs: int
    images: int
    patients: int


class VarianceSources(Record):
    """Shares of the variance of a mean, 0 to 1."""

    patients: Number  # over patients, with these trainings and fits
    trainings: Number  # this and the next: what new ones add
    fits: Number


class MetricFigures(Interval):
    """One metric of a row. A row with one fit has neither values of fits nor sources of variance."""

    run_values: tuple[Number, ...]  # in the order of ``SplitSummary.runs``; means over fits
    fit_values: tuple[Number, ...] | None = Field(None, exclude_if=is_none)  # means over runs
    sources: VarianceSources | None = Field(None, exclude_if=is_none)  # None with one run, too


class Difference(Interval):
    """A paired difference of two rows, the first minus the second."""

    p: Number | None  # this and the next are None without an interval
    detectable: Number | None  # smallest true difference that the test detects with the task's power


class Rope(Record):
    """Posterior probabilities of a true difference below, within and above the margins; they sum to 1."""

    below: Number
    within: Number
    above: Number


class Equivalence(Record):
    """Two one-sided tests against a margin."""

    margin: Number  # smallest difference that matters, above 0
    p: Number  # the larger of the two one-sided p values
    equivalent: bool  # p is below alpha
    rope: Rope


class BaselineDifference(Difference):
    """A difference to a baseline."""

    equivalence: Equivalence | None  # this and the next are None without an interval
    p_adjusted: Number | None  # over all rows compared with this baseline in this metric


class ClusteredMcNemar(Record):
    """McNemar's test with images clustered by patient."""

    statistic: Number | None  # chi-squared; None where the method has none
    p: Number | None  # None where no patient is discordant
    p_adjusted: Number | None  # over the rows
    method: str  # in words
    patients: int
    discordant_patients: int  # with unequal gains and losses
    design_effect: Number | None  # factor on the variance due to clustering; None without discordant images


class McNemar(Record):
    """McNemar's test against ``real_only``, images taken as independent."""

    gained: int  # images that only the row classifies correctly
    lost: int  # images that only the baseline classifies correctly
    discordant: int  # their sum
    method: str
    statistic: Number | None
    p: Number | None  # None without discordant images
    p_adjusted: Number | None
    clustered: ClusteredMcNemar


class Area(Record):
    """An area under the ROC curve, 0 to 1; no interval for an area of 0 or 1."""

    auroc: Number
    se: Number
    low: Number | None
    high: Number | None


class DeLong(Record):
    """DeLong's test against ``real_only``, of scores averaged over runs, clustered by patient."""

    difference: Number  # of the areas, a minus b
    low: Number | None  # None where the components do not vary
    high: Number | None
    se: Number
    z: Number | None  # difference / se; None where the components do not vary
    df: Number | None  # None where infinite
    p: Number | None
    p_adjusted: Number | None  # over the rows
    reason: str | None  # of a missing number
    a: Area  # of the row
    b: Area  # of the baseline
    positives: int  # images
    negatives: int
    patients: int | None


class ClassFigures(Record):
    """One class of a row."""

    recall: Interval | None = Field(None, exclude_if=is_none)  # of single-label tasks
    auroc: Interval | None = Field(None, exclude_if=is_none)  # against the rest, of multi-label tasks
    precision: Number  # mean over runs, 0 to 1
    f1: Number
    images: int  # of the class
    versus_real_only: Difference | None  # in recall or AUROC; None for ``real_only`` or without it

    @property
    def value(self) -> Interval:
        """The metric of the class that has an interval: recall or AUROC."""
        value = self.recall or self.auroc
        assert value is not None
        return value


class RowFigures(Record):
    """A row at one bracket of one split. In JSON, each metric is a key beside the other fields."""

    own_bracket: int  # 0 for a row without added images
    metrics: dict[str, MetricFigures]  # in the order of ``Settings.metrics``
    per_class: dict[str, ClassFigures]
    versus: dict[str, dict[str, BaselineDifference]]  # by baseline and metric
    mcnemar: McNemar | None  # None for the baseline, without it, and for multi-label tasks
    delong: DeLong | None  # None except for binary tasks

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
    """One bin of a reliability diagram."""

    low: Number  # of the confidence, 0 to 1
    high: Number
    weight: Number  # share of all predictions, 0 to 1
    confidence: Number | None  # mean within the bin; None in an empty bin
    accuracy: Number | None


class Calibration(Record):
    """A reliability diagram over all runs."""

    bins: tuple[CalibrationBin, ...]  # of equal width


class OverallQuality(Record):
    """Figures of merit over all classes, by name."""

    overall: dict[str, Bounds]
    versus_real_only: dict[str, Bounds] | None  # None for the baseline


class RowQuality(OverallQuality):
    """All figures of merit of a row, with bootstrap intervals."""

    per_class: dict[str, dict[str, Bounds]]  # by class and name
    calibration: Calibration


class Subgroup(Record):
    """The primary metric of a row in one group of patients. A group that is too small has no figures."""

    images: int
    patients: int
    too_small: str | None  # the reason
    reason: str | None = Field(None, exclude_if=is_none)  # why the estimate has no interval
    estimate: Number | None = None  # this and the next as in ``Interval``
    low: Number | None = None
    high: Number | None = None
    se: Number | None = None
    df: Number | None = None
    runs: int | None = None
    versus_real_only: Difference | None = None  # p is not adjusted; None for the baseline
    quality: OverallQuality | None = None

    @model_serializer(mode="wrap")
    def _compact(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        record = handler(self)
        return {k: record[k] for k in ("images", "patients", "too_small")} if self.too_small else record
