"""DeLong's test against hand calculation, the literal definition, a published data set and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from benchmark.errors import MetricError
from benchmark.statistics.delong import delong

DRAWS = 2000

# albumin, total protein, K-G score, benefit of surgery: the 43 complete patients of DeLong et al. 1988
TABLE = """3.0 5.8 10 0 3.2 6.3 5 1 3.9 6.8 3 1 2.8 4.8 6 0 3.2 5.8 3 1 0.9 4.0 5 0 2.5 5.7 8 0 1.6 5.6 5 1
    3.8 5.7 5 1 3.7 6.7 6 1 3.2 5.4 4 1 3.8 6.6 6 1 4.1 6.6 5 1 3.6 5.7 5 1 4.3 7.0 4 1 3.6 6.7 4 0
    2.3 4.4 6 1 4.2 7.6 4 0 4.0 6.6 6 0 3.5 5.8 6 1 3.8 6.8 7 1 3.0 4.7 8 0 4.5 7.4 5 1 3.7 7.4 5 1
    3.1 6.6 6 1 4.1 8.2 6 1 4.3 7.0 5 1 4.3 6.5 4 1 3.2 5.1 5 1 2.6 4.7 6 1 3.3 6.8 6 0 1.7 4.0 7 0
    3.7 6.1 5 1 3.3 6.3 7 1 4.2 7.7 6 1 3.5 6.2 5 1 2.9 5.7 9 0 2.1 4.8 7 1 2.8 6.2 8 0 4.0 7.0 7 1
    3.3 5.7 6 1 3.7 6.9 5 1 3.6 6.6 5 1"""
OVARIAN = np.array(TABLE.split(), dtype=float).reshape(-1, 4)


def kernel(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return (positives, negatives) with 1 for a correctly ordered pair and 1/2 for a tie."""
    positive, negative = score[label == 1][:, None], score[label == 0]
    return (positive > negative) + (positive == negative) / 2


def literal(label: np.ndarray, a: np.ndarray, b: np.ndarray, patient: np.ndarray) -> tuple[float, float]:
    """Compute difference and standard error by the sums of Obuchowski 1997, patient by patient."""
    gap = kernel(label, a) - kernel(label, b)
    area, m, n = gap.mean(), *gap.shape
    of_positive, of_negative = gap.mean(1), gap.mean(0)
    p_pos, p_neg = patient[label == 1], patient[label == 0]
    names, i10, i01 = np.unique(patient), len(np.unique(p_pos)), len(np.unique(p_neg))
    s10 = s01 = s11 = 0.0
    for name in names:
        x = sum(of_positive[p_pos == name]) - (p_pos == name).sum() * area
        y = sum(of_negative[p_neg == name]) - (p_neg == name).sum() * area
        s10, s01, s11 = s10 + x * x, s01 + y * y, s11 + x * y
    s10, s01 = s10 * i10 / ((i10 - 1) * m), s01 * i01 / ((i01 - 1) * n)
    s11 *= len(names) / (len(names) - 1)
    return area, np.sqrt(s10 / m + s01 / n + 2 * s11 / (m * n))


def test_by_hand():
    """Components 1, 1/2 and 1/2, 1 against all 1/2 give area 3/4, difference 1/4 and variance 2 (1/8) / 2."""
    result = delong(np.array([1, 1, 0, 0]), np.array([3, 1, 2, 0]), np.zeros(4))
    assert result["a"]["auroc"] == pytest.approx(0.75)
    assert (result["b"]["auroc"], result["b"]["se"]) == (0.5, 0.0)
    assert result["difference"] == pytest.approx(0.25)
    assert result["se"] == pytest.approx(np.sqrt(1 / 8))
    assert result["z"] == pytest.approx(0.25 * np.sqrt(8))
    assert result["p"] == pytest.approx(2 * stats.norm.sf(np.sqrt(0.5)))
    assert result["high"] == pytest.approx(0.25 + stats.norm.ppf(0.975) * np.sqrt(1 / 8))


