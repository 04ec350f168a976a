"""Records over all rows of a comparison: rank tests, variance, association and power.

P values are two-sided, 0 to 1. ``reason`` explains why numbers are None, else it is None.
"""

from benchmark.comparison.record_base import Number, Record


class RankTest(Record):
    """A rank test of all rows."""

    statistic: Number | None  # corrected for ties
    df: int | None  # rows - 1
    p: Number | None
    method: str | None  # of p, in words
    reason: str | None


class KruskalWallis(RankTest):
    """The Kruskal-Wallis test over the run values; its statistic is H."""

    epsilon_squared: Number | None  # effect size, 0 to 1
    n: int  # runs in all


class PairTest(Record):
    """The test of rows ``a`` and ``b``; Nemenyi's p is adjusted by design."""

    a: str
    b: str
    p: Number


class DunnPair(PairTest):
    """Dunn's post hoc test."""

    z: Number  # positive where a has the larger values
    p_adjusted: Number
    method: str


class Friedman(RankTest):
    """Friedman's test over blocks of classifier, seed and fold; its statistic is chi-squared."""

    f: Number | None  # Iman and Davenport's statistic; None where all blocks agree
    kendall_w: Number | None  # 0 (blocks disagree) to 1 (blocks agree)
    critical_difference: Number | None  # of mean ranks, at level ``alpha``
    mean_ranks: dict[str, Number]  # by row; 1 is the best
    cliques: tuple[tuple[str, ...], ...]  # largest groups of rows with closer mean ranks, best first
    nemenyi: tuple[PairTest, ...]
    blocks: int
    alpha: Number


class VarianceComponent(Record):
    """One source of variance."""

    source: str  # a factor, or ``residual``
    variance: Number  # in the metric squared
    share: Number  # of the total, 0 to 1
    sd: Number  # in the metric
    levels: int  # of the factor; for the residual, the number of values


class Variance(Record):
    """Variance components of the primary metric over all runs of all generators."""

    components: tuple[VarianceComponent, ...]  # in the order of the factors, the residual last
    total: Number | None
    n: int  # values
    method: str
    left_out: dict[str, str]  # the reason, by factor
    reason: str | None


class Association(Record):
    """Spearman's correlation of an image measure with the difference to ``real_only``, over generators."""

    metric: str  # the primary metric
    rows: tuple[str, ...]
    expected_sign: int  # of rho where fidelity predicts utility: -1 where a low measure is good, else 1
    rho: Number | None  # -1 to 1
    low: Number | None
    high: Number | None
    p: Number | None
    n: int  # rows
    method: str | None
    reason: str | None


class Needed(Record):
    """The study that detects a difference."""

    difference: Number  # in the metric, above 0
    power: Number  # 0 to 1
    runs: int | None  # with the present patients; None where no number suffices
    patients: int | None  # with the present runs
    with_endless_runs: Number | None  # smallest detectable difference in this limit
    with_endless_patients: Number | None
    reason: str | None


class Power(Record):
    """Detectable differences to ``real_only``."""

    levels: tuple[Number, ...]  # of power; as text they are the keys of ``rows`` and ``mcnemar``
    rows: dict[str, dict[str, Number]]  # smallest detectable difference in the primary metric
    needed: dict[str, Needed]  # by row
    # smallest difference in accuracy that McNemar's test detects
    mcnemar: dict[str, dict[str, Number | None]]
