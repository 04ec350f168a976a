"""Records over all rows of a comparison: rank tests, variance, association and power."""

from __future__ import annotations

from benchmark.comparison.record_base import Number, Record


class KruskalWallis(Record):
    """The Kruskal-Wallis test over the run values of all rows.

    Attributes:
        statistic: H, corrected for ties; ``df``: rows - 1.
        p: 0 to 1; ``method``: of p, in words.
        epsilon_squared: effect size, 0 to 1.
        n: runs in all.
        reason: why the numbers are None, or None.
    """

    statistic: Number | None
    df: int | None
    p: Number | None
    epsilon_squared: Number | None
    method: str | None
    n: int
    reason: str | None


class DunnPair(Record):
    """Dunn's post hoc test of rows ``a`` and ``b``; z is positive where a has the larger values."""

    a: str
    b: str
    z: Number
    p: Number
    p_adjusted: Number
    method: str


class NemenyiPair(Record):
    """Nemenyi's test of rows ``a`` and ``b``; p is adjusted by design."""

    a: str
    b: str
    p: Number


class Friedman(Record):
    """Friedman's test over blocks of classifier, seed and fold, with Nemenyi's of all pairs.

    Attributes:
        statistic: chi-squared, corrected for ties; ``df``: rows - 1.
        p: 0 to 1; ``method``: of p, in words.
        f: Iman and Davenport's statistic; None where all blocks agree.
        kendall_w: 0 (blocks disagree) to 1 (blocks agree).
        blocks: number of blocks.
        mean_ranks: by row; 1 is the best.
        critical_difference: of mean ranks, at level ``alpha``.
        cliques: the largest groups of rows whose mean ranks lie closer than that, best first.
        reason: why the numbers are None, or None.
    """

    statistic: Number | None
    df: int | None
    p: Number | None
    method: str | None
    f: Number | None
    kendall_w: Number | None
    critical_difference: Number | None
    mean_ranks: dict[str, Number]
    cliques: tuple[tuple[str, ...], ...]
    nemenyi: tuple[NemenyiPair, ...]
    blocks: int
    alpha: Number
    reason: str | None


class VarianceComponent(Record):
    """One source of variance.

    Attributes:
        source: the factor, or ``residual``.
        variance: in the metric squared; ``sd``: in the metric.
        share: of the total, 0 to 1.
        levels: of the factor; for the residual, the number of values.
    """

    source: str
    variance: Number
    share: Number
    sd: Number
    levels: int


class Variance(Record):
    """Variance components of the primary metric over all runs of all generators.

    Attributes:
        components: in the order of the factors, the residual last.
        total: their sum; None with a ``reason``.
        n: values; ``method``: in words.
        left_out: why, by factor.
    """

    components: tuple[VarianceComponent, ...]
    total: Number | None
    n: int
    method: str
    left_out: dict[str, str]
    reason: str | None


class Association(Record):
    """Spearman's correlation of an image measure with the difference to ``real_only``, over the generators.

    Attributes:
        metric: name of the primary metric.
        rows: the generators.
        expected_sign: of rho where fidelity predicts utility; -1 where a low measure is good, else 1.
        rho: -1 to 1, with its interval ``low`` to ``high``.
        p: two-sided; ``method``: of p, in words.
        n: rows.
        reason: why numbers are None, or None.
    """

    metric: str
    rows: tuple[str, ...]
    expected_sign: int
    rho: Number | None
    low: Number | None
    high: Number | None
    p: Number | None
    n: int
    method: str | None
    reason: str | None


class Needed(Record):
    """The study that detects a difference.

    Attributes:
        difference: in the metric, above 0; ``power``: 0 to 1.
        runs: with the present patients; ``patients``: with the present runs. None where no number suffices,
            as ``reason`` explains.
        with_endless_runs, with_endless_patients: smallest detectable differences in these limits.
    """

    difference: Number
    power: Number
    runs: int | None
    patients: int | None
    with_endless_runs: Number | None
    with_endless_patients: Number | None
    reason: str | None


class Power(Record):
    """Detectable differences to ``real_only``.

    Attributes:
        levels: of power, 0 to 1; as text they are the keys of ``rows`` and ``mcnemar``.
        rows: by row and level, the smallest detectable difference in the primary metric.
        needed: by row.
        mcnemar: by row and level, the smallest difference in accuracy that McNemar's test detects; None where
            none is detectable. Empty for multi-label tasks.
    """

    levels: tuple[Number, ...]
    rows: dict[str, dict[str, Number]]
    needed: dict[str, Needed]
    mcnemar: dict[str, dict[str, Number | None]]
