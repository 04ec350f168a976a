"""Variance between fits: hand arithmetic, analysis of variance, and coverage of simulated truths.

``PYTHONPATH=. python tests/statistics/test_fits.py`` prints the table behind docs/statistics.md.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from benchmark.statistics import bootstrap, fits, intervals
from benchmark.statistics.bootstrap import Pooled, Resamples
from benchmark.statistics.power import FitVariance, VarianceParts, joined_fits, satterthwaite
from benchmark.statistics.quality import Reading, columns

LEVELS = {"alpha": 0.05, "power": 0.8}
TABLE = np.array([[0.70, 0.72, 0.74], [0.60, 0.66, 0.66]])  # two fits in three runs


def test_pooled_variance_between_fits_by_hand():
    """Fits' means of 0.72 and 0.64 have variance 0.0032; with a row of 0.5, 0.6, 0.7 it is 0.0232 / 3."""
    pooled = fits.between_fits([TABLE, np.array([[0.5], [0.6], [0.7]]), np.array([[0.1, 0.9]])])
    assert pooled is not None
    assert pooled == (pytest.approx((0.0032 + 0.02) / 3), 3)
    assert fits.between_fits([TABLE[:1]]) is None


def test_chance_and_added_variance_by_hand():
    """Residuals of 0.01 (four) and 0 (two) give a mean square of 0.0002, and a sixth of it is chance."""
    none = np.zeros(())
    by_chance = fits.chance(TABLE, none, none, none, none)
    assert by_chance == pytest.approx(0.0002 / 6)
    added, total = fits.added_by_fits(TABLE, none, by_chance)
    assert (total, added) == (pytest.approx(0.0032 / 2), pytest.approx(0.0016 - 0.0002 / 6))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 4), st.integers(2, 5), st.integers(0, 10**6))
def test_trainings_are_subtracted_as_in_an_analysis_of_variance(f, r, seed):
    """Without chance of patients the variance is (MS of fits - MS of interaction) / (F R) of statsmodels."""
    rng = np.random.default_rng(seed)
    table = rng.normal(0, 1, (f, 1)) + rng.normal(0, 1, r) + rng.normal(0, 0.5, (f, r))
    fit, run = np.indices((f, r))
    frame = pd.DataFrame({"y": table.ravel(), "fit": fit.ravel(), "run": run.ravel()})
    squares = anova_lm(ols("y ~ C(fit) + C(run)", frame).fit())["mean_sq"]
    none = np.zeros(())
    added, _ = fits.added_by_fits(table, none, fits.chance(table, none, none, none, none))
    assert added == pytest.approx(max(squares["C(fit)"] - squares["Residual"], 0) / (f * r), abs=1e-12)


def test_the_interaction_with_patients_is_recovered():
    """From expected variances, the interaction of fits and patients is exactly that over F."""
    p, pf, pr, pfr, f, r = 0.4, 0.3, 0.2, 0.1, 3, 4

    def expected(over_fits: int, over_runs: int) -> np.ndarray:
        return np.array(p + pf / over_fits + pr / over_runs + pfr / (over_fits * over_runs))

    table = np.zeros((f, r))
    result = fits.chance(table, expected(1, 1), expected(1, r), expected(f, 1), expected(f, r))
    assert result == pytest.approx(pf / f)


def test_equal_fits_add_nothing():
    """Refits that give the same predictions leave the interval of one fit."""
    values = np.random.default_rng(0).random((1, 3, 50)).repeat(2, axis=0)
    pooled = fits.between_fits([values.mean(-1)])
    assert pooled is not None
    own = fits.fit_variance(values, np.arange(50), pooled)
    assert (own.added, own.total) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12))
    once, twice = (intervals.interval(values[0], np.arange(50), None, **LEVELS, fits=f) for f in ((), [own]))
    assert (twice.low, twice.high, twice.df) == pytest.approx((once.low, once.high, once.df))


def test_a_few_fits_have_a_few_degrees_of_freedom():
    """Where two fits alone vary, the interval is that of Student's t with one degree of freedom."""
    between = FitVariance(0.0016, 0.0016, 1)
    result = intervals.interval(np.full((2, 10), 0.7), np.arange(10), None, **LEVELS, fits=[between])
    assert (result.df, result.se) == (pytest.approx(1), pytest.approx(0.04))
    assert result.high - result.estimate == pytest.approx(12.706 * 0.04, rel=1e-4)
    joined = joined_fits([between, between * 0.5])
    assert joined is not None
    assert (joined.added, joined.df) == (pytest.approx(0.002), 1)
    assert satterthwaite(1.0, [(1.0, 20)], replace(between, added=0.0, total=2.0)) == 1  # its least df


