"""Smallest detectable differences against statsmodels, published numbers, inversion and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from benchmark.errors import MetricError
from benchmark.statistics import intervals
from benchmark.statistics.delong import delong
from benchmark.statistics.metrics import by_group
from benchmark.statistics.paired import mcnemar, mcnemar_clustered
from benchmark.statistics.power import (
    MOST,
    VarianceParts,
    detectable_mcnemar,
    needed,
    needed_mcnemar,
    smallest_detectable,
    study_power,
)

DRAWS = 2000
LEVELS = {"alpha": 0.05, "power": 0.8}


@pytest.mark.parametrize("pairs", [3, 5, 20, 200])
@pytest.mark.parametrize("power", [0.8, 0.95])
def test_detectable_agrees_with_statsmodels(pairs: int, power: float):
    """The effect size of the paired t test with n pairs is that of statsmodels."""
    effect = TTestPower().solve_power(nobs=pairs, alpha=0.05, power=power)
    result = smallest_detectable(1 / math.sqrt(pairs), pairs - 1, 0.05, power)
    assert result == pytest.approx(effect, rel=1e-3)


def test_detectable_of_a_normal_statistic():
    """The difference is z(0.975) + z(0.8) = 2.8016 standard errors, and 3.6048 for 95 %."""
    assert smallest_detectable(0.01, math.inf, 0.05, 0.8) == pytest.approx(0.028016, abs=1e-6)
    assert smallest_detectable(0.01, math.inf, 0.05, 0.95) == pytest.approx(0.036048, abs=1e-6)
    assert smallest_detectable(0.0, 5, 0.05, 0.8) == 0


def test_worked_example_of_the_paired_design():
    """With 45 % and 5 % discordant, 23 pairs are needed (powerandsamplesize.com, which cites Connor)."""
    assert needed_mcnemar(0.40, 0.50, **LEVELS) == 23


def test_detectable_difference_of_217_images():
    """With 15 % discordant it is 7.3 points at 80 % and 9.3 at 95 %; the published 0.52 points need 43,539
    images."""
    assert detectable_mcnemar(217, 0.15, 0.05, 0.8) == pytest.approx(0.07326, abs=1e-5)
    assert detectable_mcnemar(217, 0.15, 0.05, 0.95) == pytest.approx(0.09350, abs=1e-5)
    assert needed_mcnemar(0.0052, 0.15, 0.05, 0.8) == 43_539


@settings(max_examples=80, deadline=None)
@given(st.integers(30, 100_000), st.floats(0.02, 1), st.sampled_from([0.8, 0.95]), st.floats(1, 5))
def test_needed_images_invert_detectable_differences(images, share, power, effect):
    """The difference that n images detect needs n images."""
    difference = detectable_mcnemar(images, share, 0.05, power, effect)
    if difference is not None:
        assert needed_mcnemar(difference, share, 0.05, power, effect) == pytest.approx(images, abs=1)
        assert 0 < difference <= share


def test_too_few_discordant_images_detect_nothing():
    """Of forty images 10 % are discordant: four gained and none lost are not significant."""
    assert detectable_mcnemar(40, 0.1, **LEVELS) is None
    assert detectable_mcnemar(2, 0.5, **LEVELS) is None
    assert detectable_mcnemar(400, 0.1, **LEVELS, design_effect=10) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: detectable_mcnemar(100, 0.0, **LEVELS),
        lambda: detectable_mcnemar(100, 1.5, **LEVELS),
        lambda: detectable_mcnemar(0, 0.5, **LEVELS),
        lambda: detectable_mcnemar(100, 0.5, **LEVELS, design_effect=0),
        lambda: needed_mcnemar(0.0, 0.5, **LEVELS),
        lambda: needed_mcnemar(0.6, 0.5, **LEVELS),
        lambda: needed(None, 0.0, **LEVELS),
    ],
)
def test_faulty_arguments_are_refused(call):
    """Shares outside 0 to 1, a difference of 0 and one beyond the discordant images are refused."""
    with pytest.raises(MetricError, match="power"):
        call()


def power_of_mcnemar(images: int, share: float, difference: float, seed: int = 0) -> float:
    """Return the share of 2000 studies of n images in which McNemar's test is significant."""
    rng = np.random.default_rng(seed)
    shares = [(share + difference) / 2, (share - difference) / 2, 1 - share]
    return float(
        np.mean([mcnemar(int(g), int(v))["p"] < 0.05 for g, v, _ in rng.multinomial(images, shares, DRAWS)])
    )


