"""The whole comparison on small generated predictions."""

from __future__ import annotations

import json
import math
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.comparison.compare import compare
from benchmark.errors import SubmissionError

CLASSES = ("a", "b")
Pair = tuple[dict[str, Any], pd.DataFrame | None]


def manifest(
    name: str, role: str = "control", gated: bool | None = None, error: str | None = None
) -> dict[str, Any]:
    """Return the fields of ``bundle.json`` that the comparison reads."""
    gate = {
        "rate": 0.9 if gated else 0.0,
        "expected": 0.01,
        "interval": [0.0, 1.0],
        "gated": gated,
        "blind": False,
    }
    shared: dict[str, Any] = {
        "task": "t", "profile": "demo", "protocol_hash": "h", "source": "s", "data_kind": "phantom",
        "classes": list(CLASSES), "image_size": 32, "primary_bracket": 20, "brackets": [10, 20],
        "seeds": [0, 1, 2], "classifiers": ["net"], "measures": {}, "data": {"fingerprint": "f"},
        "statistics": {"alpha": 0.05, "correction": "holm", "power": 0.8, "margin": 0.02}, "labels": "single",
        "positive": None, "folds": 1, "scenario": {}, "mix": {}, "subgroups": [],
        "primary_metric": {"name": "balanced_accuracy", "direction": "maximize"},
    }  # fmt: skip
    return {
        **shared,
        "row": {"name": name, "role": role},
        "status": "failed" if error else "complete",
        "error": error,
        "memorization": None if gated is None else gate,
    }