def test_shares_and_other_sizes_by_hand():
    """Of 4 + 2/2 by patients, 4/2 by trainings and 2 by fits, shares are 5/9, 2/9 and 2/9; fits stay, with
    their df."""
    parts = VarianceParts(4.0, 2.0, 6.0, 10, 2, 50, FitVariance(2.0, 3.0, 4))
    assert parts.shares() == pytest.approx({"patients": 5 / 9, "trainings": 2 / 9, "fits": 2 / 9})
    assert parts.at(2, 50)[0] == pytest.approx(3)
    assert parts.at(float("inf"), float("inf")) == (pytest.approx(np.sqrt(2)), 4)


def test_bootstrap_and_interval_agree_on_the_variance_between_fits():
    """For accuracy, the bootstrap's variance between fits is that of the influences."""
    rng = np.random.default_rng(3)
    label, patient = np.arange(400) % 2, np.arange(400) // 2
    right = rng.random((2, 3, 400)) < (0.7 + 0.1 * rng.random((2, 3, 1)) + 0.15 * rng.random((2, 1, 400)))
    scores = np.where(right[..., None] == np.stack([label == 0, label == 1], -1), 0.8, 0.2)
    readings = [Reading("binary", label, s) for s in scores.reshape(-1, 400, 2)]
    drawn = bootstrap.replicate(readings, Resamples(patient, 4000), fits=2)
    column = np.array([columns("binary", 2).index(("accuracy", None))])
    table = drawn.only(column).by_fit()[0]
    pooled = fits.between_fits([right.mean(-1)])
    assert pooled is not None
    every = Pooled.of_fits([table])
    assert every is not None
    expected = fits.fit_variance(right.astype(float), patient, pooled)
    between = bootstrap.between_fits_of(drawn.only(column), every)
    assert between[0] == pytest.approx(expected.added, rel=0.05)


@dataclass(frozen=True)
class Population:
    """Equally good rows: 240 patients with two images; standard deviations on a latent scale.

    Attributes:
        row, run, noise: of rows by patient, of runs, and of single predictions.
        fit: of fits; ``fit_run`` and ``fit_patient`` of their interactions.
        scale: factor on the fits of the first row.
    """

    row: float = 0.2
    run: float = 0.05
    noise: float = 0.3
    fit: float = 0.03
    fit_run: float = 0.05
    fit_patient: float = 0.2
    scale: float = 1.0
    generators: int = 4

    def right(self, rng: np.random.Generator, count: int, runs: int = 3) -> np.ndarray:
        """Draw (rows, F, R, n) correctness of the generators, then of five rows of one fit, in fit 0."""
        rows = self.generators + 5
        scale = np.concatenate([[self.scale], np.ones(self.generators - 1), np.zeros(5)]).reshape(-1, 1, 1, 1)
        latent = rng.normal(0, 1, 240) + rng.normal(0, self.row, (rows, 1, 1, 240))
        latent = latent + scale * rng.normal(0, self.fit_patient, (rows, count, 1, 240))
        latent = latent + scale * rng.normal(0, self.fit, (rows, count, 1, 1))
        latent = latent + rng.normal(0, self.run, (rows, 1, runs, 1))
        latent = (latent + rng.normal(0, self.fit_run, (rows, count, runs, 1))).repeat(2, axis=-1)
        return latent + rng.normal(0, self.noise, latent.shape) + 0.5 > 0

    def truth(self, scale: float) -> float:
        """Accuracy over all patients, trainings and fits of a row."""
        variance = 1 + self.row**2 + self.run**2 + self.fit_run**2 + self.noise**2
        fitted = scale**2 * (self.fit**2 + self.fit_patient**2)
        return float(stats.norm.cdf(0.5 / np.sqrt(variance + fitted)))


POPULATIONS = {
    "patients": Population(row=0.3, fit_patient=0.3),
    "trainings": Population(run=0.15, fit=0.1, fit_run=0.15),
    "single predictions": Population(fit_patient=0.3, noise=1.0),
    "fits": Population(fit=0.2),
    "fits, of two generators": Population(fit=0.2, generators=2),
    "fits, one row varying twice as much": Population(fit=0.15, scale=2.0),
}
PATIENT = np.arange(480) // 2


