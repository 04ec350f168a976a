"""The bootstrap by patient against explicit resampling, the textbook and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics as sk

from benchmark.comparison.figures_of_merit import OF_ALL
from benchmark.errors import MetricError
from benchmark.statistics import bootstrap, intervals
from benchmark.statistics.bootstrap import Pooled, Replicates, Resamples
from benchmark.statistics.quality import Reading, columns

COLUMNS = [name for name, k in columns("binary", 2) if k is None]
ACCURACY, AUROC = COLUMNS.index("accuracy"), COLUMNS.index("auroc")


def interval(
    result: Replicates, column: int, resamples: Resamples, pooled: Pooled | None = None, patients: int = 1000
) -> tuple[float, float, float]:
    """Return estimate, low and high of one figure."""
    low, high = bootstrap.bounds(result, resamples, pooled, np.full(result.estimate.shape[1], patients), 0.05)
    return float(result.estimate[:, column].mean()), float(low[column]), float(high[column])


def drawn(seed: int, patients: int = 100, runs: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw labels, scores (R, n, 2) and patients, two images each."""
    rng = np.random.default_rng(seed)
    label = (np.arange(patients) % 3 == 0).astype(int).repeat(2)
    score = 1 / (1 + np.exp(-rng.normal(1.5 * label - 0.7, 1, (runs, 2 * patients))))
    return label, np.stack([1 - score, score], axis=-1), np.arange(2 * patients) // 2


def replicates(label: np.ndarray, scores: np.ndarray, resamples: Resamples) -> Replicates:
    """Return all figures of the runs of one binary row."""
    return bootstrap.replicate([Reading("binary", label, s) for s in scores], resamples)


def test_resamples_draw_whole_patients():
    """A resample draws as many patients as there are, with replacement; a patient's images have the same
    weight."""
    patient = np.array(["b", "a", "b", "c", "a"])
    (weight,) = Resamples(patient, 50).weights()
    assert (weight[:, 0] == weight[:, 2]).all()
    assert (weight[:, 1] == weight[:, 4]).all()
    assert (weight[:, [0, 1, 3]].sum(1) == 3).all()
    assert weight.max() > 1


def test_the_same_patients_get_the_same_resamples():
    """Resamples do not depend on patient names or on the block size."""
    one, other = (
        np.concatenate(list(Resamples(p, 40).weights())) for p in (np.arange(30), 7 * np.arange(30))
    )
    assert (one == other).all()
    bootstrap_step = np.concatenate(list(Resamples(np.arange(30_000), 40).weights()))
    assert bootstrap_step.shape == (40, 30_000)


def test_one_patient_is_refused():
    """With a single patient there is nothing to resample."""
    with pytest.raises(MetricError, match="one patient"):
        Resamples(np.zeros(4))


def test_a_replicate_is_the_figure_of_the_repeated_rows():
    """Each run's replicate equals scikit-learn's figure on the resampled images."""
    label, scores, patient = drawn(1)
    resamples = Resamples(patient, 5)
    result = replicates(label, scores, resamples).drawn
    for b, weight in enumerate(np.concatenate(list(resamples.weights())).astype(int)):
        rows = np.arange(len(label)).repeat(weight)
        for r, own in enumerate(scores):
            assert result[r, b, AUROC] == pytest.approx(sk.roc_auc_score(label[rows], own[rows, 1]))


def test_one_run_has_the_textbook_interval_of_a_share():
    """The accuracy of one run with one image per patient has the interval estimate -+ 1.96 s / sqrt(n)."""
    label, scores, _ = drawn(2, patients=500, runs=1)
    resamples = Resamples(np.arange(1000))
    share, low, high = interval(replicates(label, scores, resamples), ACCURACY, resamples)
    assert share == pytest.approx((scores[0].argmax(1) == label).mean())
    half = 1.96 * math.sqrt(share * (1 - share) / 1000)
    assert low == pytest.approx(share - half, abs=0.08 * half)
    assert high == pytest.approx(share + half, abs=0.08 * half)


def test_trainings_widen_like_the_interval_of_means():
    """For widely differing runs the width is that of the influence-function interval within 6 %."""
    label, scores, patient = drawn(3, patients=200)
    scores[1, :, 1] **= 2.5
    scores[2, :, 1] **= 0.4
    scores[..., 0] = 1 - scores[..., 1]
    resamples = Resamples(patient)
    pooled = intervals.RunVariance(0.004, 24)
    own = replicates(label, scores, resamples)
    every = Pooled(np.full(own.estimate.shape[1], pooled.variance), pooled.df)
    estimate, low, high = interval(own, ACCURACY, resamples, every)
    right = (scores.argmax(-1) == label).astype(float)
    expected = intervals.interval(right, patient, pooled, alpha=0.05, power=0.8)
    assert estimate == pytest.approx(expected.estimate)
    assert high - low == pytest.approx(expected.high - expected.low, rel=0.06)


def test_few_patients_widen_by_the_t_distribution():
    """Ten patients widen by the square root of 10/9, times 2.262 / 1.960; many patients do not."""
    assert bootstrap.widening(10, 0.05) == pytest.approx(math.sqrt(10 / 9) * 2.2622 / 1.95996, rel=1e-4)
    assert bootstrap.widening(100_000, 0.05) == pytest.approx(1, abs=1e-4)


def test_a_row_does_not_differ_from_itself():
    """Both rows use the same resamples, so the difference has no spread, and no interval."""
    label, scores, patient = drawn(4)
    resamples = Resamples(patient, 100)
    own = replicates(label, scores, resamples)
    estimate, *ends = interval(own - own, AUROC, resamples)
    assert estimate == 0
    assert np.isnan(ends).all()