def predictions(accuracy: float, brackets: tuple[int, ...], seed: int, n: int = 400) -> pd.DataFrame:
    """Return predictions with the same share of correct images in both classes for every run."""
    parts = []
    for bracket in brackets:
        for run in range(3):
            rng = np.random.default_rng([seed, bracket, run])
            label = np.arange(n) % 2
            right = rng.permuted(np.arange(n // 2) < round(accuracy * n / 2)).repeat(2)
            one = np.where(right, label, 1 - label) * 0.8 + 0.1
            part = pd.DataFrame({"image_id": [f"i{k:04d}" for k in range(n)], "label": label, "score_1": one})
            parts.append(part.assign(score_0=1 - one, patient_id=part.image_id, split="test", bracket=bracket,
                                     classifier="net", seed=run))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def study() -> list[Pair]:
    """Return five rows of known accuracy."""
    return [
        (manifest("real_only"), predictions(0.6, (0,), 1)),
        (manifest("duplicate_real", gated=True), predictions(0.6, (10, 20), 2)),
        (manifest("oracle", gated=False), predictions(0.8, (10, 20), 3)),
        (manifest("gan", "generator", gated=False), predictions(0.7, (10, 20), 4)),
        (manifest("thief", "generator", gated=True), predictions(0.9, (10, 20), 5)),
    ]


def test_known_accuracies_are_recovered():
    """Means and differences are those of the input at every bracket; real_only is there for all."""
    figures = compare(study()).to_json()["figures"]["test"]
    for bracket in ("10", "20"):
        means = {n: f["balanced_accuracy"]["estimate"] for n, f in figures[bracket].items()}
        assert means == pytest.approx(
            {"real_only": 0.6, "duplicate_real": 0.6, "oracle": 0.8, "gan": 0.7, "thief": 0.9}
        )
    difference = figures["20"]["gan"]["versus"]["real_only"]["balanced_accuracy"]
    assert difference["estimate"] == pytest.approx(0.1)
    assert difference["low"] < 0.1 < difference["high"]
    assert figures["20"]["gan"]["per_class"]["a"]["recall"]["estimate"] == pytest.approx(0.7)


def test_the_gate_removes_the_rank_of_generators_alone():
    """The gated generator has the best mean and no rank; duplicate_real ties with real_only."""
    ranking = compare(study()).to_json()["ranking"]
    assert {n: r["rank"] for n, r in ranking["rows"].items()} == {
        "oracle": 1,
        "gan": 2,
        "real_only": 3,
        "duplicate_real": 3,
    }
    assert ranking["unranked"] == {"thief": "copies training images"}
    assert ranking["rows"]["real_only"]["tied_with"] == ["duplicate_real"]
    assert ranking["compared"] == 6


def test_order_of_bundles_does_not_matter_and_json_holds_it():
    """The record does not depend on the order of bundles, and its JSON has no NaN."""
    text = json.dumps(compare(study()).to_json(), sort_keys=True, allow_nan=False)
    assert json.dumps(compare(study()[::-1]).to_json(), sort_keys=True, allow_nan=False) == text


def test_a_failed_row_is_named_and_the_others_are_compared():
    """A failed row is recorded, and the other rows are compared."""
    rows = [*study()[:3], (manifest("gan", "generator", error="out of memory"), None)]
    result = compare(rows).to_json()
    assert result["failed"] == {"gan": "out of memory"}
    assert set(result["figures"]["test"]["20"]) == {"real_only", "duplicate_real", "oracle"}


def test_without_a_baseline_differences_are_left_out_with_a_note():
    """A note reports a missing real_only; no difference is made up."""
    result = compare(study()[2:4]).to_json()
    assert result["figures"]["test"]["20"]["gan"]["versus"] == {}
    assert any("real_only" in note for note in result["notes"])
    assert result["can_measure"] is None


def test_classes_with_few_patients_are_noted():
    """A note warns about intervals over few patients."""
    rows = [(manifest(n), predictions(0.5, (0,), k, n=12)) for k, n in enumerate(("real_only", "oversample"))]
    assert any("6 patients of class a" in note for note in compare(rows).to_json()["notes"])


def test_all_rows_failed():
    """With nothing to compare, the error repeats that of the first row."""
    with pytest.raises(SubmissionError, match="'gan' failed: out of memory"):
        compare([(manifest("gan", "generator", error="out of memory"), None)])


def broken(change: str) -> list[Pair]:
    """Return the study with one fault in the row ``gan``."""
    rows = study()
    card, table = rows[3]
    assert table is not None
    if change == "protocol_hash":
        card["protocol_hash"] = "other"
    elif change == "fingerprint":
        card["data"] = {"fingerprint": "other"}
    elif change == "label":
        table["label"] = 1 - table["label"]
    elif change == "patient_id":
        table["patient_id"] = "p"
    elif change == "image_id":
        table["image_id"] = "x" + table["image_id"]
    elif change == "seed":
        table["seed"] += 5
    elif change == "split":
        rows[3] = (card, pd.concat([table, table.assign(split="test_paper")]))
    elif change == "two of them":
        rows.append(rows[3])
    return rows


@pytest.mark.parametrize(
    "field",
    ["protocol_hash", "fingerprint", "label", "patient_id", "image_id", "seed", "split", "two of them"],
)
def test_rows_that_cannot_be_compared_are_refused(field):
    """The error names the field, and nothing is compared."""
    with pytest.raises(SubmissionError, match=field):
        compare(broken(field))


def test_every_metric_of_the_kind_has_an_interval_and_a_difference():
    """A two-class task reports F1, AUROC, accuracy, kappa and balanced accuracy, each with an interval."""
    result = compare(study()).to_json()
    names = [m["name"] for m in result["settings"]["metrics"]]
    assert set(names) == {"balanced_accuracy", "accuracy", "f1", "auroc", "cohen_kappa"}
    gan = result["figures"]["test"]["20"]["gan"]
    for name in names:
        assert gan[name]["low"] < gan[name]["estimate"] < gan[name]["high"]
        assert len(gan[name]["run_values"]) == 3
        assert 0 <= gan["versus"]["real_only"][name]["p_adjusted"] <= 1
    assert gan["cohen_kappa"]["estimate"] == pytest.approx(0.4)  # 2 * accuracy - 1 for two equal classes


def test_the_primary_metric_ranks():
    """With F1, a row that finds all positives ranks above one with higher accuracy."""
    rows = []
    for name, wrong in (("real_only", (0, 40)), ("eager", (70, 0))):  # of 360 negatives and 40 positives
        label = np.repeat([0, 1], (360, 40))
        parts = []
        for run in range(3):
            rng = np.random.default_rng(run)
            decision = label.copy()
            for k, count in enumerate(wrong):
                decision[rng.permutation(np.flatnonzero(label == k))[:count]] = 1 - k
            parts.append(table(label, np.eye(2)[decision] * 0.8 + 0.1, seed=run))
        card = {**manifest(name), "primary_metric": {"name": "f1", "direction": "maximize"}, "positive": "b"}
        rows.append((card, pd.concat(parts, ignore_index=True)))
    result = compare(rows).to_json()
    figures = result["figures"]["test"]["20"]
    assert figures["eager"]["f1"]["estimate"] == pytest.approx(2 * 40 / (2 * 40 + 70))
    assert figures["eager"]["accuracy"]["estimate"] < figures["real_only"]["accuracy"]["estimate"]
    assert result["ranking"]["rows"]["eager"]["rank"] < result["ranking"]["rows"]["real_only"]["rank"]
    assert any("real_only predicts no b at all in 3 of 3 runs" in note for note in result["notes"])


def table(
    label: np.ndarray, scores: np.ndarray, *, seed: int, fold: int = 0, split: str = "test", start: int = 0
) -> pd.DataFrame:
    """Return one run over images of which two belong to one patient; labels (n,) or (n, K)."""
    ids = [f"{split}{k:04d}" for k in range(start, start + len(label))]
    patients = [f"p{k // 2}" for k in range(start, start + len(label))]
    part = pd.DataFrame({"image_id": ids, "patient_id": patients})
    for k in range(scores.shape[1]):
        part[f"score_{k}"] = scores[:, k]
        if label.ndim == 2:
            part[f"label_{k}"] = label[:, k]
    part["label"] = label if label.ndim == 1 else -1
    return part.assign(split=split, bracket=0, classifier="net", seed=seed, fold=fold)


def multilabel(name: str, skill: float, seed: int) -> Pair:
    """Return a row of a task with three labels per image, at a known skill."""
    rng = np.random.default_rng(9)
    label = (rng.random((300, 3)) < (0.1, 0.3, 0.5)).astype(int)
    parts = []
    for run in range(3):
        noise = np.random.default_rng([seed, run]).normal(0, 1, label.shape)
        parts.append(table(label, 1 / (1 + np.exp(-(skill * label + noise - skill / 2))), seed=run))
    shared = {"labels": "multilabel", "classes": ["a", "b", "c"]}
    metric = {"primary_metric": {"name": "auroc", "direction": "maximize"}}
    return {**manifest(name), **shared, **metric}, pd.concat(parts, ignore_index=True)


def test_several_labels_an_image():
    """AUROC is overall and by class, F1 at 0.5 by class; accuracy is absent, and McNemar has a reason for its
    absence."""
    result = compare([multilabel("real_only", 1.0, 1), multilabel("oracle", 2.5, 2)]).to_json()
    figures = result["figures"]["test"]["20"]
    assert [m["name"] for m in result["settings"]["metrics"]] == ["auroc"]
    oracle = figures["oracle"]
    own = [oracle["per_class"][c]["auroc"]["estimate"] for c in "abc"]
    assert oracle["auroc"]["estimate"] == pytest.approx(np.mean(own))
    expected = 0.5 * (1 + math.erf(2.5 / 2))  # of two normals 2.5 apart
    assert oracle["auroc"]["estimate"] == pytest.approx(expected, abs=0.02)
    assert 0 < oracle["per_class"]["a"]["f1"] < oracle["per_class"]["c"]["f1"] < 1
    assert oracle["mcnemar"] is None
    assert any("McNemar" in note for note in result["notes"])
    assert result["can_measure"] is True
    assert result["splits"]["test"]["counts"]["c"] > result["splits"]["test"]["counts"]["a"]


@pytest.mark.parametrize(("value", "absent"), [(0, "with 'b'"), (1, "without 'b'")])
def test_a_class_without_positives_or_negatives_is_named(value, absent):
    """AUROC needs positives and negatives in every class; the error names the class."""
    card, predicted = multilabel("real_only", 1.0, 1)
    assert predicted is not None
    with pytest.raises(SubmissionError, match=f"has no image {absent}"):
        compare([(card, predicted.assign(label_1=value))])


FOLDS = {"folds": 4, "seeds": [0, 1]}


def folded(name: str, accuracy: float) -> Pair:
    """Return four folds: ``test`` is cross-validated, ``test_site`` is scored by every fold's model."""
    parts = []
    for seed, fold in product(range(2), range(4)):
        for split, start, n in (("test", 60 * fold, 60), ("test_site", 0, 80)):
            rng = np.random.default_rng([len(name), seed, fold, n])
            label = np.arange(n) // 2 % 2
            decision = np.where(rng.random(n) < accuracy, label, 1 - label)
            scores = np.eye(2)[decision] * 0.8 + 0.1
            parts.append(table(label, scores, seed=seed, fold=fold, split=split, start=start))
    return {**manifest(name), **FOLDS}, pd.concat(parts, ignore_index=True)


def test_folds_are_joined_where_each_image_is_in_one_of_them():
    """``test`` has two runs over all 240 images, ``test_site`` eight runs over 80 images; notes describe
    both."""
    result = compare([folded("real_only", 0.6), folded("oracle", 0.9)]).to_json()
    test, site = result["splits"]["test"], result["splits"]["test_site"]
    assert (test["images"], len(test["runs"]), test["joined_folds"]) == (240, 2, True)
    assert (site["images"], len(site["runs"]), site["joined_folds"]) == (80, 8, False)
    assert site["runs"][3] == {"classifier": "net", "seed": 0, "fold": 3}
    figures = result["figures"]
    assert figures["test"]["20"]["oracle"]["accuracy"]["estimate"] == pytest.approx(0.9, abs=0.04)
    assert len(figures["test"]["20"]["oracle"]["accuracy"]["run_values"]) == 2
    assert len(figures["test_site"]["20"]["oracle"]["accuracy"]["run_values"]) == 8
    assert any("joined into one run" in note for note in result["notes"])
    assert any("read by the models of all 4 folds" in note for note in result["notes"])


@pytest.mark.parametrize(
    ("change", "named"), [("patient", "tested in several folds"), ("fold", "classifier, seed, fold")]
)
def test_wrong_folds_are_refused(change, named):
    """A patient in the test parts of two folds, or a missing fold, is refused."""
    card, predicted = folded("real_only", 0.6)
    assert predicted is not None
    if change == "patient":  # the first patient of the second fold is also one of the first fold
        predicted.loc[(predicted["split"] == "test") & (predicted["patient_id"] == "p30"), "patient_id"] = (
            "p0"
        )
    else:
        predicted = predicted[(predicted["split"] == "test") | (predicted["fold"] != 3)]
    with pytest.raises(SubmissionError, match=named):
        compare([(card, predicted)])


def grouped(name: str, seed: int) -> Pair:
    """Return a row with 90 % correct for women and 60 % for men; five patients have no age, three are of site
    C."""
    card, predicted = manifest(name), predictions(0.5, (0,), seed)
    number = predicted["image_id"].str[1:].astype(int)
    woman = (number // 2 % 2 == 0).to_numpy()
    rng = np.random.default_rng([seed, 5])
    right = rng.random(len(predicted)) < np.where(woman, 0.9, 0.6)
    one = np.where(right == (predicted["label"] == 1), 0.9, 0.1)
    age = (20.0 + number % 70).where(number >= 5, np.nan)
    site = np.where(number < 3, "C", np.where(number % 3 == 0, "B", "A"))
    sex = np.where(woman, "female", "male")
    changed = predicted.assign(score_1=one, score_0=1 - one, sex=sex, age=age, site=site, view=None)
    return {**card, "subgroups": ["sex", "age", "view", "site"]}, changed


def test_subgroups_have_their_own_figures():
    """Accuracies by sex are as known, ages are in bands, and notes name groups that are too small or not
    recorded."""
    result = compare([grouped("real_only", 1), grouped("oversample", 2)]).to_json()
    groups = result["subgroups"]["oversample"]
    assert groups["sex"]["female"]["estimate"] == pytest.approx(0.9, abs=0.04)
    assert groups["sex"]["male"]["estimate"] == pytest.approx(0.6, abs=0.06)
    assert groups["sex"]["male"]["images"] == groups["sex"]["male"]["patients"] == 200
    assert (
        groups["sex"]["male"]["versus_real_only"]["low"]
        < 0
        < groups["sex"]["male"]["versus_real_only"]["high"]
    )
    assert result["subgroups"]["real_only"]["sex"]["male"]["versus_real_only"] is None
    assert set(groups["age"]) == {"0 to 39", "40 to 59", "60 to 79", "80 and over", "not recorded"}
    assert groups["age"]["not recorded"] == {
        "images": 5, "patients": 5, "too_small": "fewer than 10 patients",
    }  # fmt: skip
    assert groups["site"]["C"]["too_small"] == "fewer than 10 patients"
    assert groups["site"]["A"]["images"] + groups["site"]["B"]["images"] == 397
    assert any("has its view recorded" in note for note in result["notes"])


def test_many_sites_are_not_many_columns():
    """Of many sites the nine largest have their own group, and the other images share one."""
    rows = []
    for card, predicted in (grouped("real_only", 1), grouped("oversample", 2)):
        assert predicted is not None
        number = predicted["image_id"].str[1:].astype(int)
        site = "site " + np.minimum(number // 30, 30 - number % 20).astype(str)
        rows.append((card, predicted.assign(site=site)))
    groups = compare(rows).to_json()["subgroups"]["oversample"]["site"]
    assert len(groups) == 10
    assert sum(g["images"] for g in groups.values()) == 400
    assert groups["all others"]["images"] < 160


def test_a_subgroup_without_a_class_is_too_small():
    """Without positives among women, their balanced accuracy is undefined."""
    rows = []
    for card, predicted in (grouped("real_only", 1), grouped("oversample", 2)):
        assert predicted is not None
        sex = np.where(predicted["label"] == 0, "female", np.where(predicted.index % 400 < 200, "male", None))
        rows.append((card, predicted.assign(sex=sex)))
    groups = compare(rows).to_json()["subgroups"]["real_only"]["sex"]
    assert groups["female"]["too_small"] == "only images of a"
    assert groups["male"]["too_small"] == "no image of a"


def test_rows_that_disagree_on_a_patient_are_refused():
    """Rows that record different sexes for a patient are refused."""
    (card, predicted), other = grouped("oversample", 2), grouped("real_only", 1)
    assert predicted is not None
    with pytest.raises(SubmissionError, match="sex"):
        compare([(card, predicted.assign(sex="male")), other])
