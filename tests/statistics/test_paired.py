"""McNemar's tests against published counts, hand calculation, statsmodels, enumeration and simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference

from benchmark.errors import MetricError
from benchmark.statistics.paired import MID_P_UP_TO, discordance, mcnemar, mcnemar_clustered

DRAWS = 2000
counts = st.integers(0, 60)


@pytest.mark.parametrize(
    ("method", "p"),
    [
        ("exact", 2 * (1 + 8) / 256),
        ("mid-p", 2 * (1 + 8) / 256 - 8 / 256),
        ("asymptotic", stats.chi2.sf(6**2 / 8, 1)),
        ("corrected", stats.chi2.sf(5**2 / 8, 1)),
    ],
)
def test_airway_example_of_fagerland(method: str, p: float):
    """Table 1 of Fagerland et al. 2013 (Bentur): 1 and 7 of 21 are discordant; mid-p is the exact p less C(8,
    1) / 2^8."""
    result = mcnemar(1, 7, method)
    assert (result["gained"], result["lost"], result["discordant"]) == (1, 7, 8)
    assert result["p"] == pytest.approx(p)
    assert mcnemar(7, 1, method)["p"] == result["p"]


@settings(max_examples=60, deadline=None)
@given(counts, counts)
def test_agrees_with_statsmodels(gained: int, lost: int):
    """statsmodels gives the same exact, asymptotic and corrected p values."""
    if gained + lost == 0:
        return
    table = [[5, gained], [lost, 9]]
    for method, options in (
        ("exact", {"exact": True}),
        ("asymptotic", {"exact": False, "correction": False}),
        ("corrected", {"exact": False, "correction": True}),
    ):
        if method == "corrected" and gained == lost:
            continue  # statsmodels then takes (0 - 1)^2, which calls equality a difference
        result = mcnemar(gained, lost, method)
        assert result["p"] == pytest.approx(min(reference(table, **options).pvalue, 1.0), abs=1e-12)


def test_mid_p_of_as_many_gained_as_lost():
    """Fagerland et al. 2013: for equal counts mid-p is 1 - C(4, 2) / 2^5."""
    assert mcnemar(2, 2, "mid-p")["p"] == pytest.approx(1 - 6 / 32)
    assert mcnemar(2, 2, "exact")["p"] == 1.0


def test_without_discordant_images_there_is_nothing_to_test():
    """Without discordant images there is no p, and the method states so."""
    result = mcnemar(0, 0)
    assert (result["p"], result["statistic"], result["method"]) == (None, None, "no discordant images")
    result = mcnemar_clustered(np.array([0, 1, 2]), np.array([0, 1, 2]))
    assert (result["p"], result["statistic"], result["discordant_patients"]) == (None, None, 0)


def test_the_number_of_discordant_images_determines_the_method():
    """Up to 50 discordant images use mid-p, more use chi-squared."""
    few, many = mcnemar(20, MID_P_UP_TO - 20), mcnemar(21, MID_P_UP_TO - 20)
    assert (few["method"], few["statistic"]) == ("mid-p binomial", None)
    assert (many["method"], many["statistic"]) == ("chi-squared", pytest.approx(9**2 / 51))
    one, none = np.ones(51, int), np.zeros(51, int)
    assert mcnemar_clustered(one, none)["method"] == "chi-squared clustered by patient"
    assert mcnemar_clustered(one[1:], none[1:])["method"] == "mid-p sign flips of patients"


@pytest.mark.parametrize("call", [lambda: mcnemar(-1, 2), lambda: mcnemar(1, 2, "midp")])
def test_faulty_arguments_are_refused(call):
    """Negative counts and unknown methods are refused."""
    with pytest.raises(MetricError, match="mcnemar"):
        call()


def test_faulty_counts_by_patient_are_refused():
    """Arrays of different length and negative counts are refused."""
    for gained, lost in (([1, 2], [1]), ([[1]], [[1]]), ([-1], [0])):
        with pytest.raises(MetricError, match="by patient"):
            mcnemar_clustered(np.array(gained), np.array(lost))


def test_clustered_by_hand():
    """d = 2, 1, -1, 0 gives (2)^2 / 6; of the 8 sums of +-2 +-1 +-1, 2 are larger than 2 in size and 4 equal
    it."""
    gained, lost = np.array([3, 1, 0, 2]), np.array([1, 0, 1, 2])
    result = mcnemar_clustered(gained, lost, "asymptotic")
    assert result["statistic"] == pytest.approx(4 / 6)
    assert result["p"] == pytest.approx(stats.chi2.sf(4 / 6, 1))
    assert result["design_effect"] == pytest.approx(6 / 10)
    assert (result["patients"], result["discordant_patients"]) == (4, 3)
    assert mcnemar_clustered(gained, lost, "exact")["p"] == pytest.approx(6 / 8)
    assert mcnemar_clustered(gained, lost, "mid-p")["p"] == pytest.approx(2 / 8 + 4 / 8 / 2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=9))
def test_sign_flips_agree_with_trying_all_signs(d: list[int]):
    """The convolution agrees with the enumeration of all signs."""
    if not any(d):
        return
    sums = np.abs([np.dot(signs, d) for signs in product((-1, 1), repeat=len(d))])
    at = abs(sum(d))
    gained, lost = np.maximum(d, 0), np.maximum(np.negative(d), 0)
    assert mcnemar_clustered(gained, lost, "exact")["p"] == pytest.approx((sums >= at).mean())
    mid = (sums > at).mean() + (sums == at).mean() / 2
    assert mcnemar_clustered(gained, lost, "mid-p")["p"] == pytest.approx(mid)


@settings(max_examples=40, deadline=None)
@given(counts, counts, st.sampled_from(["auto", "exact", "mid-p", "asymptotic"]))
def test_one_image_per_patient_is_the_plain_test(gained: int, lost: int, method: str):
    """With one image per patient the clustered test is the plain one."""
    which = np.arange(gained + lost + 3)
    clustered = mcnemar_clustered(which < gained, (which >= gained) & (which < gained + lost), method)
    plain = mcnemar(gained, lost, method)
    assert clustered["p"] == pytest.approx(plain["p"], abs=1e-12)
    assert clustered["statistic"] == pytest.approx(plain["statistic"])


def test_discordance_averages_the_scores_of_runs():
    """The prediction is that of the mean score: one confident run outvotes two uncertain ones."""
    row = np.array([[[0.1, 0.9]], [[0.6, 0.4]], [[0.6, 0.4]]])
    base = np.array([[[0.6, 0.4]]])
    gained, lost = discordance(np.array([1]), row, base, np.array(["p"]))
    assert (gained.tolist(), lost.tolist()) == ([1], [0])


def test_discordance_counts_by_patient():
    """Patients are sorted; those without a discordant image count 0."""
    right, wrong = [0.1, 0.9], [0.9, 0.1]
    a = np.array([[right, right, wrong, right, wrong]])
    b = np.array([[wrong, wrong, right, right, wrong]])
    gained, lost = discordance(np.ones(5, int), a, b, np.array(["z", "z", "z", "a", "m"]))
    assert (gained.tolist(), lost.tolist()) == ([0, 0, 2], [0, 0, 1])
    with pytest.raises(MetricError, match="several labels"):
        discordance(np.ones((5, 2)), a, b, np.arange(5))


def size_by_enumeration(images: int, share: float, method: str, level: float = 0.05) -> float:
    """Return the exact chance of p <= level over all outcomes, with gains and losses equally likely."""
    chance = stats.binom.pmf(np.arange(images + 1), images, share)
    total = 0.0
    for discordant in np.flatnonzero(chance > 1e-9):
        if discordant == 0:  # no test
            continue
        gained = np.arange(discordant + 1)
        p = np.array(
            [mcnemar(int(g), int(discordant - g), method)["p"] for g in gained[: len(gained) // 2 + 1]]
        )
        inside = stats.binom.pmf(gained, discordant, 0.5)
        both = np.concatenate([p, p[: len(gained) - len(p)][::-1]])
        total += chance[discordant] * inside[both <= level].sum()
    return total


@pytest.mark.parametrize(("images", "share", "exact"), [(100, 0.1, 0.022), (217, 0.15, 0.0317)])
def test_false_positives_by_enumeration(images: int, share: float, exact: float):
    """The exact size of auto is 4 to 5 %; the exact test is conservative, 2 to 3 %."""
    assert 0.04 <= size_by_enumeration(images, share, "auto") <= 0.05
    assert size_by_enumeration(images, share, "exact") == pytest.approx(exact, abs=5e-5)


@pytest.mark.parametrize("method", ["auto", "mid-p", "asymptotic"])
def test_false_positives_by_simulation(method: str):
    """With 217 images, 15 % discordant, 3 to 7 % of 2000 studies of equally good rows are significant."""
    drawn = np.random.default_rng(6).multinomial(217, [0.075, 0.075, 0.85], DRAWS)
    wrong = np.mean([mcnemar(int(gained), int(lost), method)["p"] < 0.05 for gained, lost, _ in drawn])
    assert 0.03 <= wrong <= 0.07


def test_why_few_discordant_images_take_mid_p():
    """Four discordant images agree in sign in 1 of 8 cases by chance, which chi-squared calls p < 5 %."""
    assert mcnemar(4, 0, "asymptotic")["p"] < 0.05
    assert mcnemar(4, 0, "mid-p")["p"] == pytest.approx(1 / 16)


def studies(seed: int, patients: int, row_sd: float, noise: float, most: int):
    """Yield null studies: gained and lost by patient, with 1 to ``most`` images, of equally good rows.

    A patient's images share an effect per row (``row_sd``).
    """
    rng = np.random.default_rng(seed)
    while True:
        owner = np.repeat(np.arange(patients), rng.integers(1, most + 1, patients))
        common = rng.normal(0.5, 1, patients)
        a, b = (
            (common + rng.normal(0, row_sd, patients))[owner] + rng.normal(0, noise, len(owner)) > 0
            for _ in "ab"
        )
        yield np.bincount(owner[a & ~b], minlength=patients), np.bincount(owner[b & ~a], minlength=patients)


def false_positives(seed: int, patients: int, row_sd: float, noise: float, most: int) -> tuple[float, float]:
    """Return the shares of 2000 null studies with p < 5 %, by the plain and by the clustered test."""
    wrong = np.zeros(2)
    for _, (gained, lost) in zip(range(DRAWS), studies(seed, patients, row_sd, noise, most), strict=False):
        plain = mcnemar(int(gained.sum()), int(lost.sum()))["p"]
        wrong += [plain < 0.05, mcnemar_clustered(gained, lost)["p"] < 0.05]
    return tuple(wrong / DRAWS)


def test_plain_mcnemar_fails_for_correlated_images_of_a_patient():
    """With 1 to 10 images of 60 patients the clustered test has 3 to 7 % false positives, the plain one above
    20 %."""
    plain, clustered = false_positives(0, 60, 0.5, 0.5, 10)
    assert 0.03 <= clustered <= 0.07
    assert plain > 0.2


SETTINGS = [
    (25, 0.5, 0.5, 10), (25, 0.7, 0.3, 4), (50, 1.0, 0.2, 10), (100, 0.01, 0.5, 10), (100, 0.7, 0.3, 4),
    (250, 0.5, 0.5, 10), (250, 1.0, 0.2, 10), (217, 0.7, 0.5, 1),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
def test_clustered_false_positives(setting: tuple[int, float, float, int]):
    """With 9 to 120 discordant patients and any correlation, 3 to 7 % of 2000 null studies are
    significant."""
    assert 0.03 <= false_positives(7, *setting)[1] <= 0.07


if __name__ == "__main__":
    for images, share in ((50, 0.2), (100, 0.1), (100, 0.15), (217, 0.15), (500, 0.2)):
        sizes = (
            size_by_enumeration(images, share, m)
            for m in ("exact", "mid-p", "asymptotic", "corrected", "auto")
        )
        print(images, share, "exact, mid-p, asymptotic, corrected, auto:", *(f"{100 * s:.1f}" for s in sizes))
    for setting in ((10, 0.5, 0.5, 10), (15, 0.5, 0.5, 10), *SETTINGS):
        print(setting, "plain {:.1%}, clustered {:.1%}".format(*false_positives(7, *setting)))
