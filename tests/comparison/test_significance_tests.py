"""Tests, power and variance beside a difference, on generated predictions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmark.comparison import significance_tests, variance_and_association
from benchmark.comparison.aligned_rows import AlignedRows, Protocol, Row, SplitImages
from benchmark.comparison.compared_rows import ComparedRows
from benchmark.statistics.intervals import interval
from benchmark.statistics.metrics import reported
from benchmark.statistics.paired import discordance
from benchmark.statistics.power import detectable_mcnemar

CLASSES = ("healthy", "ill")
ACCURACY = {"real_only": 0.7, "one": 0.8, "two": 0.8, "three": 0.62, "four": 0.9}


def study(brackets: tuple[int, ...] = (10, 20), runs: int = 3) -> AlignedRows:
    """Return five rows over 200 patients with two images each and two classes; all runs share the
    patients."""
    rng = np.random.default_rng(4)
    label, patient = np.repeat(rng.integers(0, 2, 200), 2), np.repeat(np.arange(200), 2)
    hard = np.repeat(rng.normal(size=200), 2)
    protocol = Protocol(
        classes=CLASSES, kind="binary", metrics=reported("binary", "balanced_accuracy"), folds=1,
        subgroups=(), primary_bracket=brackets[-1], brackets=brackets, seeds=tuple(range(runs)),
        classifiers=("net",), alpha=0.05, correction="holm", power=0.8,
    )  # fmt: skip
    images = SplitImages(
        np.array([f"i{n:03d}" for n in range(400)]), label, patient,
        tuple(("net", s, None) for s in range(runs)), False, {},
    )  # fmt: skip
    rows = []
    for name, accuracy in ACCURACY.items():
        own = (0,) if name == "real_only" else brackets
        scores = {}
        for bracket in own:
            logit = np.log(accuracy / (1 - accuracy)) + hard + rng.normal(0, 0.7, (runs, 400))
            positive = 1 / (1 + np.exp(-logit * (2 * label - 1)))
            scores["test", bracket] = np.stack([1 - positive, positive], -1)
        rows.append(Row(name, "control" if name == "real_only" else "generator", None, None, scores))
    return AlignedRows(protocol, {"test": images}, tuple(rows))


@pytest.fixture(scope="module")
def panel() -> ComparedRows:
    """Return the rows at the larger bracket."""
    return ComparedRows(study(), "test", 20)


def test_mcnemar_counts_images_and_patients(panel):
    """Gained minus lost is the difference in correct images of the mean score; both p values are adjusted."""
    result = significance_tests.mcnemar_by_row(panel, "real_only")
    assert set(result) == set(ACCURACY) - {"real_only"}
    right = {n: (s.mean(0).argmax(-1) == panel.label).sum() for n, s in panel.scores.items()}
    for name, record in result.items():
        assert record["gained"] - record["lost"] == right[name] - right["real_only"]
        assert record["clustered"]["patients"] == 200
        assert 0 < record["clustered"]["design_effect"] <= 2  # two images a patient
    plain = sorted(result.values(), key=lambda r: r["p"])
    assert plain[0]["p_adjusted"] == pytest.approx(min(1, 4 * plain[0]["p"]))


def test_delong_compares_the_positive_class_of_mean_scores(panel):
    """Areas are scikit-learn's; with a single positive patient there is no test."""
    result = significance_tests.delong_by_row(panel, "real_only")
    for name, record in result.items():
        own, base = (roc_auc_score(panel.label, panel.scores[n].mean(0)[:, 1]) for n in (name, "real_only"))
        assert record["difference"] == pytest.approx(own - base)
        assert record["p_adjusted"] >= record["p"]
    assert significance_tests.can_delong(panel)
    few = ComparedRows(
        study(), "test", 20, keep=(panel.label == 0) | (panel.patient == panel.patient[panel.label == 1][0])
    )
    assert not significance_tests.can_delong(few)


def test_equivalence_is_that_of_the_interval(panel):
    """Equally good rows may be equivalent; a row and a clearly better one are not."""
    difference = panel.primary.difference("four", "three")
    record = significance_tests.difference_record(difference, margin=0.02, alpha=0.05)
    assert not record["equivalence"]["equivalent"]
    assert record["equivalence"]["rope"]["above"] > 0.99
    values, patient = np.zeros((2, 400)), np.repeat(np.arange(200), 2)
    values[0, :2], values[1, 2:4] = 0.5, -0.5
    same = significance_tests.difference_record(
        interval(values, patient, None, alpha=0.05, power=0.8), 0.02, 0.05
    )
    assert same["equivalence"]["equivalent"]


def test_power_has_detectable_differences(panel):
    """More power needs a larger difference; a clearly significant difference needs no more runs."""
    result = significance_tests.power(panel, "real_only")
    assert set(result["rows"]) == set(ACCURACY) - {"real_only"}
    for name, own in result["rows"].items():
        assert 0 < own["0.8"] < own["0.95"]
        difference = panel.primary.difference(name, "real_only")
        assert own["0.8"] == pytest.approx(difference.detectable)
        if abs(difference.estimate) > own["0.8"]:
            assert result["needed"][name]["runs"] <= 3


def test_power_of_mcnemar_is_that_of_the_discordant_images(panel):
    """The formula of ``power`` uses the row's own discordant share and design effect."""
    gained, lost = discordance(panel.label, panel.scores["one"], panel.scores["real_only"], panel.patient)
    effect = ((gained - lost) ** 2).sum() / (gained + lost).sum()
    expected = detectable_mcnemar(400, (gained + lost).sum() / 400, 0.05, 0.8, effect)
    assert significance_tests.power(panel, "real_only")["mcnemar"]["one"]["0.8"] == pytest.approx(expected)


def test_letters_follow_the_pairs():
    """The best row has an a; rows without a significant difference share a letter."""
    pairs = [
        {"a": "x", "b": "y", "p_adjusted": 0.2},
        {"a": "x", "b": "z", "p_adjusted": 0.01},
        {"a": "y", "b": "z", "p_adjusted": 0.3},
    ]
    assert significance_tests.letters_of({"z": 0.5, "x": 0.9, "y": 0.7}, pairs, 0.05) == {
        "x": "a",
        "y": "ab",
        "z": "b",
    }


def test_most_of_the_spread_is_between_generators_that_differ():
    """Accuracies from 0.62 to 0.9 exceed the spread of runs; a single classifier is no component."""
    whole = study()
    panels = {b: ComparedRows(whole, "test", b) for b in (10, 20)}
    result = variance_and_association.variance(panels, [n for n in ACCURACY if n != "real_only"])
    share = {c["source"]: c["share"] for c in result["components"]}
    assert share["generator"] > 0.8
    assert set(result["left_out"]) == {"classifier", "fold"}
    assert result["n"] == 4 * 2 * 3


def test_association_is_over_generators_alone(panel):
    """For a lower-is-better measure that orders the generators like their accuracy, rho is -1."""
    fid = {"one": 20.0, "two": 25.0, "three": 40.0, "four": 10.0, "real_only": 0.0}
    manifests = [
        {
            "row": {"name": n, "role": "control" if n == "real_only" else "generator"},
            "measures": {"fid": {"value": v, "direction": "minimize", "n": 100}},
        }
        for n, v in fid.items()
    ]
    result = variance_and_association.association(panel, manifests, "real_only", 0.05)["fid"]
    assert result["rows"] == ["four", "one", "three", "two"]
    assert result["expected_sign"] == -1
    assert result["rho"] <= -0.8 + 1e-12
    assert result["n"] == 4
