"""Intervals of what several readers said of the same images: readers and images both vary.

The variance is that of Obuchowski and Rockette (1995), with the degrees of freedom of Hillis (2007), as in
``intervals``; here the readers are people, and not every reader needs to have seen every image. A share goes
into Wilson's interval with the number of independent answers that would vary as much, so that none wrong of
32 does not look certain. docs/readers.md shows the simulations that the choice rests on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.bootstrap import AT_ONCE, MOST_EMPTY, REPLICATES, SEED


@dataclass(frozen=True)
class Variance:
    """Variance of an estimate over new readers and new images.

    Attributes:
        total: of the estimate.
        df: degrees of freedom of the t distribution.
        readers, images: how many stand behind it.
    """

    total: float
    df: float
    readers: int
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

    What another set of readers would change is the sum of squares of the readers' summed influences, times
    R / (R - 1); what readers share because they see the same images is the sum of products of different
    readers' influences on one image. Their sum, and never less than the variance over images alone. One
    reader: that of the images alone, so it says nothing of other readers.

    Args:
        influence: (n,) what the estimate would change by, per weight, if the answer weighed a little more;
            sums to 0 over each part.
        reader, image: (n,) labels.
        part: (n,) labels of the sets of images whose means the estimate is made of; None for one.
    Raises:
        MetricError: fewer than two images.
    Source: Obuchowski and Rockette 1995, with the degrees of freedom of Hillis 2007; where every reader saw
        every image it is the variance of ``intervals.interval``.
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
    """(n,) mean influence of the same reader in the same part: how severe the reader is."""
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


def mean_interval(estimate: float, found: Variance, alpha: float, low: float, high: float) -> ReaderInterval:
    """t interval of a mean, cut where the scale ends."""
    from scipy import stats

    se = float(np.sqrt(found.total))
    half = float(stats.t.ppf(1 - alpha / 2, found.df)) * se
    return ReaderInterval(
        estimate, max(low, estimate - half), min(high, estimate + half), se, found.df,
        found.readers, found.images,
    )  # fmt: skip


def share_interval(share: float, found: Variance, alpha: float) -> ReaderInterval:
    """Wilson's interval of a share, with the t quantile and the number of answers that would vary as much.

    A share of 0 or 1 shows no variance; it counts as one answer an image then, since the answers of several
    readers to one image may all be one.

    Source: Wilson 1927; the effective number as in Korn and Graubard 1998.
    """
    from scipy import stats

    t = float(stats.t.ppf(1 - alpha / 2, found.df))
    n = share * (1 - share) / found.total if found.total > 0 else found.images
    center = (share + t * t / (2 * n)) / (1 + t * t / n)
    half = t * np.sqrt(share * (1 - share) / n + t * t / (4 * n * n)) / (1 + t * t / n)
    return ReaderInterval(
        share, max(0.0, float(center - half)), min(1.0, float(center + half)), float(np.sqrt(found.total)),
        found.df, found.readers, found.images,
    )  # fmt: skip


def two_way_bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray],
    reader: np.ndarray,
    image: np.ndarray,
    *,
    alpha: float,
    replicates: int = REPLICATES,
    seed: int = SEED,
) -> tuple[float, float] | None:
    """Percentile interval when readers and images are drawn with replacement, each on its own.

    With one reader, only the images are drawn. Resamples that the statistic is not defined for (NaN) are
    left out.

    Args:
        statistic: of (b, n) weights of the answers, to (b,) values.
        reader, image: (n,) labels.
    Returns:
        ``low`` and ``high``, or None where more than 5 % of the resamples are not defined.
    Source: the two-way ("pigeonhole") bootstrap of Owen 2007.
    """
    rng = np.random.default_rng(seed)
    codes = [np.unique(label, return_inverse=True)[1] for label in (image, reader)]
    counts = []
    for code in codes:
        k = int(code.max()) + 1
        counts.append(
            rng.multinomial(k, np.full(k, 1 / k), replicates) if k > 1 else np.ones((replicates, 1))
        )
    step = max(1, AT_ONCE // len(reader))
    drawn = np.concatenate(
        [
            statistic(counts[0][s : s + step, codes[0]] * counts[1][s : s + step, codes[1]])
            for s in range(0, replicates, step)
        ]
    )
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < (1 - MOST_EMPTY) * replicates:
        return None
    low, high = np.quantile(defined, [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)
