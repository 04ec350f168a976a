"""The whole comparison, over small made predictions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.compare.study import compare
from benchmark.errors import SubmissionError

CLASSES = ("a", "b")
Pair = tuple[dict[str, Any], pd.DataFrame | None]


def manifest(
    name: str, role: str = "control", gated: bool | None = None, error: str | None = None
) -> dict[str, Any]:
    """What the comparison reads of ``bundle.json``."""
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
        "seeds": [0, 1, 2], "classifiers": ["net"], "data": {"fingerprint": "f"},
        "statistics": {"alpha": 0.05, "correction": "holm", "power": 0.8}, "labels": "single",
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
    """Every run right on the same share of images of both classes, which ones at random."""
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
    """Five rows of known accuracy."""
    return [
        (manifest("real_only"), predictions(0.6, (0,), 1)),
        (manifest("duplicate_real", gated=True), predictions(0.6, (10, 20), 2)),
        (manifest("oracle", gated=False), predictions(0.8, (10, 20), 3)),
        (manifest("gan", "generator", gated=False), predictions(0.7, (10, 20), 4)),
        (manifest("thief", "generator", gated=True), predictions(0.9, (10, 20), 5)),
    ]


def test_known_accuracies_come_out():
    """Means are those put in, differences are theirs, at every bracket; real_only stands beside all."""
    figures = compare(study())["figures"]["test"]
    for bracket in ("10", "20"):
        means = {n: f["balanced_accuracy"]["estimate"] for n, f in figures[bracket].items()}
        assert means == pytest.approx(
            {"real_only": 0.6, "duplicate_real": 0.6, "oracle": 0.8, "gan": 0.7, "thief": 0.9}
        )
    difference = figures["20"]["gan"]["versus"]["real_only"]["balanced_accuracy"]
    assert difference["estimate"] == pytest.approx(0.1)
    assert difference["low"] < 0.1 < difference["high"]
    assert figures["20"]["gan"]["per_class"]["a"]["recall"]["estimate"] == pytest.approx(0.7)


def test_ranks_leave_out_who_copies_but_not_the_copies_by_definition():
    """The gated generator has the best mean and no rank; duplicate_real ties with real_only."""
    ranking = compare(study())["ranking"]
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
    """The record is the same for any order, and has no NaN."""
    text = json.dumps(compare(study()), sort_keys=True, allow_nan=False)
    assert json.dumps(compare(study()[::-1]), sort_keys=True, allow_nan=False) == text


def test_a_failed_row_is_named_and_the_others_are_compared():
    """One failure does not take the others with it."""
    rows = [*study()[:3], (manifest("gan", "generator", error="out of memory"), None)]
    found = compare(rows)
    assert found["failed"] == {"gan": "out of memory"}
    assert set(found["figures"]["test"]["20"]) == {"real_only", "duplicate_real", "oracle"}


def test_without_a_baseline_differences_are_left_out_with_a_note():
    """A missing real_only is said, not filled in."""
    found = compare(study()[2:4])
    assert found["figures"]["test"]["20"]["gan"]["versus"] == {}
    assert any("real_only" in note for note in found["notes"])
    assert found["can_measure"] is None


def test_classes_with_few_patients_are_noted():
    """Intervals over a handful of patients carry a warning."""
    rows = [(manifest(n), predictions(0.5, (0,), k, n=12)) for k, n in enumerate(("real_only", "oversample"))]
    assert any("6 patients of class a" in note for note in compare(rows)["notes"])


def test_all_rows_failed():
    """There is nothing to compare: the error repeats the first row's."""
    with pytest.raises(SubmissionError, match="'gan' failed: out of memory"):
        compare([(manifest("gan", "generator", error="out of memory"), None)])


def broken(change: str) -> list[Pair]:
    """The study with one fault in the row ``gan``."""
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
