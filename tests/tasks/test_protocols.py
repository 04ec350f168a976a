"""Each kind of protocol from its task to its leaderboard: uncertain reports, multi-label, folds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.images import arrow
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from support.runs import run_here
from support.samples import ROOT


def run(folder: Path, task: str, scenario: str | None = None) -> Path:
    """Run a tiny task in its folder, and return the folder of its results."""
    path = str(ROOT / "tests" / "tasks" / f"{task}.yaml")
    plan = make_plan(RunRequest(path, scenario=scenario, device="cpu", precision="float32"))
    run_here(plan, folder, folder / "out")
    return folder / "out"


def bundle(out: Path, row: str) -> dict[str, Any]:
    return dict(json.loads((out / "bundles" / row / "bundle.json").read_text()))


def predictions(out: Path, row: str) -> pd.DataFrame:
    return pd.read_parquet(out / "bundles" / row / "predictions.parquet")


def results(folder: Path, stage: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the folder and the content of every stored result of a stage."""
    for manifest in sorted((folder / "store" / "results" / stage).glob("*/result.json")):
        yield manifest.parent, json.loads(manifest.read_text())


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory, few_compared: None) -> Path:
    """A run on uncertain reports with pseudo-labels and a mask."""
    folder = tmp_path_factory.mktemp("binary")
    run(folder, "tiny_binary", "labels.uncertain=self_trained,mask.shape=joint")
    return folder


def test_pseudo_labels_are_trained_on(binary):
    """Uncertain images train with soft labels, certain ones with 0 or 1; none is of a test patient."""
    ((folder, record),) = results(binary, "pseudo_label")
    train, test = arrow.read_images(folder / "train.arrow"), arrow.read_images(folder / "test.arrow")
    guessed = ~np.isin(train.soft, (0, 1)).all(1)
    assert guessed.any()
    assert not guessed.all()
    assert train.soft.sum(1) == pytest.approx(1)
    assert (train.label == (train.soft[:, 1] >= 0.5)).all()
    assert not train.patients() & test.patients()
    assert any("labeled by a classifier trained on" in note for note in record["notes"])


def test_the_mask_blackens_every_split(binary):
    """The corners are black in training and test images."""
    ((folder, _),) = results(binary, "pseudo_label")
    for split in ("train", "test", "test_paper"):
        images = arrow.read_images(folder / f"{split}.arrow").image
        assert images[:, 0, 0].max() == images[:, -1, -1].max() == 0
        assert images[:, 16, 8].max() > 0


def test_a_binary_task_is_ranked_by_f1(binary):
    """The leaderboard's F1 equals scikit-learn's on the stored predictions."""
    from sklearn.metrics import f1_score

    out = binary / "out"
    record = json.loads((out / "leaderboard.json").read_text())
    assert "F1" in (out / "leaderboard.md").read_text()
    table = predictions(out, "oracle").query("split == 'test'")
    values = [f1_score(t["label"], t["score_1"] > t["score_0"]) for _, t in table.groupby("seed")]
    figure = record["comparison"]["figures"]["test"]["12"]["oracle"]["f1"]
    assert figure["estimate"] == pytest.approx(np.mean(values))
    assert bundle(out, "oracle")["positive"] == "positive"
    assert bundle(out, "oracle")["scenario"]["labels"]["uncertain"] == "self_trained"
    assert {"sex", "view"} <= set(table.columns)


@pytest.fixture(scope="module")
def multi(tmp_path_factory: pytest.TempPathFactory, few_compared: None) -> Path:
    """A multi-label run that trains on synthetic images alone."""
    folder = tmp_path_factory.mktemp("multi")
    run(folder, "tiny_multi")
    return folder


def test_multi_label_tasks_are_ranked_by_auroc(multi):
    """Each label has a column of 0 and 1, scores do not sum to one, and AUROC ranks."""
    from sklearn.metrics import roc_auc_score

    out = multi / "out"
    table = predictions(out, "ddpm").query("split == 'test'")
    truth = table[[f"label_{k}" for k in range(15)]].to_numpy()
    scores = table[[f"score_{k}" for k in range(15)]].to_numpy()
    assert set(np.unique(truth)) == {0, 1}
    assert (truth.sum(1) > 1).any()
    assert abs(scores.sum(1) - 1).max() > 0.1
    seeds = table["seed"].to_numpy()
    areas = [roc_auc_score(truth[seeds == s], scores[seeds == s], average="macro") for s in (0, 1)]
    record = json.loads((out / "leaderboard.json").read_text())["comparison"]
    assert record["figures"]["test"]["12"]["ddpm"]["auroc"]["estimate"] == pytest.approx(np.mean(areas))


