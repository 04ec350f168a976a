"""Variance components against published examples, closed forms, statsmodels and simulation."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

from benchmark.errors import BenchmarkError
from benchmark.statistics.variance import components

BATCHES = [batch for batch in "ABCDEF" for _ in range(5)]
# Davies and Goldsmith 1972, section 6.4, yields; lme4's data set Dyestuff.
DYESTUFF = [
    1545, 1440, 1440, 1520, 1580, 1540, 1555, 1490, 1560, 1495, 1595, 1550, 1605, 1510, 1560,
    1445, 1440, 1595, 1465, 1545, 1595, 1630, 1515, 1635, 1625, 1520, 1455, 1450, 1480, 1445,
]  # fmt: skip
# Box and Tiao 1973; lme4's data set Dyestuff2, whose batches vary less than expected by chance.
DYESTUFF2 = [
    7.298, 3.846, 2.434, 9.566, 7.99, 5.22, 6.556, 0.608, 11.788, -0.892, 0.11, 10.386, 13.434, 5.51, 8.166,
    2.212, 4.852, 7.092, 9.288, 4.98, 0.282, 9.014, 4.458, 9.446, 7.198, 1.722, 4.782, 8.106, 0.758, 3.758,
]  # fmt: skip
# Davies and Goldsmith 1972, section 6.6, millimeters, samples A to F of each plate; lme4's Penicillin.
PENICILLIN = [int(digits) for plate in (
    "27 23 26 23 23 21", "27 23 26 23 23 21", "25 21 25 24 24 20", "26 23 25 23 23 20", "25 22 26 22 23 20",
    "24 22 25 23 22 19", "24 20 23 21 22 19", "26 22 26 24 24 21", "24 21 24 22 22 20", "24 21 24 23 22 19",
    "26 23 26 24 24 21", "25 22 26 24 24 20", "26 24 26 24 25 22", "26 23 26 23 23 20", "26 23 25 24 24 22",
    "25 22 25 23 23 20", "25 21 24 23 23 20", "25 22 24 23 23 19", "24 21 23 21 21 19", "26 23 26 24 24 21",
    "25 21 24 22 22 18", "25 22 25 22 22 20", "24 21 24 22 24 19", "24 21 24 22 21 18",
) for digits in plate.split()]  # fmt: skip


def variances(result) -> dict[str, float]:
    return {c["source"]: c["variance"] for c in result["components"]}


def crossed(*sizes: int) -> list[np.ndarray]:
    """Return the levels of a full factorial design, as text."""
    return [grid.ravel().astype(str) for grid in np.meshgrid(*map(np.arange, sizes), indexing="ij")]


def test_dyestuff():
    """Published REML estimates are 1764 between batches and 2451 within; standard deviations are 42.00 and
    49.51."""
    result = components(DYESTUFF, {"batch": BATCHES})
    assert variances(result) == pytest.approx({"batch": 1764.05, "residual": 2451.25}, abs=0.05)
    batch, residual = result["components"]
    assert (batch["sd"], residual["sd"]) == pytest.approx((42.001, 49.510), abs=5e-4)
    assert (batch["share"], batch["levels"]) == (pytest.approx(1764.05 / 4215.3, abs=1e-4), 6)
    assert result["total"] == pytest.approx(4215.3, abs=0.05)


def test_a_variance_of_zero():
    """Dyestuff2's published REML estimates are 0 for batches and 13.81 for the residual, the variance of all
    30."""
    result = components(DYESTUFF2, {"batch": BATCHES})
    assert variances(result) == pytest.approx({"batch": 0, "residual": np.var(DYESTUFF2, ddof=1)})
    assert variances(result)["residual"] == pytest.approx(13.806, abs=5e-4)


def test_penicillin():
    """Published REML estimates of two crossed factors are 0.7169 for plates, 3.731 for samples, 0.3024 for
    the residual."""
    plate, sample = crossed(24, 6)
    result = variances(components(PENICILLIN, {"plate": plate, "sample": sample}))
    assert result == pytest.approx({"plate": 0.7169, "sample": 3.731, "residual": 0.3024}, abs=5e-4)


def by_mean_squares(y: np.ndarray) -> dict[str, float]:
    """Solve the expected mean squares of a balanced (a, b) table with one value per cell for the
    variances."""
    a, b = y.shape
    rows, columns = y.mean(1), y.mean(0)
    left = y - rows[:, None] - columns + y.mean()
    error = (left**2).sum() / ((a - 1) * (b - 1))
    return {
        "row": rows.var(ddof=1) - error / b,
        "seed": columns.var(ddof=1) - error / a,
        "residual": error,
    }


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 8), st.integers(3, 8), st.integers(0, 10**6))
def test_balanced_designs_agree_with_the_closed_form(a, b, seed):
    """In a balanced two-way table, non-negative estimates equal those from expected mean squares."""
    rng = np.random.default_rng(seed)
    y = rng.normal(0, 2, (a, 1)) + rng.normal(0, 1.5, b) + rng.standard_normal((a, b))
    expected = by_mean_squares(y)
    row, column = crossed(a, b)
    result = variances(components(y.ravel(), {"row": row, "seed": column}))
    if min(expected.values()) > 0.01:
        assert result == pytest.approx(expected, rel=1e-4)
    assert min(result.values()) >= 0


def statsmodels_fit(y: np.ndarray, factors: dict[str, np.ndarray]) -> dict[str, float]:
    names = list(factors)
    dummies = [np.eye(len(set(f)))[np.unique(f, return_inverse=True)[1]] for f in factors.values()]
    columns = [[[f"{n}{i}" for i in range(z.shape[1])]] for n, z in zip(names, dummies, strict=True)]
    effects = VCSpec(names, columns, [[z] for z in dummies])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = MixedLM(y, np.ones((len(y), 1)), groups=np.zeros(len(y)), exog_vc=effects).fit(reml=True)
    return {**dict(zip(names, fit.vcomp, strict=True)), "residual": fit.scale}


def test_agreement_with_statsmodels():
    """For three crossed factors, unbalanced by 40 missing values, the fit is that of MixedLM."""
    rng = np.random.default_rng(4)
    row, classifier, seed = crossed(8, 4, 5)
    effects = [scale * rng.standard_normal(8) for scale in (1.0, 2.0, 0.8)]
    y = sum(e[f.astype(int)] for e, f in zip(effects, (row, classifier, seed), strict=True))
    y = y + rng.standard_normal(160)
    chosen = rng.permutation(160)[:120]
    factors = {"row": row[chosen], "classifier": classifier[chosen], "seed": seed[chosen]}
    assert variances(components(y[chosen], factors)) == pytest.approx(
        statsmodels_fit(y[chosen], factors), rel=2e-3
    )


def test_scale_and_names_do_not_matter():
    """A metric times 100 has 10,000 times the variances; renamed levels change nothing."""
    plain = components(DYESTUFF, {"batch": BATCHES})
    scaled = components(
        np.array(DYESTUFF) * 1e-5 + 0.7, {"batch": [f"z{'FEDCBA'.index(b)}" for b in BATCHES]}
    )
    assert [c["share"] for c in scaled["components"]] == pytest.approx(
        [c["share"] for c in plain["components"]]
    )
    assert scaled["total"] == pytest.approx(plain["total"] * 1e-10)


def test_factors_that_cannot_be_estimated_are_left_out_with_a_note():
    """A factor of one level, one with a level per value, and one confounded with another are left out."""
    n = len(DYESTUFF)
    fold = [f"f{'ABCDEF'.index(b)}" for b in BATCHES]
    factors = {"bracket": ["10"] * n, "run": list(map(str, range(n))), "batch": BATCHES, "fold": fold}
    result = components(DYESTUFF, factors)
    assert list(variances(result)) == ["batch", "residual"]
    assert result["left_out"]["bracket"] == "one level"
    assert "residual" in result["left_out"]["run"]
    assert "batch" in result["left_out"]["fold"]


@pytest.mark.parametrize(
    ("values", "factors", "reason"),
    [
        ([1.0, 2.0], {"seed": ["0", "0"]}, "no factor"),
        ([1.0, 2.0], {}, "no factor"),
        ([1.0, 1.0, 1.0], {"seed": ["0", "0", "1"]}, "same"),
        ([1.0, 2.0, 3.0, 5.0], {"seed": list("0011"), "row": list("0120")}, "too few"),
        ([0.0, 1.0, 2.0, 0.5, 1.5, 2.5], {"seed": list("000111"), "row": list("012012")}, "no residual"),
    ],
)
def test_missing_components_have_a_reason(values, factors, reason):
    """Without factors, spread, enough values or a residual, there is a reason and no number."""
    result = components(values, factors)
    assert reason in result["reason"]
    assert (result["components"], result["total"], result["n"]) == ([], None, len(values))


@pytest.mark.parametrize("values", [[1.0, 2.0, float("inf")], [1.0, 2.0]])
def test_bad_values_and_lengths_are_refused(values):
    """A non-finite value and a value without its level are errors."""
    with pytest.raises(BenchmarkError):
        components(values, {"seed": ["0", "0", "1"]})


def study(rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draw 13 rows, 3 classifiers and 5 seeds with standard deviations 1, 1.5, 0.5 and a residual of 0.8, in
    points."""
    row, classifier, seed = crossed(13, 3, 5)
    sizes = ((row, 1.0), (classifier, 1.5), (seed, 0.5))
    y = sum(scale * rng.standard_normal(13)[f.astype(int)] for f, scale in sizes)
    return y + 0.8 * rng.standard_normal(195), {"row": row, "classifier": classifier, "seed": seed}


@pytest.mark.parametrize("draws", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_estimates_are_near_the_truth_on_average(draws):
    """Over studies of 13 rows and 15 runs each mean is within four standard errors of the truth.

    The bound at zero biases a factor of few levels upwards, but rarely the 2.25 of three classifiers.
    """
    rng = np.random.default_rng(0)
    result = np.array([list(variances(components(*study(rng))).values()) for _ in range(draws)])
    error = result.std(0, ddof=1) / np.sqrt(draws)
    assert (np.abs(result.mean(0) - [1.0, 2.25, 0.25, 0.64]) <= 4 * error + 0.01).all()


def test_it_is_quick():
    """13 rows of 15 runs take less than two seconds."""
    import time

    y, factors = study(np.random.default_rng(1))
    start = time.process_time()
    components(y, factors)
    assert time.process_time() - start < 2
