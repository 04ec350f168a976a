"""Intervals over readers and images against closed forms, another implementation, and simulated coverage.

``PYTHONPATH=. python tests/statistics/test_crossed.py`` prints the table behind docs/readers.md.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from statsmodels.stats.proportion import proportion_confint

from benchmark.comparison.csv.realism import realism
from benchmark.errors import MetricError
from benchmark.statistics import intervals
from benchmark.statistics.crossed import Variance, mean_interval, share_interval, two_way_bootstrap, variance


def long(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values, readers and images of a (readers, images) table without its NaN."""
    r, i = np.nonzero(~np.isnan(table))
    return table[r, i], r, i


def of_mean(table: np.ndarray) -> Variance:
    """Return the variance of a table's mean."""
    values, reader, image = long(table)
    return variance((values - values.mean()) / len(values), reader, image)


def test_one_reader_is_the_textbook_standard_error():
    """With one reader the variance of the mean is s^2 / n with n - 1 degrees of freedom."""
    values = np.array([[3.0, 5.0, 4.0, 1.0]])
    result = of_mean(values)
    assert result.total == pytest.approx(values.var(ddof=1) / 4)
    assert (result.df, result.readers, result.images) == (3, 1, 4)


def test_complete_studies_are_those_of_the_runs():
    """If every reader rated every image, variance and degrees of freedom are Obuchowski and Rockette's."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        table = rng.normal(size=(4, 15)) + 2 * rng.normal(size=15) + rng.normal(size=(4, 1))
        result = of_mean(table)
        known = intervals.interval(table, np.arange(15), None, alpha=0.05, power=0.8)
        assert result.total == pytest.approx(known.se**2)
        assert result.df == pytest.approx(known.df)


def test_readers_who_agree_add_nothing():
    """Two identical readers count as one: the variance is that of the images."""
    own = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
    assert of_mean(np.array([own, own])).total == pytest.approx(own.var(ddof=1) / 5)


def test_images_of_no_variance_leave_that_of_readers():
    """If each of three readers gives every image one score, the error is the textbook error of three
    means."""
    table = np.array([[2.0], [3.0], [5.0]]) * np.ones((3, 4))
    result = of_mean(table)
    assert result.total == pytest.approx(np.var([2, 3, 5], ddof=1) / 3)
    assert result.df == pytest.approx(2)


@pytest.mark.parametrize(("right", "n"), [(3, 32), (11, 32), (32, 32), (0, 25)])
def test_shares_of_one_reader_are_wilsons(right, n):
    """With one answer per image and a normal quantile the interval is statsmodels' Wilson interval, 0 and 1
    included."""
    share = right / n
    result = share_interval(share, Variance(share * (1 - share) / n, np.inf, 1, n), 0.05)
    assert (result.low, result.high) == pytest.approx(proportion_confint(right, n, method="wilson"))


def test_a_mean_stays_on_its_scale():
    """The interval of a score from 1 to 5 is clipped at 5."""
    assert mean_interval(4.9, Variance(0.04, 5, 2, 6), 0.05, 1, 5).high == 5


def test_one_image_is_refused():
    """An interval over images needs at least two."""
    with pytest.raises(MetricError, match="1 image"):
        of_mean(np.array([[1.0], [2.0]]))


def test_the_bootstrap_draws_readers_and_images():
    """With one reader it is the plain bootstrap over images; its spread is the standard error of the mean."""
    values = np.random.default_rng(1).normal(size=200)
    image, one = np.arange(200), np.zeros(200)

    def mean(weight: np.ndarray) -> np.ndarray:
        return (weight @ values) / weight.sum(1)

    low, high = two_way_bootstrap(mean, one, image, alpha=0.05, replicates=4000)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(200), rel=0.06)
    assert two_way_bootstrap(lambda w: np.full(len(w), np.nan), one, image, alpha=0.05) is None


def draw(
    rng: np.random.Generator,
    readers: int,
    images: int,
    spread: tuple[float, float],
    level: float,
    seen: float,
) -> tuple[np.ndarray, ...]:
    """Draw answers of readers to synthetic and real images: logit(fake) = level + reader + image."""
    of_reader = rng.normal(0, spread[0], readers)[:, None]
    real = np.arange(2 * images) >= images
    of_image = rng.normal(0, spread[1], 2 * images)
    p = expit(np.where(real, -level, level) + of_reader + of_image)
    table = (rng.random(p.shape) < p).astype(float)
    table[rng.random(p.shape) >= seen] = np.nan
    called, reader, image = long(table)
    return called, np.where(real, "real", "gan")[image].astype(object), reader, image


def truth(spread: tuple[float, float], level: float) -> float:
    """Return the detection rate over all readers and images; by symmetry the error rate is 1 minus it."""
    width = np.hypot(*spread)
    return float(expit(level + width * np.random.default_rng(0).normal(size=400_000)).mean())


def coverage(
    studies: int,
    readers: int,
    images: int,
    spread: tuple[float, float],
    seen: float = 1.0,
    share: float = 0.7,
) -> dict[str, float]:
    """Return coverage and mean width of the intervals of detection rate and error rate."""
    rng = np.random.default_rng(7)
    level = float(logit(share))
    detected = truth(spread, level)
    result: dict[str, list[float]] = {}
    for _ in range(studies):
        record = realism(*draw(rng, readers, images, spread, level, seen), alpha=0.05, correction="holm")
        for name, known in (("fake_detection", detected), ("hype", 1 - detected)):
            own = record["models"]["gan"][name]
            for kind in ("", "bootstrap_"):
                low, high = own[f"{kind}low"], own[f"{kind}high"]
                result.setdefault(f"{kind}{name}", []).append(low <= known <= high)
                result.setdefault(f"{kind}{name} width", []).append(high - low)
    return {name: float(np.mean(v)) for name, v in result.items()}


NOTHING, IMAGES, BOTH, READERS = (0.0, 0.0), (0.3, 0.8), (0.8, 0.8), (0.8, 0.3)


def test_intervals_cover_the_truth_quickly():
    """With five readers of 36 images, who vary like the images, about 95 % of 150 intervals contain the
    truth."""
    result = coverage(150, 5, 36, BOTH)
    assert result["fake_detection"] > 0.9
    assert result["hype"] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("spread", [IMAGES, BOTH, READERS])
def test_intervals_cover_the_truth(spread):
    """With eight readers of 36 images (Segal et al.), 92 to 98.5 % of 500 intervals contain the truth."""
    result = coverage(500, 8, 36, spread)
    assert 0.92 <= result["fake_detection"] <= 0.985
    assert 0.92 <= result["hype"] <= 0.985


DESIGNS = (
    ("nothing", NOTHING), ("images", IMAGES), ("readers and images", BOTH), ("readers", READERS),
)  # fmt: skip


def main() -> None:
    """Print the table."""
    for readers, images, seen in (
        (1, 32, 1.0),
        (3, 18, 1.0),
        (3, 50, 1.0),
        (5, 36, 1.0),
        (8, 36, 1.0),
        (5, 60, 0.5),
    ):
        for name, spread in DESIGNS:
            if readers == 1 and spread[0]:
                continue
            result = coverage(300, readers, images, spread, seen)
            cells = [
                f"{100 * result[k]:.1f} ({100 * result[f'{k} width']:.0f})"
                for k in ("fake_detection", "bootstrap_fake_detection", "hype", "bootstrap_hype")
            ]
            print(f"| {readers} | {images} | {100 * seen:.0f} % | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
