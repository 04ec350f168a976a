"""Intervals of a reader study: readers and images both vary.

The variance is that of Obuchowski and Rockette (1995), with the degrees of freedom of Hillis (2007), as in
``intervals``; here not every reader needs to see every image. Wilson's interval of a share uses the number of
independent answers with the same variance, so that 0 errors in 32 answers do not look certain.
docs/readers.md shows the simulations behind this choice.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.bootstrap import AT_ONCE, REPLICATES, SEED, percentile_interval


@dataclass(frozen=True)
class Variance:
    """Variance of an estimate over new readers and new images."""

    total: float  # of the estimate
    df: float  # degrees of freedom of the t distribution
    readers: int  # this and the next: sample sizes
    images: int


@dataclass(frozen=True)
class ReaderInterval:
    """An estimate with its interval of level 1 - alpha; ``bootstrap_*`` by resampling, for comparison."""

    estimate: float
    low: float
    high: float
    se: float
    df: float
    readers: int
    images: int
    bootstrap_low: float | None = None
    bootstrap_high: float | None = None

    def record(self) -> dict[str, float | None]:
        """As JSON values."""
        return asdict(self)


def variance(
    influence: np.ndarray, reader: np.ndarray, image: np.ndarray, part: np.ndarray | None = None
) -> Variance:
    """Variance of an estimate from the influences of single answers.

    The part between readers is the sum of squares of the readers' summed influences, times R / (R - 1). The
    part that readers share, since they see the same images, is the sum of products of different readers'
    influences on one image. The variance is their sum, at least the variance over images alone. With one
    reader it is that of the images alone and does not describe other readers.

    Args:
        influence: (n,) derivative of the estimate with respect to the weight of an answer; sums to 0 over
            each part.
        reader, image: (n,) labels.
        part: (n,) integer labels of the sets of images that the estimate averages over; None for one set.
    Raises:
        MetricError: fewer than two images.
    Source: Obuchowski and Rockette 1995, with the degrees of freedom of Hillis 2007; for complete designs
        equal to the variance of ``intervals.interval``.
    """
    readers, images = len(np.unique(reader)), len(np.unique(image))
    if images < 2:
        raise MetricError("reader study", f"there is {images} image", "At least two are needed.")
    of_images = _between(influence, image)
    if readers < 2:
        return Variance(of_images, images - 1, readers, images)
    of_readers = _between(influence, reader)
    shared = _shared(influence - _means(influence, reader, part), image)
    both = shared + of_readers
    spread = of_readers**2 / (readers - 1) + shared**2 / (images - 1)
    df = both**2 / spread if spread > 0 else images - 1
    return Variance(max(both, of_images), float(df), readers, images)


def _between(influence: np.ndarray, group: np.ndarray) -> float:
    """Sum of squares of the groups' summed influences, times k / (k - 1)."""
    sums = np.bincount(np.unique(group, return_inverse=True)[1], weights=influence)
    return float((sums**2).sum()) * len(sums) / (len(sums) - 1)


def _means(influence: np.ndarray, reader: np.ndarray, part: np.ndarray | None) -> np.ndarray:
    """(n,) mean influence of the same reader in the same part: the severity of the reader."""
    cell = np.unique(reader, return_inverse=True)[1]
    if part is not None:
        cell = cell * (int(part.max()) + 1) + part
    return np.asarray((np.bincount(cell, weights=influence) / np.maximum(np.bincount(cell), 1))[cell])


def _shared(influence: np.ndarray, image: np.ndarray) -> float:
    """Covariance of two readers on the same images, from the products of their influences on each image."""
    code = np.unique(image, return_inverse=True)[1]
    seen, sums = np.bincount(code), np.bincount(code, weights=influence)
    products = sums**2 - np.bincount(code, weights=influence**2)
    weight = seen / np.maximum(seen - 1, 1)
    return max(float((weight * products).sum()) * len(seen) / (len(seen) - 1), 0.0)


def mean_interval(
    estimate: float, variance: Variance, alpha: float, lowest: float, highest: float
) -> ReaderInterval:
    """t interval of a mean, limited to its scale."""
    from scipy import stats

    half = float(stats.t.ppf(1 - alpha / 2, variance.df) * np.sqrt(variance.total))
    return _interval(estimate, max(lowest, estimate - half), min(highest, estimate + half), variance)


def share_interval(share: float, variance: Variance, alpha: float) -> ReaderInterval:
    """Wilson's interval of a share, with the t quantile and the effective number of answers.

    A share of 0 or 1 has no observed variance. Then each image counts as one answer, since the answers of
    several readers to one image may be perfectly correlated.

    Source: Wilson 1927; the effective number as in Korn and Graubard 1998.
    """
    from scipy import stats

    t = float(stats.t.ppf(1 - alpha / 2, variance.df))
    n = share * (1 - share) / variance.total if variance.total > 0 else variance.images
    center = (share + t * t / (2 * n)) / (1 + t * t / n)
    half = t * np.sqrt(share * (1 - share) / n + t * t / (4 * n * n)) / (1 + t * t / n)
    return _interval(share, max(0.0, float(center - half)), min(1.0, float(center + half)), variance)


def _interval(estimate: float, low: float, high: float, variance: Variance) -> ReaderInterval:
    se = float(np.sqrt(variance.total))
    return ReaderInterval(estimate, low, high, se, variance.df, variance.readers, variance.images)


def two_way_bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray],
    reader: np.ndarray,
    image: np.ndarray,
    *,
    alpha: float,
    replicates: int = REPLICATES,
    seed: int = SEED,
) -> tuple[float, float] | None:
    """Percentile interval by independent resampling of readers and of images.

    With one reader, only the images are resampled.

    Args:
        statistic: maps (b, n) weights of the answers to (b,) values, NaN where it is not defined.
        reader, image: (n,) labels.
    Returns:
        ``low`` and ``high``, see ``percentile_interval``.
    Source: the two-way ("pigeonhole") bootstrap of Owen 2007.
    """
    rng = np.random.default_rng(seed)
    codes = [np.unique(label, return_inverse=True)[1] for label in (image, reader)]
    sizes = [int(code.max()) + 1 for code in codes]
    counts = [
        rng.multinomial(k, np.full(k, 1 / k), replicates) if k > 1 else np.ones((replicates, 1))
        for k in sizes
    ]
    step = max(1, AT_ONCE // len(reader))
    weights = (
        counts[0][start : start + step, codes[0]] * counts[1][start : start + step, codes[1]]
        for start in range(0, replicates, step)
    )
    return percentile_interval(np.concatenate([statistic(w) for w in weights]), alpha)
