"""Agreement between readers: published worked examples, outside references, simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from benchmark.errors import MetricError
from benchmark.statistics.agreement import KAPPA_WEIGHTS, LEVELS, krippendorff_alpha, weighted_kappa

NAN = float("nan")
FIVE = (1.0, 2.0, 3.0, 4.0, 5.0)
# Krippendorff 2011, section D: four observers, twelve units, seven values missing
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)
SKLEARN = {"nominal": None, "linear": "linear", "quadratic": "quadratic"}


@pytest.mark.parametrize(
    ("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_krippendorffs_four_observers(level, published):
    """Krippendorff 2011, sections C to E: 0.743, 0.815 and 0.849; the unit with a single value is ignored."""
    result = krippendorff_alpha(KRIPPENDORFF, FIVE, level)
    assert result["estimate"] == pytest.approx(published, abs=5e-4)
    assert (result["images"], result["readers"]) == (11, 4)
    assert result["low"] < result["estimate"] < result["high"]


def test_krippendorffs_two_observers():
    """Krippendorff 2011, sections A and B: binary data give 0.095, five nominal values 0.692."""
    binary = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]], dtype=float)
    assert krippendorff_alpha(binary, (0.0, 1.0), "nominal")["estimate"] == pytest.approx(0.095, abs=5e-4)
    named = np.array(
        [["abcde".index(c) + 1 for c in row] for row in ("aabbdcccedda", "babbbccceddd")], dtype=float
    )
    assert krippendorff_alpha(named, FIVE, "nominal")["estimate"] == pytest.approx(0.692, abs=5e-4)


def test_kappa_of_fleiss():
    """Fleiss 1981, Table 13.1, 100 patients: observed agreement 0.89, by chance 0.66, kappa 0.676."""
    table = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    ratings = np.array(
        [[i, j] for i in range(3) for j in range(3) for _ in range(table[i, j])], dtype=float
    ).T
    result = weighted_kappa(ratings, (0.0, 1.0, 2.0), "nominal")
    assert result["estimate"] == pytest.approx(0.23 / 0.34)
    # the large-sample standard error of Fleiss, Cohen and Everitt 1969 is 0.087: an interval of 0.34
    assert result["high"] - result["low"] == pytest.approx(0.34, abs=0.06)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(KAPPA_WEIGHTS), st.integers(2, 4))
def test_kappa_is_scikit_learns_over_pairs(seed, weights, readers):
    """On the images that both readers rated, a pair's kappa is scikit-learn's; the estimate is the mean over
    pairs."""
    rng = np.random.default_rng(seed)
    ratings = rng.integers(1, 6, (readers, 30)).astype(float)
    ratings[rng.random(ratings.shape) < 0.2] = NAN
    result = weighted_kappa(ratings, FIVE, weights)
    for pair in result["pairs"]:
        a, b = ratings[pair["a"]], ratings[pair["b"]]
        both = ~np.isnan(a) & ~np.isnan(b)
        known = cohen_kappa_score(a[both], b[both], labels=FIVE, weights=SKLEARN[weights])
        assert pair["estimate"] == pytest.approx(known)
        assert pair["images"] == both.sum()
    assert result["estimate"] == pytest.approx(np.mean([p["estimate"] for p in result["pairs"]]))


@given(st.integers(0, 10**6), st.sampled_from(LEVELS))
@settings(max_examples=25, deadline=None)
def test_alpha_does_not_depend_on_the_order(seed, level):
    """Alpha does not depend on the order of readers and images; perfect agreement gives 1."""
    rng = np.random.default_rng(seed)
    ratings = rng.integers(1, 6, (3, 12)).astype(float)
    ratings[:, 0] = [1, 2, 3]
    mixed = ratings[rng.permutation(3)][:, rng.permutation(12)]
    assert krippendorff_alpha(mixed, FIVE, level)["estimate"] == pytest.approx(
        krippendorff_alpha(ratings, FIVE, level)["estimate"]
    )
    assert krippendorff_alpha(ratings[[0, 0]], FIVE, level)["estimate"] == pytest.approx(1)


def test_independent_readers_agree_by_chance_alone():
    """Over 60 studies of three independent readers, mean alpha and mean kappa are 0."""
    rng = np.random.default_rng(0)
    studies = [rng.choice(FIVE, (3, 40), p=[0.1, 0.2, 0.4, 0.2, 0.1]) for _ in range(60)]
    for result in (
        [krippendorff_alpha(s, FIVE, "ordinal")["estimate"] for s in studies],
        [weighted_kappa(s, FIVE, "quadratic")["estimate"] for s in studies],
    ):
        assert np.mean(result) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize(
    ("ratings", "reason"),
    [
        ([[1, 2, NAN], [NAN, NAN, 3]], "no image was rated by two"),
        ([[1, 2, 3]], "no image was rated by two"),
        ([[2, 2, 2], [2, 2, 2]], "one rating throughout"),
        ([[1, NAN], [2, NAN]], "too few images"),
    ],
)
def test_a_missing_estimate_has_a_reason(ratings, reason):
    """Without two ratings of an image, or without variation, the result has a reason and no number."""
    for result in (
        krippendorff_alpha(np.array(ratings, dtype=float), FIVE, "ordinal"),
        weighted_kappa(np.array(ratings, dtype=float), FIVE, "linear"),
    ):
        assert reason in result["reason"]
        assert result["low"] is None


def test_invalid_ratings_are_refused():
    """A rating outside the scale and an unknown weighting or level are refused."""
    with pytest.raises(MetricError, match="6 is not on the scale"):
        krippendorff_alpha(np.array([[6.0, 1.0], [1.0, 1.0]]), FIVE, "ordinal")
    with pytest.raises(MetricError, match="cubic"):
        weighted_kappa(KRIPPENDORFF, FIVE, "cubic")
    with pytest.raises(MetricError, match="ratio"):
        krippendorff_alpha(KRIPPENDORFF, FIVE, "ratio")


def study(rng: np.random.Generator, readers: int, images: int) -> np.ndarray:
    """Return ratings by readers whose error is as large as the spread of quality."""
    perceived = 3 + rng.normal(0, 0.8, images) + rng.normal(0, 0.8, (readers, images))
    return np.clip(np.round(perceived), 1, 5)


def coverage(studies: int, readers: int, images: int) -> dict[str, float]:
    """Return the share of studies whose interval contains the value of 20,000 images."""
    known = study(np.random.default_rng(1), readers, 20_000)
    measures = {
        "alpha": lambda s: krippendorff_alpha(s, FIVE, "ordinal"),
        "kappa": lambda s: weighted_kappa(s, FIVE, "quadratic"),
    }
    truth = {name: _point(known, name) for name in measures}
    rng = np.random.default_rng(2)
    held = dict.fromkeys(measures, 0)
    for _ in range(studies):
        own = study(rng, readers, images)
        for name, measure in measures.items():
            result = measure(own)
            held[name] += result["low"] <= truth[name] <= result["high"]
    return {name: count / studies for name, count in held.items()}


def _point(ratings: np.ndarray, name: str) -> float:
    """Return the value for many images without an interval, computed in pieces with the same sums of
    pairs."""
    pieces = np.split(ratings, 40, axis=1)
    if name == "alpha":
        return float(np.mean([krippendorff_alpha(p, FIVE, "ordinal")["estimate"] for p in pieces]))
    return float(np.mean([weighted_kappa(p, FIVE, "quadratic")["estimate"] for p in pieces]))


@pytest.mark.slow
@pytest.mark.parametrize(("readers", "images"), [(2, 60), (3, 60), (3, 125)])
def test_intervals_cover_the_truth(readers, images):
    """The intervals of 91 to 98 % of 500 studies contain the true value."""
    result = coverage(500, readers, images)
    assert all(0.91 <= share <= 0.98 for share in result.values()), result
