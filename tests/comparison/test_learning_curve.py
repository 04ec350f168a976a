"""Real-image equivalents against exact curves, scipy's fit, and simulation with a known truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from benchmark.comparison import learning_curve as lc
from benchmark.comparison.compare import compare
from benchmark.errors import SubmissionError
from benchmark.statistics import bootstrap, intervals
from benchmark.statistics.bootstrap import Pooled, Replicates, Resamples

SIZES = np.array([100.0, 200.0, 400.0, 800.0])
ALPHA = 0.05


@pytest.mark.parametrize("c", [0.1, 0.35, 1.0, 2.0])
def test_an_exact_law_is_fitted_and_inverted(c):
    """Noise-free values of a law give its parameters, and each value gives its number of images."""
    values = 0.9 - 0.4 * (SIZES / 100) ** -c
    law = lc.fit(SIZES, values[None])
    assert law.c[0] == pytest.approx(c, abs=1e-5)
    assert law.a[0] == pytest.approx(0.9, abs=1e-5)
    for n in (150.0, 800.0, 1500.0):
        assert law.images(law.at(n))[0] == pytest.approx(n)
        assert law.at(n)[0] == pytest.approx(0.9 - 0.4 * (n / 100) ** -c, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 100_000))
def test_no_fit_of_scipy_is_nearer(seed):
    """The sum of squares is never above that of ``curve_fit`` from several starts within the same bounds."""
    rng = np.random.default_rng(seed)
    values = 0.85 - 0.3 * (SIZES / 100) ** -0.5 + rng.normal(0, 0.03, 4)
    law = lc.fit(SIZES, values[None])
    own = sum((law.at(n)[0] - v) ** 2 for n, v in zip(SIZES, values, strict=True))
    for start in (0.2, 0.7, 1.5):
        (a, b, c), _ = optimize.curve_fit(
            lambda n, a, b, c: a - b * (n / 800) ** -c,
            SIZES, values, p0=(0.8, 0.1, start), bounds=((-np.inf, 0, 0.05), (1, np.inf, 3)), maxfev=5000,
        )  # fmt: skip
        assert own <= ((a - b * (SIZES / 800) ** -c - values) ** 2).sum() + 1e-9
    assert law.a[0] <= 1
    assert law.b[0] >= 0


def exact(values: np.ndarray, count: int = 50) -> lc.Curve:
    """Return a curve without noise."""
    return lc.Curve(SIZES, values, np.tile(values, (count, 1)))


def test_limits_are_reported_not_exceeded():
    """With f = 0.9 - 40 / n, 1200 images are read off; for 4000, and for unreachable values, only a bound is
    given."""
    curve = exact(0.9 - 40 / SIZES)
    zero = np.zeros(50)
    result = lc.equivalent(curve, 1 / 60, zero + 1 / 60, ALPHA)
    assert (result["total"], result["images"]) == (pytest.approx(1200), pytest.approx(400))
    assert result["bounds"] == {"images": None, "low": None, "high": None}
    for far in (0.04, 0.06):
        result = lc.equivalent(curve, far, zero + far, ALPHA)
        assert (result["images"], result["bounds"]["images"]) == (800, "more than")
    result = lc.equivalent(curve, -0.4, zero - 0.4, ALPHA)
    assert (result["images"], result["bounds"]["high"]) == (-700, "at most")


def test_a_row_like_real_only_is_worth_nothing_more_whatever_the_fit():
    """No difference to real_only is worth 0 images, even if the law misses the last point."""
    result = lc.equivalent(exact(np.array([0.5, 0.6, 0.7, 0.65])), 0.0, np.zeros(50), ALPHA)
    assert result["images"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("values", [[0.7, 0.7, 0.7, 0.7], [0.8, 0.75, 0.7, 0.65]])
def test_a_curve_that_does_not_rise_gives_no_number(values):
    """A flat or falling curve gives None, with the reason."""
    result = lc.equivalent(exact(np.array(values)), 0.05, np.full(50, 0.05), ALPHA)
    assert result["images"] is None
    assert "does not get better for sure from 100 to 800" in result["reason"]


def test_two_sizes_are_too_few():
    """Three parameters need three sizes."""
    curve = lc.Curve(SIZES[2:], np.array([0.7, 0.8]), np.tile([0.7, 0.8], (50, 1)))
    assert "has 2 sizes" in lc.equivalent(curve, 0.0, np.zeros(50), ALPHA)["reason"]


IMAGES = 600


def manifest(name: str) -> dict[str, Any]:
    """Return the fields of ``bundle.json`` that the comparison reads."""
    return {
        "task": "t", "profile": "demo", "protocol_hash": "h", "source": "s", "data_kind": "phantom",
        "classes": ["a", "b"], "image_size": 32, "primary_bracket": 20, "brackets": [10, 20],
        "seeds": [0, 1, 2], "classifiers": ["net"], "labels": "single", "positive": None, "folds": 1,
        "scenario": {}, "mix": {}, "subgroups": [], "status": "complete", "error": None, "memorization": None,
        "statistics": {"alpha": ALPHA, "correction": "holm", "power": 0.8, "margin": 0.02},
        "primary_metric": {"name": "balanced_accuracy", "direction": "maximize"},
        "row": {"name": name, "role": "control"},
        "data": {"fingerprint": "f", "splits": {"train": {"images": 800}}},
    }  # fmt: skip


def predictions(accuracy: dict[int, float]) -> pd.DataFrame:
    """Return predictions by bracket; every run has exactly that share of correct images in both classes."""
    parts = []
    for bracket, share in accuracy.items():
        for run in range(3):
            rng = np.random.default_rng([run, round(1000 * share)])
            label = np.arange(IMAGES) % 2
            right = rng.permuted(np.arange(IMAGES // 2) < round(share * IMAGES / 2)).repeat(2)
            one = np.where(right == (label == 1), 0.9, 0.1)
            ids = [f"i{k:03d}" for k in range(IMAGES)]
            parts.append(pd.DataFrame({
                "image_id": ids, "patient_id": ids, "label": label, "score_0": 1 - one, "score_1": one,
                "split": "test", "bracket": bracket, "classifier": "net", "seed": run, "fold": 0,
            }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def subsets(values: dict[int, float] | None = None) -> pd.DataFrame:
    """Return the curve 0.9 - 40 / n at 100, 200 and 400 of 800 images."""
    values = {n: 0.9 - 40 / n for n in (100, 200, 400)} if values is None else values
    parts = [predictions({0: v}).assign(share=n / 800, images=n) for n, v in values.items()]
    return pd.concat(parts, ignore_index=True)


def bundles() -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Return real_only with 0.85 at 800 images, and a generator worth 400 more at the primary bracket."""
    return [
        (manifest("real_only"), predictions({0: 0.85})),
        (manifest("gan"), predictions({10: 0.87, 20: 0.9 - 40 / 1200})),
        (manifest("noise"), predictions({10: 0.8, 20: 0.8})),
    ]