@pytest.mark.parametrize(
    ("images", "share", "power"), [(217, 0.15, 0.8), (217, 0.15, 0.95), (1000, 0.08, 0.8)]
)
def test_mcnemar_has_the_power_of_the_formula(images: int, share: float, power: float):
    """Power in 2000 studies agrees within three points."""
    difference = detectable_mcnemar(images, share, 0.05, power)
    assert power_of_mcnemar(images, share, difference) == pytest.approx(power, abs=0.03)


def clustered_power(power: float, patients: int = 300, seed: int = 1) -> tuple[float, float]:
    """Return the power by the formula with the design effect, and as simulated, with four images per
    patient."""
    rng = np.random.default_rng(seed)

    def study(gain: float) -> tuple[np.ndarray, np.ndarray]:
        lean = rng.choice([-1, 1], patients, p=[0.5 - gain, 0.5 + gain])[:, None]  # of a patient to a row
        moved = rng.random((patients, 4)) < 0.15
        return (moved & (lean > 0)).sum(1), (moved & (lean < 0)).sum(1)

    null = [mcnemar_clustered(*study(0.0))["design_effect"] for _ in range(200)]
    difference = detectable_mcnemar(4 * patients, 0.15, 0.05, power, float(np.mean(null)))
    detected = [mcnemar_clustered(*study(difference / 0.3))["p"] < 0.05 for _ in range(DRAWS)]
    return power, float(np.mean(detected))


def test_clustered_mcnemar_has_the_power_of_the_formula():
    """With the design effect in the formula, power in 2000 studies agrees within three points."""
    wanted, result = clustered_power(0.8)
    assert result == pytest.approx(wanted, abs=0.03)


@pytest.mark.slow
def test_delong_has_the_power_of_the_formula():
    """A true difference of the detectable size is significant in 80 % of 2000 studies, within three
    points."""
    rng = np.random.default_rng(2)
    label = (np.arange(200) < 80).astype(int)

    def study(gain: float) -> dict:
        common = rng.normal(0, 0.7, 200)
        a, b = (common + rng.normal(0, 0.7, 200) + (1 + g) * label for g in (gain, 0))
        return delong(label, a, b)

    gain = 0.25
    many = [study(gain) for _ in range(DRAWS)]
    difference, error = np.mean([f["difference"] for f in many]), np.std([f["difference"] for f in many])
    scale = smallest_detectable(error, math.inf, 0.05, 0.8) / difference
    result = np.mean([study(gain * scale)["p"] < 0.05 for _ in range(DRAWS)])
    assert result == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("pairs", [4, 20])
def test_a_t_test_has_the_power_of_the_formula(pairs: int):
    """A true difference of the detectable size is significant in 80 % of 2000 paired t tests, within three
    points."""
    from scipy import stats

    difference = smallest_detectable(1 / math.sqrt(pairs), pairs - 1, **LEVELS)
    d = np.random.default_rng(3).normal(difference, 1, (DRAWS, pairs))
    assert (stats.ttest_1samp(d, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.03)


def drawn(
    rng: np.random.Generator, patients: int, runs: int, shared: float, run_sd: float, chance: float
) -> np.ndarray:
    """Draw (3, runs, 2 patients) normal values of three rows with variation by patient, training and
    prediction."""
    by_patient = rng.normal(0, shared, (3, 1, patients)).repeat(2, axis=-1)
    trained = rng.normal(0, run_sd, (3, runs, 1))
    return by_patient + trained + rng.normal(0, chance, (3, runs, 2 * patients))


def interval_of(values: np.ndarray) -> intervals.Interval:
    """Return the interval of the difference of the first two rows."""
    patient = np.arange(values.shape[-1]) // 2
    pooled = intervals.pooled_difference(values.mean(-1))
    return intervals.interval(values[0] - values[1], patient, pooled, **LEVELS)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 0.1]))
def test_the_components_reproduce_the_interval(seed: int, runs: int, shared: float, run_sd: float):
    """At the study's own runs and patients, error and detectable difference are those of the interval."""
    result = interval_of(drawn(np.random.default_rng(seed), 40, runs, shared, run_sd, 0.5))
    assert result.parts is not None
    assert result.parts.at(runs, 40) == pytest.approx((result.se, result.df))
    assert study_power(result.parts, **LEVELS) == pytest.approx(result.detectable)
    assert "parts" not in result.record()