@pytest.mark.parametrize(("positive", "given"), [(1, False), (2, False), (4, True), (20, True)])
def test_a_class_that_resamples_miss_too_often_has_no_interval(positive, given):
    """With m patients of a class, a share exp(-m) of the resamples has none: 14 % for two, 2 % for four."""
    _, scores, patient = drawn(5)
    label = (patient < positive).astype(int)
    resamples = Resamples(patient)
    estimate, low, high = interval(replicates(label, scores[:1], resamples), AUROC, resamples)
    assert estimate == pytest.approx(sk.roc_auc_score(label, scores[0, :, 1]))
    assert (np.isfinite(low), np.isfinite(high)) == (given, given)


ROWS = 6
CHANCES = {  # runs, and spread by row and patient, by run, by single prediction, and of the skill of a run
    "patients": (3, 0.7, 0.05, 0.3, 0.05),
    "trainings": (3, 0.3, 0.2, 0.6, 0.3),
    "five trainings": (5, 0.3, 0.15, 0.6, 0.2),
    "single predictions": (3, 0.4, 0.1, 1.0, 0.05),
}


def population(
    rng: np.random.Generator, patients: int, prevalence: float, rows: int, dominant: str, sharp: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels and scores (rows, R, n, 2) of equally good rows; two images per patient, both of one class.

    Scores are logistic in a normal latent variable, overconfident by the factor ``sharp``.
    """
    runs, row_sd, run_sd, noise, skill_sd = CHANCES[dominant]
    label = (rng.random(patients) < prevalence).astype(int).repeat(2)
    of_patient = rng.normal(0, 1, patients) + rng.normal(0, row_sd, (rows, 1, patients))
    latent = (of_patient + rng.normal(0, run_sd, (rows, runs, 1))).repeat(2, axis=-1)
    skill = 1.5 + rng.normal(0, skill_sd, (rows, runs, 1))
    score = 1 / (1 + np.exp(-sharp * (latent + rng.normal(0, noise, latent.shape) + skill * label - 1.2)))
    return label, np.stack([1 - score, score], axis=-1)


def truth(prevalence: float, dominant: str, sharp: float, draws: int = 100) -> np.ndarray:
    """Return (M,) figures for infinitely many test patients, mean over trainings."""
    rng, result = np.random.default_rng(1), []
    for _ in range(draws):
        label, scores = population(rng, 10_000, prevalence, 1, dominant, sharp)
        result += [Reading("binary", label, s).figures(np.ones((1, len(label))))[0] for s in scores[0]]
    return np.mean(result, axis=0)


def coverage(
    patients: int,
    prevalence: float,
    dominant: str,
    *,
    studies: int,
    names: tuple[str, ...],
    draws: int = 100,
    count: int = 300,
    sharp: float = 1.5,
) -> dict[str, float]:
    """Return the share of intervals that contain the truth; for ``ece``, its expectation in test sets of this
    size."""
    rng = np.random.default_rng([patients, int(100 * prevalence), len(dominant)])
    true, low, high, every = truth(prevalence, dominant, sharp, draws), [], [], []
    chosen = [COLUMNS.index(n) for n in names]
    for _ in range(studies):
        label, scores = population(rng, patients, prevalence, ROWS, dominant, sharp)
        own = [[Reading("binary", label, s) for s in row] for row in scores]
        estimates = np.array([bootstrap.estimates(r) for r in own])
        resamples = Resamples(np.arange(2 * patients) // 2, count, seed=int(rng.integers(1 << 30)))
        result = bootstrap.replicate(own[0], resamples)
        of_class = min(int(label.sum()), int((1 - label).sum())) // 2
        behind = np.array([patients if n in OF_ALL else of_class for n, _ in columns("binary", 2)])
        pooled = Pooled.of(estimates, intervals.pooled_mean)
        limits = bootstrap.bounds(result, resamples, pooled, behind, 0.05)
        low.append(np.clip(limits[0][chosen], 0, 1))
        high.append(np.clip(limits[1][chosen], 0, 1))
        every.append(estimates.mean((0, 1)))
    of_size = np.mean(every, axis=0)
    true = np.array([of_size[i] if n == "ece" else true[i] for i, n in zip(chosen, names, strict=True)])
    covered = (np.array(low) <= true) & (true <= np.array(high))
    return dict(zip(names, covered.mean(0).tolist(), strict=True))


def test_intervals_cover_the_truth():
    """In 60 studies of clustered patients coverage is at least 95 % minus three standard errors."""
    names = ("accuracy", "auroc", "auprc")
    result = coverage(150, 0.3, "patients", studies=60, names=names, draws=20, count=200)
    assert min(result.values()) >= 0.86, result


NAMED = tuple(n for n in COLUMNS if n not in ("precision", "recall", "macro_f1"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prevalence", "dominant"), [(0.3, "patients"), (0.3, "five trainings"), (0.1, "patients")]
)
def test_intervals_cover_the_truth_in_95_percent_of_studies(prevalence, dominant):
    """Coverage is 93 to 97 % of 500 studies, for shares, areas and the Brier score."""
    names = ("accuracy", "balanced_accuracy", "auroc", "auprc", "brier")
    result = coverage(240, prevalence, dominant, studies=500, names=names)
    assert all(0.93 <= share <= 0.97 for share in result.values()), result


if __name__ == "__main__":  # the table that docs/statistics.md sums up
    for shape in ((240, 0.3), (240, 0.1), (100, 0.1)):
        for dominant in CHANCES:
            result = coverage(*shape, dominant, studies=500, names=NAMED)
            print(
                *shape, dominant, {name: f"{100 * share:.1f} %" for name, share in result.items()}, flush=True
            )