def test_predictions_with_a_known_curve_give_the_known_number():
    """0.9 - 40 / 1200 is worth 400 images more than 800; 533 at the best bracket; noise costs 400."""
    result = compare(bundles(), subsets()).to_json()
    gan = result["equivalent"]["gan"]
    assert gan["primary"]["bracket"] == 20
    assert gan["primary"]["images"] == pytest.approx(400, rel=1e-3)
    assert gan["primary"]["low"] < 400 < gan["primary"]["high"]
    assert gan["best"]["bracket"] == 10
    assert gan["best"]["chosen_by_result"] is True
    assert gan["best"]["images"] == pytest.approx(40 / 0.03 - 800, rel=1e-3)
    assert result["equivalent"]["noise"]["primary"]["images"] == pytest.approx(-400, rel=1e-3)
    assert result["equivalent"]["noise"]["best"]["bracket"] == 10
    curve = result["learning_curve"]
    assert [p["images"] for p in curve["points"]] == [100, 200, 400, 800]
    assert [p["estimate"] for p in curve["points"]] == pytest.approx([0.5, 0.7, 0.8, 0.85])
    assert (curve["law"]["a"], curve["law"]["b"], curve["law"]["c"]) == pytest.approx((0.9, 40, 1), rel=1e-3)
    assert "real_only" not in result["equivalent"]


def test_without_a_curve_the_records_are_empty():
    """The record has the keys, without values."""
    result = compare(bundles()).to_json()
    assert (result["learning_curve"], result["equivalent"]) == (None, {})


def test_a_class_of_two_patients_has_no_curve_and_a_note():
    """The class has too few patients: the curve is left out with a note, and the rest is computed."""

    def rare(table: pd.DataFrame) -> pd.DataFrame:
        number = table["image_id"].str[1:].astype(int)
        return table[(table["label"] == 0) | (number < 4)]

    result = compare([(m, rare(p)) for m, p in bundles()], rare(subsets())).to_json()
    assert result["learning_curve"] is None
    assert result["equivalent"] == {}
    assert any("There is no learning curve: fewer than 5 patients" in note for note in result["notes"])
    assert result["figures"]["test"]["20"]["gan"]["versus"]["real_only"]