def test_one_run_leaves_the_components_unknown():
    """With a single run the effect of more runs is unknown, and the reason states so."""
    one = intervals.interval(np.eye(1, 10), np.arange(10), None, **LEVELS)
    assert one.parts is None
    result = needed(one.parts, 0.01, **LEVELS)
    assert (result["runs"], result["patients"]) == (None, None)
    assert "one run" in result["reason"]


def test_other_numbers_by_hand():
    """C = 4 and B = 6, of which 2 by chance, at 3 runs and 50 patients give 2 + (4 + 1) / 4 at 4 runs and
    100."""
    parts = VarianceParts(shared=4.0, chance=2.0, between=6.0, between_df=10, runs=3, patients=50)
    assert parts.at(3, 50)[0] == pytest.approx(math.sqrt(4 + 6 / 3))
    se, df = parts.at(4, 100)
    assert se == pytest.approx(math.sqrt(2 + 5 / 4))
    assert df == pytest.approx(3.25**2 / (4 / 99 + 1.25**2 / 15))
    assert parts.at(math.inf, 50) == (pytest.approx(2.0), pytest.approx(49))
    assert parts.at(3, math.inf)[0] == pytest.approx(math.sqrt(4 / 3))


def test_needed_numbers_are_the_least_that_suffice():
    """One less is not enough; if patients alone vary too much, no number of runs is."""
    parts = VarianceParts(shared=4e-4, chance=1e-4, between=9e-4, between_df=16, runs=3, patients=200)
    result = needed(parts, 0.06, **LEVELS)
    for what in ("runs", "patients"):
        assert study_power(parts, **LEVELS, **{what: result[what]}) <= 0.06
        assert study_power(parts, **LEVELS, **{what: result[what] - 1}) > 0.06
        assert result[f"with_endless_{what}"] < 0.06
    assert result["reason"] is None
    out_of_reach = needed(parts, 0.05, **LEVELS)
    assert out_of_reach["runs"] is None
    assert out_of_reach["with_endless_runs"] > 0.05
    assert "no number of runs suffices" in out_of_reach["reason"]
    assert out_of_reach["patients"] > result["patients"]
    tiny = needed(VarianceParts(4.0, 0.0, 0.0, 16, 3, 200), 1e-3, **LEVELS)
    assert f"more than {MOST:,} patients" in tiny["reason"]


@pytest.mark.slow
@pytest.mark.parametrize(("runs", "patients"), [(3, 120), (8, 120), (3, 480), (8, 480)])
def test_larger_studies_have_the_predicted_power(runs: int, patients: int):
    """With components averaged over studies of 3 runs and 120 patients, larger studies have a power of 77 to
    85 % (2000 studies).

    Not 80, since ``intervals.interval`` is conservative about the trainings' part of a small study.
    """
    rng = np.random.default_rng([runs, patients])
    levels = (0.6, 0.05, 0.5)
    small = [interval_of(drawn(rng, 120, 3, *levels)).parts for _ in range(300)]
    means = (float(np.mean([getattr(p, n) for p in small])) for n in ("shared", "chance", "between"))
    mean = VarianceParts(*means, between_df=small[0].between_df, runs=3, patients=120)
    difference = study_power(mean, **LEVELS, runs=runs, patients=patients)
    result = 0
    for _ in range(DRAWS):
        values = drawn(rng, patients, runs, *levels)
        values[0] += difference
        result += interval_of(values).p < 0.05
    assert 0.77 <= result / DRAWS <= 0.85


def test_the_components_serve_metrics_of_classes():
    """For balanced accuracy twice the patients nearly halve the error shared by runs; more runs leave it
    unchanged."""
    rng = np.random.default_rng(0)

    def parts(patients: int) -> float:
        label = np.arange(2 * patients) // 2 % 3
        result = [
            interval_of(
                by_group((drawn(rng, patients, 3, 0.6, 0.1, 0.5) > -0.5).astype(float), label)
            ).parts.shared
            for _ in range(100)
        ]
        return float(np.mean(result))

    assert parts(240) / parts(120) == pytest.approx(0.5, abs=0.1)


if __name__ == "__main__":
    for images, share in ((217, 0.15), (500, 0.1), (1000, 0.08), (400, 0.3)):
        for power in (0.8, 0.95):
            difference = detectable_mcnemar(images, share, 0.05, power)
            print(f"{images} images, {share:.0%} discordant, {power:.0%}: {100 * difference:.2f} points, "
                  f"found in {power_of_mcnemar(images, share, difference):.1%}")  # fmt: skip
    print("clustered", *clustered_power(0.8), *clustered_power(0.95))