def test_ovarian_cancer_example_of_delong():
    """The paper's data give the values of MLstatkit 0.1.91 and of the definition."""
    albumin, protein, kg, label = OVARIAN.T
    kg = 10 - kg
    for score, area, difference, se, z, p in (
        (albumin, 0.7365591398, 0.0107526882, 0.0953436177, 0.1127782690, 0.9102063472),
        (protein, 0.6478494624, -0.0779569892, 0.1046095887, -0.7452183897, 0.4561397075),
    ):
        result = delong(label, score, kg)
        got = [result["a"]["auroc"], *(result[k] for k in ("difference", "se", "z", "p"))]
        assert got == pytest.approx([area, difference, se, z, p], abs=1e-9)
        assert (result["difference"], result["se"]) == pytest.approx(literal(label, score, kg, np.arange(43)))
    assert (result["positives"], result["negatives"], result["df"]) == (31, 12, None)


@st.composite
def examples(draw):
    """Draw labels, two scores with ties, and patients, two or more on each side."""
    seed, size = draw(st.integers(0, 10_000)), draw(st.integers(12, 60))
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.arange(size) % draw(st.integers(2, 4)) == 0).astype(int)
    a, b = rng.integers(0, draw(st.integers(2, 30)), (2, size)) + label
    patient = rng.integers(0, size // 2, size)
    patient[np.flatnonzero(label)[:2]], patient[np.flatnonzero(label == 0)[:2]] = (100, 101), (102, 103)
    return label, a.astype(float), b.astype(float), patient


@settings(max_examples=60, deadline=None)
@given(examples())
def test_agrees_with_the_literal_definition_and_scikit_learn(example):
    """With ties and patients of both labels the double sums agree, and areas are scikit-learn's."""
    label, a, b, patient = example
    plain, clustered = delong(label, a, b), delong(label, a, b, patient)
    assert (plain["difference"], plain["se"]) == pytest.approx(literal(label, a, b, np.arange(len(label))))
    assert (clustered["difference"], clustered["se"]) == pytest.approx(
        literal(label, a, b, patient), abs=1e-12
    )
    assert plain["a"]["auroc"] == pytest.approx(roc_auc_score(label, a))
    assert plain["b"]["auroc"] == pytest.approx(roc_auc_score(label, b))


@settings(max_examples=30, deadline=None)
@given(examples())
def test_invariances(example):
    """Image order, patient names and monotone changes of a score have no effect; a swap flips the sign."""
    label, a, b, patient = example
    order = np.random.default_rng(0).permutation(len(label))
    base = delong(label, a, b, patient)
    moved = delong(label[order], np.exp(a[order]), b[order], 1000 - patient[order])
    swapped = delong(label, b, a, patient)
    for key in ("difference", "se", "low", "high", "p"):
        assert moved[key] == pytest.approx(base[key])
    assert (swapped["low"], swapped["p"]) == (pytest.approx(-base["high"]), pytest.approx(base["p"]))


def test_one_image_per_patient_is_the_plain_test():
    """Difference, error and z are those of the plain test; p uses t with degrees of freedom from both
    sides."""
    albumin, protein, _, label = OVARIAN.T
    plain, clustered = delong(label, albumin, protein), delong(label, albumin, protein, np.arange(43))
    for key in ("difference", "se", "z"):
        assert clustered[key] == pytest.approx(plain[key])
    assert 11 <= clustered["df"] <= 41
    assert clustered["p"] == pytest.approx(2 * stats.t.sf(abs(plain["z"]), clustered["df"]))


def test_copies_of_images_add_nothing():
    """Three equal images of every patient give the result of one."""
    albumin, protein, _, label = OVARIAN.T
    once = delong(label, albumin, protein, np.arange(43))
    thrice = delong(label.repeat(3), albumin.repeat(3), protein.repeat(3), np.arange(43).repeat(3))
    assert (thrice["difference"], thrice["se"]) == pytest.approx((once["difference"], once["se"]))
    assert delong(label.repeat(3), albumin.repeat(3), protein.repeat(3))["se"] < 0.6 * once["se"]


def test_without_spread_there_is_a_reason():
    """A score against itself, and a perfect score against a useless one, give a reason."""
    label, perfect = np.array([1, 1, 0, 0]), np.array([4.0, 3, 2, 1])
    same, apart = delong(label, perfect, perfect), delong(label, perfect, -perfect)
    assert (same["difference"], same["z"], same["p"]) == (0, None, None)
    assert "alike" in same["reason"]
    assert (apart["difference"], apart["z"], apart["p"]) == (1, None, None)
    assert "same for every image" in apart["reason"]
    assert (apart["a"]["low"], apart["a"]["high"]) == (None, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": np.array([1, 1, 1, 0])}, "label 0"),
        ({"patient": np.array([1, 1, 2, 3])}, "label 1"),
        ({"a": np.array([1, np.nan, 2, 3])}, "finite"),
        ({"b": np.ones(3)}, None),
        ({"patient": np.arange(3)}, "length"),
    ],
)
def test_faulty_input_is_refused(change: dict, words: str | None):
    """Too few images of a class, non-numeric scores and arrays of different length are refused."""
    arguments = {"label": np.array([1, 1, 0, 0]), "a": np.arange(4.0), "b": np.arange(4.0), **change}
    with pytest.raises(MetricError, match=words or "length"):
        delong(**arguments)