def test_without_real_images_the_oracle_is_compared_with_noise(multi):
    """Where real_only is itself the upper bound, the distance to noise proves that the task measures."""
    record = json.loads((multi / "out" / "leaderboard.json").read_text())["comparison"]
    assert record["settings"]["yardstick"] == "noise"
    assert record["controls"][0]["id"] == "oracle_beats_noise"
    assert "noise" in record["figures"]["test"]["12"]["ddpm"]["versus"]


def test_training_on_synthetic_images_alone(multi):
    """Of 12 images of 15 labels, 10 of each train and 2 choose the epoch; real_only has the real images."""
    counts = {record["training_images"] for _, record in results(multi, "classify")}
    (real,) = (record["splits"]["train"]["images"] for _, record in results(multi, "data"))
    assert counts == {real, 150}


def test_copies_keep_all_their_labels(multi):
    """The control that copies real images has every label of its originals, not only the requested one."""
    drawn = [arrow.read_images(f / "synthetic.arrow") for f, _ in results(multi, "generate")]
    (copies,) = (d for d in drawn if d.origin[0] == "synthetic:duplicate_real")
    assert copies.reported_labels is not None
    assert (copies.reported_labels[np.arange(len(copies)), copies.label] == 1).all()
    assert (copies.reported_labels.sum(1) > 1).any()


def test_a_generator_that_is_not_installed_has_a_row(multi):
    """Its row has the reason for missing figures, and the run succeeds."""
    record = bundle(multi / "out", "dreambooth")
    assert record["status"] == "failed"
    assert "no generator named 'dreambooth' is installed" in record["error"]


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory, few_compared: None) -> Path:
    """A run over two folds."""
    folder = tmp_path_factory.mktemp("folds")
    run(folder, "tiny_folds")
    return folder


def test_every_cohort_image_is_held_out_once(folds):
    """The held-out images of the folds are the whole cohort, each once; both folds predict the fresh test."""
    table = predictions(folds / "out", "real_only")
    paper, test = (table.query(f"split == '{name}'") for name in ("test_paper", "test"))
    assert not paper["image_id"].duplicated().any()
    assert set(test.groupby("image_id")["fold"].nunique()) == {2}
    train = [arrow.read_images(f / "train.arrow") for f, _ in results(folds, "data")]
    held = [arrow.read_images(f / "test_paper.arrow") for f, _ in results(folds, "data")]
    assert not held[0].patients() & held[1].patients()
    assert all(not t.patients() & h.patients() for t, h in zip(train, held, strict=True))
    assert sum(map(len, held)) == len(paper)


def test_only_the_minority_class_gets_n_images_per_still(folds):
    """Every still pneumonia image in the patient share gets eight synthetic images."""
    for folder, _ in results(folds, "data"):
        train = arrow.read_images(folder / "train.arrow")
        stills = int(((train.label == 1) & (train.clip == "")).sum())
        assert stills
    drawn = [arrow.read_images(f / "synthetic.arrow") for f, _ in results(folds, "generate")]
    assert {tuple(np.unique(d.label)) for d in drawn} == {(1,)}
    assert all(len(d) % 8 == 0 for d in drawn)


def test_folds_are_joined_in_the_bundle(folds):
    """Sizes, measures and the gate cover both folds, and each fold has its proof."""
    record = bundle(folds / "out", "copycat")
    assert record["folds"] == 2
    assert set(record["data"]["proof"]) == {"fold 0", "fold 1"}
    held = predictions(folds / "out", "copycat").query("split == 'test_paper'")
    assert record["data"]["splits"]["test_paper"]["images"] == held["image_id"].nunique()
    assert record["memorization"]["folds"] == 2
    assert record["memorization"]["n"] == sum(s["images"] for _, s in results(folds, "generate")) // 2