def test_a_flat_curve_is_noted():
    """There is no number, and a note gives the reason."""
    result = compare(bundles(), subsets({100: 0.85, 200: 0.85, 400: 0.85})).to_json()
    assert result["equivalent"]["gan"]["primary"]["images"] is None
    assert any("does not get better for sure" in note for note in result["notes"])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 7}, "seed"),
        ({"images": 900}, "expected fewer than the whole of 800"),
        ({"images": 200}, "as many as for another share"),
        ({"image_id": "x"}, "image_id"),
    ],
)
def test_a_curve_of_something_else_is_refused(change, named):
    """A curve of other runs or images, or with impossible sizes, is refused."""
    with pytest.raises(SubmissionError, match=named):
        compare(bundles(), subsets().assign(**change))


def test_a_curve_of_some_runs_is_compared_with_these_runs():
    """With two of three seeds on the curve, rows are evaluated in these two."""
    curve = subsets()
    result = compare(bundles(), curve[curve["seed"] < 2]).to_json()
    assert result["learning_curve"]["runs"] == 2
    assert result["equivalent"]["gan"]["primary"]["images"] == pytest.approx(400, rel=1e-3)


PATIENTS, ROWS, RUNS, COUNT = 300, 6, 3, 300


def simulated(truth: float, studies: int, run_sd: float = 0.1) -> dict[str, float]:
    """Return coverage of the interval over studies of the law 0.9 - 0.4 (n / 100)^-0.5.

    An image is correct if a normal latent variable exceeds a threshold. Patients (two images each), runs, and
    the interaction of a row, or a size, with a patient add to it.
    """
    spread = np.sqrt(1 + 0.4**2 + run_sd**2 + 0.5**2)
    resamples, patient = Resamples(np.arange(2 * PATIENTS) // 2, COUNT), np.arange(2 * PATIENTS) // 2
    weight = np.concatenate(list(resamples.weights()))
    shares = 0.9 - 0.4 * (np.array([*SIZES, *[truth] * ROWS]) / 100) ** -0.5
    shift = spread * stats.norm.ppf(shares)[:, None, None]
    rng, stated, held, bounded, width = np.random.default_rng(int(truth)), 0, 0, 0, []
    for _ in range(studies):
        rows = len(shares)
        latent = rng.normal(0, 1, PATIENTS) + rng.normal(0, 0.4, (rows, 1, PATIENTS))
        latent = (latent + rng.normal(0, run_sd, (rows, RUNS, 1)))[..., patient]
        right = (latent + rng.normal(0, 0.5, latent.shape) + shift > 0).astype(float)
        drawn = right @ weight.T / weight.sum(1)
        every = [Replicates(r.mean(-1)[:, None], d[..., None]) for r, d in zip(right, drawn, strict=True)]
        values = right.mean(-1)
        mean = Pooled.of(values[:4, :, None], intervals.pooled_mean)
        versus = Pooled.of(values[3:, :, None], intervals.pooled_difference)
        draws = [
            bootstrap.draws(every[i], resamples, mean, widened=np.ones(1), stream=i)[:, 0] for i in range(4)
        ]
        curve = lc.Curve(SIZES, values[:4].mean(1), np.stack(draws, axis=1))
        own = every[4] - every[3]
        differences = bootstrap.draws(own, resamples, versus, widened=np.ones(1), stream=4)[:, 0]
        result = lc.equivalent(curve, float(own.estimate.mean()), differences, ALPHA)
        if result["images"] is not None:
            stated += 1
            true = truth - SIZES[-1]
            above = result["low"] <= true or result["bounds"]["low"] == "at most"
            below = true <= result["high"] or result["bounds"]["high"] == "more than"
            held += above and below
            bounded += result["bounds"]["high"] == "more than"
            width.append(result["high"] - result["low"])
    return {"stated": stated / studies, "held": held / max(stated, 1), "more than": bounded / max(stated, 1),
            "width": float(np.median(width)) if width else np.nan}  # fmt: skip


def test_the_interval_covers_the_true_number_of_images():
    """For a row worth 300 of 800 images more, at least 90 % of 60 intervals contain the truth."""
    result = simulated(1100, 60)
    assert result["stated"] == 1
    assert result["held"] >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("truth", [500, 800, 1100, 1400])
def test_the_interval_covers_the_true_number_in_95_percent_of_studies(truth):
    """For rows worth less than, as much as and more than the 800 images, coverage is 93 to 98 % of 600
    studies."""
    assert 0.93 <= simulated(truth, 600)["held"] <= 0.98


if __name__ == "__main__":  # the table that docs/statistics.md sums up
    for truth in (500, 800, 1100, 1400):
        print(truth, simulated(truth, 600), flush=True)