def study(right: np.ndarray, population: Population) -> dict[str, intervals.Interval]:
    """Return the intervals of a study: of a mean, to a row of one fit, and between two generators."""
    own, others = right[: population.generators], right[population.generators :, 0]
    over_fits = np.concatenate([own.mean(1), others])
    mean, versus = (pool(over_fits.mean(-1)) for pool in (intervals.pooled_mean, intervals.pooled_difference))
    pooled = fits.between_fits(list(own.mean(-1)))
    added = [fits.fit_variance(v, PATIENT, pooled) for v in own[:2]] if pooled else []
    shapes = {
        "mean": (over_fits[0], mean, added[:1]),
        "to a row of one fit": (over_fits[0] - over_fits[-1], versus, added[:1]),
        "between generators": (over_fits[0] - over_fits[1], versus, added),
    }
    return {name: intervals.interval(v, PATIENT, p, **LEVELS, fits=f) for name, (v, p, f) in shapes.items()}


def coverage(population: Population, count: int, studies: int) -> dict[str, tuple[float, float]]:
    """Return the share of intervals that cover the truth, and their mean width."""
    rng = np.random.default_rng([count, studies])
    own, usual, unfitted = (population.truth(s) for s in (population.scale, 1.0, 0.0))
    truth = dict(
        zip(
            ("mean", "to a row of one fit", "between generators"),
            (own, own - unfitted, own - usual),
            strict=True,
        )
    )
    results = [study(population.right(rng, count).astype(float), population) for _ in range(studies)]
    return {
        name: (
            float(np.mean([r[name].low <= t <= r[name].high for r in results])),
            float(np.mean([r[name].high - r[name].low for r in results])),
        )
        for name, t in truth.items()
    }


@pytest.mark.parametrize("count", [2, 3])
def test_several_fits_cover_the_truth(count):
    """Where fits vary most, 93 % or more of the intervals cover the value over all fits."""
    result = coverage(POPULATIONS["fits"], count, 400)
    assert all(0.93 <= share <= 0.99 for share, _ in result.values()), result


def test_one_fit_does_not():
    """One fit leaves refits out: where fits vary most, as many as known from its variance are missed."""
    population = POPULATIONS["fits"]
    result = coverage(population, 1, 400)
    slope = stats.norm.pdf(stats.norm.ppf(population.truth(1)))
    error = np.sqrt(2) * slope * population.fit / np.sqrt(1 + population.row**2 + population.noise**2)
    half = result["between generators"][1] / 2
    expected = 2 * stats.norm.cdf(half / np.sqrt((half / 1.98) ** 2 + error**2)) - 1
    assert result["between generators"][0] == pytest.approx(expected, abs=0.1)
    assert result["between generators"][0] < 0.7


def bootstrap_coverage(population: Population, count: int, studies: int) -> float:
    """Return the share of bootstrap intervals of accuracy that cover the truth."""
    rng = np.random.default_rng([count, studies, 1])
    truth, covered = population.truth(population.scale), 0
    label = np.zeros(480, dtype=int)
    label[::2] = 1
    column = np.array([columns("binary", 2).index(("accuracy", None))])
    for _ in range(studies):
        right = population.right(rng, count)[: population.generators]
        tables = list(right.mean(-1)[..., None])
        scores = np.where(right[0, ..., None] == np.stack([label == 0, label == 1], -1), 0.8, 0.2)
        readings = [Reading("binary", label, s) for s in scores.reshape(-1, 480, 2)]
        resamples = Resamples(PATIENT, 300, seed=int(rng.integers(1 << 30)))
        drawn = bootstrap.replicate(readings, resamples, fits=count).only(column)
        pooled = Pooled.of(np.stack([t.mean(0) for t in tables]), intervals.pooled_mean)
        low, high = bootstrap.bounds(drawn, resamples, pooled, np.array([240]), 0.05, Pooled.of_fits(tables))
        covered += low[0] <= truth <= high[0]
    return covered / studies


def test_the_bootstrap_covers_the_truth():
    """Where fits vary most, at least 90 % of 60 bootstrap intervals cover the value over all fits."""
    assert bootstrap_coverage(POPULATIONS["fits"], 2, 60) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("dominant", list(POPULATIONS))
@pytest.mark.parametrize("count", [2, 3])
def test_coverage_whatever_dominates(dominant, count):
    """Coverage is 93 % or more, and 87 % or more for a row whose fits vary twice as much as the others'."""
    least = 0.87 if "twice" in dominant else 0.93
    result = coverage(POPULATIONS[dominant], count, 1000)
    assert all(share >= least for share, _ in result.values()), result


if __name__ == "__main__":  # the table that docs/statistics.md sums up
    for dominant, population in POPULATIONS.items():
        for count in (1, 2, 3):
            cells = [f"{100 * c:.1f} ({100 * w:.1f})" for c, w in coverage(population, count, 1000).values()]
            print("|", dominant, "|", count, "|", " | ".join(cells), "|",
                  f"{100 * bootstrap_coverage(population, count, 200):.1f} |", flush=True)  # fmt: skip
