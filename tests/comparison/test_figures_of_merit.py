"""Figures of merit in the comparison's records."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmark.comparison import figures_of_merit
from benchmark.comparison.aligned_rows import AlignedRows, Protocol, Row, SplitImages
from benchmark.comparison.compared_rows import ComparedRows
from benchmark.comparison.subgroups import subgroups
from benchmark.statistics import metrics

PRIMARY = {"binary": "f1", "multiclass": "balanced_accuracy", "multilabel": "auroc"}
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "multilabel": ("x", "y", "z")}


def study(
    kind: metrics.Kind, label: np.ndarray, scores: dict[str, np.ndarray], groups: bool = False
) -> AlignedRows:
    """Return rows without added images; one patient has two images."""
    classes, n = CLASSES[kind], len(label)
    protocol = Protocol(
        classes=classes, kind=kind, metrics=metrics.reported(kind, PRIMARY[kind]), folds=1,
        subgroups=("sex",) if groups else (), primary_bracket=10, brackets=(10,), seeds=(0, 1),
        classifiers=("net",), alpha=0.05, correction="holm", power=0.8,
    )  # fmt: skip
    sex = {"sex": np.where(np.arange(n) // 2 % 2 == 0, "female", "male")} if groups else {}
    images = SplitImages(
        np.arange(n).astype(str), label, np.arange(n) // 2, (("net", 0, None), ("net", 1, None)), False, sex
    )
    rows = [Row(name, "control", None, None, {("test", 0): s}) for name, s in scores.items()]
    return AlignedRows(protocol, {"test": images}, tuple(rows))


def drawn(kind: metrics.Kind, skill: dict[str, float], n: int = 240, groups: bool = False) -> AlignedRows:
    """Draw two runs per row at a known skill."""
    k = len(CLASSES[kind])
    rng = np.random.default_rng(3)
    multilabel = kind == "multilabel"
    label = (rng.random((n, k)) < 0.3).astype(int) if multilabel else np.arange(n) // 2 % k
    actual = label if multilabel else label[:, None] == np.arange(k)
    result = {}
    for name, gain in skill.items():
        score = np.exp(gain * actual + rng.normal(0, 1, (2, n, k)))
        result[name] = score / (1 + score) if multilabel else score / score.sum(-1, keepdims=True)
    return study(kind, label, result, groups)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_estimates_are_those_of_the_leaderboard(kind):
    """A figure of merit that is also a leaderboard metric has the same value; everything is valid JSON."""
    panel = ComparedRows(drawn(kind, {"real_only": 1.0, "oracle": 2.0}), "test", 10)
    result = figures_of_merit.figures_of_merit(panel)
    json.dumps({n: q.to_json() for n, q in result.items()}, allow_nan=False)
    for name in ("real_only", "oracle"):
        for metric in panel.protocol.metrics:
            own = result[name].overall[metric]
            assert own.estimate == pytest.approx(panel.metric(metric).mean(name)["estimate"])
            assert own.low < own.estimate < own.high
        for k, label in enumerate(panel.protocol.classes):
            own = result[name].per_class[label]
            assert own["recall"].estimate == pytest.approx(panel.recall(k).mean(name)["estimate"])
            assert own["auroc"].estimate == pytest.approx(panel.class_auroc(k).mean(name)["estimate"])
            for figure in ("precision", "f1"):
                assert own[figure].estimate == pytest.approx(panel.per_class(k)[name][figure])


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_every_figure_is_described(kind):
    """The settings list exactly the figures of the records."""
    panel = ComparedRows(drawn(kind, {"real_only": 1.0}), "test", 10)
    described = figures_of_merit.quality_cards(panel.protocol)
    record = figures_of_merit.figures_of_merit(panel)["real_only"]
    assert {d["name"] for d in described if d["overall"]} == record.overall.keys()
    own = record.per_class[panel.protocol.classes[0]]
    assert {d["name"] for d in described if d["per_class"]} == own.keys()
    assert {d["name"] for d in described if d["direction"] == "minimize"} == {"brier", "ece"}
    assert all("{" not in d["meaning"] + d["title"] for d in described)


def test_differences_are_paired():
    """The difference to a row that differs in few images has a far narrower interval than either row."""
    plain = drawn("multiclass", {"real_only": 1.0})
    scores = np.stack([plain.rows[0].scores["test", 0][0]] * 2)
    near = scores.copy()
    near[:, :6] = near[:, :6, ::-1]
    compared = study("multiclass", plain.splits["test"].label, {"real_only": scores, "near": near})
    result = figures_of_merit.figures_of_merit(ComparedRows(compared, "test", 10))
    assert result["real_only"].versus_real_only is None
    for name in ("accuracy", "auprc", "brier"):
        difference, own = result["near"].versus_real_only[name], result["near"].overall[name]
        assert difference.high - difference.low < 0.5 * (own.high - own.low)
        expected = own.estimate - result["real_only"].overall[name].estimate
        assert difference.estimate == pytest.approx(expected, abs=1e-7)  # both are rounded


def test_the_reliability_diagram_by_hand():
    """Two images at 0.9, one correct, and two at 0.6, both correct, give two bins of weight 1/2."""
    label = np.array([0, 1, 0, 1])
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    panel = ComparedRows(study("binary", label, {"real_only": np.stack([scores] * 2)}), "test", 10)
    bins = figures_of_merit.calibration(figures_of_merit.FiguresOfMerit(panel).readings["real_only"], 2).bins
    assert len(bins) == 15
    filled = [b for b in bins if b.weight]
    assert [b.weight for b in filled] == [0.5, 0.5]
    assert [b.accuracy for b in filled] == [1.0, 0.5]
    assert [b.confidence for b in filled] == pytest.approx([0.6, 0.9])
    assert filled[1].low < 0.9 <= filled[1].high
    assert bins[0].accuracy is None


def test_a_class_of_two_patients_has_no_interval_and_a_reason():
    """The class and means over classes have no interval; accuracy has one."""
    plain = drawn("multiclass", {"real_only": 1.0})
    label = plain.splits["test"].label % 2
    label[:4] = 2
    compared = study("multiclass", label, {"real_only": plain.rows[0].scores["test", 0]})
    result = figures_of_merit.figures_of_merit(ComparedRows(compared, "test", 10))
    own = result["real_only"]
    assert own.per_class["c"]["auroc"].low is None
    assert own.overall["balanced_accuracy"].low is None
    assert own.overall["balanced_accuracy"].estimate is not None
    assert own.per_class["a"]["auroc"].low is not None
    assert own.overall["accuracy"].low is not None
    assert own.per_class["c"]["auroc"].reason == "fewer than 5 patients of class c"
    assert own.overall["balanced_accuracy"].reason == "fewer than 5 patients of class c"


def test_subgroups_have_every_figure():
    """Figures are over the group's images, with the difference to real_only; the primary metric is
    unchanged."""
    compared = drawn("multiclass", {"real_only": 1.0, "oracle": 3.0}, groups=True)
    female = subgroups(compared)["oracle"]["sex"]["female"]
    keep = compared.splits["test"].groups["sex"] == "female"
    panel = ComparedRows(compared, "test", 10, keep)
    quality = female.quality
    assert quality.overall["auroc"].estimate == pytest.approx(
        metrics.auroc(panel.label, panel.scores["oracle"]).mean()
    )
    assert quality.overall["balanced_accuracy"].estimate == pytest.approx(female.estimate)
    assert quality.versus_real_only["auroc"].low > 0
    assert female.too_small is None
