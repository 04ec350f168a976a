"""Degenerate but legal predictions: every comparison is computed and every page is written."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.bundles.io import Bundle
from benchmark.comparison.breakdown import breakdown
from benchmark.comparison.compare import compare
from benchmark.reporting.leaderboards import html, markdown
from benchmark.reporting.leaderboards.board import Board
from benchmark.reporting.leaderboards.json_record import board_record, dump
from benchmark.reporting.summary import headline
from benchmark.reporting.tables import of_run
from benchmark.reporting.tables.run import Run
from support.by_hand import bundle, records

CLASSES = ("left", "right", "middle")
ROWS = {"real_only": "control", "oracle": "control", "noise": "control", "gan": "generator"}
BAD = re.compile(r"(?<![a-z_])(nan|inf|None(?! of them))(?![a-z_])")  # as numbers are printed


def panel(seed: int, patients: tuple[int, ...], trainings: int, kind: str, multilabel: bool) -> list[Bundle]:
    """Return four rows; class k has ``patients[k]`` patients with one or two images.

    ``kind`` is of the scores: ``random``, ``constant``, ``identical`` in all rows, ``one class`` predicted in
    all images, or ``perfect``.
    """
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(sum(patients)), rng.integers(1, 3, sum(patients)))
    label = np.repeat(np.arange(len(patients)), patients)[owner]
    every = np.eye(len(patients), dtype=int)[label]
    rows = []
    for name, role in ROWS.items():
        parts = []
        for training in range(trainings):
            shared = np.random.default_rng(
                [seed, training] if kind == "identical" else [seed, training, len(name)]
            )
            score = shared.random(every.shape)
            if kind == "constant":
                score = np.full(every.shape, 0.5)
            if kind == "one class":
                score[:, 0] += 2
            if kind == "perfect":
                score = every.astype(float)
            score = score / 3 if multilabel else score / score.sum(1, keepdims=True)
            part = pd.DataFrame({"image_id": [f"i{k:03d}" for k in range(len(owner))]})
            part = part.assign(
                patient_id=[f"p{k}" for k in owner], split="test", bracket=0 if name == "real_only" else 1,
                classifier="a", seed=training, fold=0, sex=np.where(owner % 2, "female", "male"),
                label=-1 if multilabel else label, run=f"a/{training}",
            )  # fmt: skip
            for k in range(len(patients)):
                part[f"score_{k}"] = score[:, k]
                if multilabel:
                    part[f"label_{k}"] = every[:, k]
            parts.append(part)
        fields = {
            "classes": list(CLASSES[: len(patients)]), "brackets": [1], "primary_bracket": 1,
            "subgroups": ["sex"],
            "labels": "multilabel" if multilabel else "single",
            "primary_metric": {
                "name": "auroc" if multilabel else "balanced_accuracy", "direction": "maximize",
            },
        }  # fmt: skip
        rows.append(bundle(name, pd.concat(parts, ignore_index=True), role, **fields))
    return rows


def pages(bundles: list[Bundle]) -> str:
    """Compare, and return the pages and tables together."""
    given = records(bundles)
    comparison = compare(given)
    assert comparison == type(comparison).from_json(json.loads(json.dumps(comparison.to_json())))
    board = Board(bundles, comparison)
    text = dump(board_record(board))
    assert "NaN" not in text
    assert "Infinity" not in text
    run = Run({b.manifest.row.name: b.manifest for b in bundles}, comparison, breakdown(given), {})
    assert of_run(run)
    return "\n".join([markdown.run_page(board), html.run_page(board), headline(board)])


KINDS = ("random", "constant", "identical", "one class", "perfect")


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 1000),
    st.lists(st.sampled_from([1, 2, 4, 5, 9, 12]), min_size=2, max_size=3),
    st.integers(1, 2),
    st.sampled_from(KINDS),
    st.booleans(),
)
def test_no_legal_prediction_ends_a_comparison(seed, patients, trainings, kind, multilabel):
    """Pages hold no undefined number, for any scores and any number of patients."""
    text = pages(panel(seed, tuple(patients), trainings, kind, multilabel))
    visible = re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.DOTALL)
    assert not (found := BAD.findall(visible)), found


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_scores_with_one_patient_of_a_class(kind):
    """The class has no interval, and the reason is on the page."""
    text = pages(panel(0, (1, 12), 1, kind, False))
    assert "Split test has 1 patient of class left" in text
    assert "(no interval)" in text


def test_identical_rows_are_named():
    """A note and the findings say that the predictions are the same."""
    text = pages(panel(0, (12, 12), 2, "identical", False))
    assert "The predictions of noise are identical to those of gan." in text
    assert "the predictions are identical in this metric" in text