def studies(seed: int, patients: int, share: float, row_sd: float, most: int, better: float = 0.0):
    """Yield studies of two scores whose areas differ by ``better``; a patient's images share the score's
    error."""
    rng = np.random.default_rng(seed)
    positive = np.arange(patients) < round(share * patients)
    while True:
        owner = np.repeat(np.arange(patients), rng.integers(1, most + 1, patients))
        label, common = positive[owner].astype(int), rng.normal(0, 0.5, patients)[owner]
        a, b = (
            (1 + gain) * label
            + common
            + rng.normal(0, row_sd, patients)[owner]
            + rng.normal(0, 0.7, len(owner))
            for gain in (better, 0)
        )
        yield label, a, b, owner


def false_positives(seed: int, *setting: float) -> tuple[float, float]:
    """Return the shares of 2000 null studies with p < 5 %, by the plain and by the clustered test."""
    wrong = np.zeros(2)
    for _, (label, a, b, patient) in zip(range(DRAWS), studies(seed, *setting), strict=False):
        wrong += [delong(label, a, b)["p"] < 0.05, delong(label, a, b, patient)["p"] < 0.05]
    return tuple(wrong / DRAWS)


def test_plain_delong_fails_for_correlated_images_of_a_patient():
    """With 1 to 6 images of 60 patients, 18 of them positive, the clustered test has 3 to 7 % false
    positives, the plain one above 15 %."""
    plain, clustered = false_positives(3, 60, 0.3, 0.7, 6)
    assert 0.03 <= clustered <= 0.07
    assert plain > 0.15


INDEPENDENT = [(20, 0.5, 0.5, 1), (60, 0.1, 0.5, 1), (200, 0.3, 0.5, 1)]
CLUSTERED = [(30, 0.3, 0.7, 6), (60, 0.1, 0.7, 6), (120, 0.1, 0.7, 6), (120, 0.3, 0.7, 6), (120, 0.3, 0.0, 6)]


@pytest.mark.slow
@pytest.mark.parametrize("setting", INDEPENDENT)
def test_false_positives_of_the_plain_test(setting: tuple[float, ...]):
    """With one image per patient and at least 6 positives, both forms have 3 to 7 % false positives in 2000
    null studies."""
    plain, clustered = false_positives(3, *setting)
    assert 0.03 <= plain <= 0.07
    assert 0.03 <= clustered <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("setting", CLUSTERED)
def test_false_positives_of_the_clustered_test(setting: tuple[float, ...]):
    """With at least 6 positive patients, 3 to 7 % of 2000 null studies are significant."""
    assert 0.03 <= false_positives(3, *setting)[1] <= 0.07


@pytest.mark.slow
def test_intervals_of_high_areas_cover():
    """For a true area of 0.95 with 25 + 75 images the logit interval covers in 92.9 %, the symmetric one in
    87.7 %."""
    rng = np.random.default_rng(11)
    label, shift = (np.arange(100) < 25).astype(int), np.sqrt(2) * stats.norm.ppf(0.95)
    covered = np.zeros(2)
    for _ in range(DRAWS):
        result = delong(label, rng.normal(0, 1, 100) + shift * label, np.zeros(100))["a"]
        covered += [
            result["low"] <= 0.95 <= result["high"] if result["low"] else False,
            abs(result["auroc"] - 0.95) <= 1.96 * result["se"],
        ]
    logit, symmetric = covered / DRAWS
    assert 0.92 <= logit <= 0.97
    assert symmetric < 0.9


if __name__ == "__main__":
    for setting in (*INDEPENDENT, (60, 0.3, 0.5, 1), *CLUSTERED):
        print(setting, "plain {:.1%}, clustered {:.1%}".format(*false_positives(3, *setting)))
