"""``data export`` writes only the images that a generator may learn from."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.cli.parser import main, read_request
from benchmark.images import arrow
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.submissions.export import prepare
from support.printed import commands
from support.samples import ROOT, TINY

TASKS = ROOT / "tests" / "tasks"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One store for all exports of this file."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNTHTHORAX_STORE", str(folder))
        yield folder


def exported(task: Path, out: Path, *more: str) -> list[dict[str, str]]:
    """Export a task's training images and return the table's records."""
    assert main(["data", "export", "--task", str(task), "--out", str(out), "--workers", "1", *more]) == 0
    with open(out / "manifest.csv", encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def read(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened)


def test_export_is_train_and_val_and_no_pixel_of_test_or_reserve(store, tmp_path):
    """Pixels, classes and patients are those of train and val, and no picture of another split is exported;
    the table lists all files with their hashes."""
    rows = exported(TINY, tmp_path / "out")
    plan = make_plan(RunRequest(str(TINY), generators=()), stages={"data"})
    splits = arrow.read_splits(prepare(plan, 1)[0].folder)
    for name, images in (("train", splits.train), ("val", splits.val)):
        own = [r for r in rows if r["split"] == name]
        for row, pixels, label, patient in zip(
            own, images.image, images.label, images.patient_id, strict=True
        ):
            np.testing.assert_array_equal(read(tmp_path / "out" / row["image"]), pixels)
            assert (row["class"], row["patient"]) == (images.classes[label], patient)
    files = sorted(p for p in (tmp_path / "out").rglob("*.png"))
    assert files == sorted(tmp_path / "out" / r["image"] for r in rows)
    hidden = {p.tobytes() for images in (splits.test, splits.reserve) for p in images.image}
    assert not hidden & {read(path).tobytes() for path in files}
    for row in rows:
        content = (tmp_path / "out" / row["image"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]


def test_readme_has_the_number_of_requested_images(store, tmp_path):
    """The largest bracket of the task needs 12 images per class."""
    exported(TINY, tmp_path / "out")
    output = (tmp_path / "out" / "README.txt").read_text()
    assert "  viral: 12\n" in output
    (words,) = commands(output)
    assert read_request(words)[1].task == str(TINY)


@pytest.mark.slow
def test_each_fold_has_its_own_training_images(store, tmp_path):
    """With two folds, no test patient of a fold is in that fold's part of the export."""
    task = TASKS / "tiny_folds.yaml"
    rows = exported(task, tmp_path / "out")
    plan = make_plan(RunRequest(str(task), generators=()), stages={"data"})
    for fold, data in enumerate(prepare(plan, 1)):
        own = {r["patient"] for r in rows if r["fold"] == str(fold)}
        assert own
        assert not own & arrow.read_splits(data.folder).test.patients()
        assert (tmp_path / "out" / f"fold_{fold}" / "train" / "pneumonia").is_dir()
    assert "fold 1: pneumonia: " in (tmp_path / "out" / "README.txt").read_text()


@pytest.mark.slow
def test_all_labels_of_an_image_are_in_the_table(store, tmp_path):
    """A multi-label image is in the folder of its rarest class; the columns have all labels."""
    rows = exported(TASKS / "tiny_multi.yaml", tmp_path / "out")
    assert all(row[f"label:{row['class']}"] == "1" for row in rows)
    assert any(sum(v == "1" for k, v in row.items() if k.startswith("label:")) > 1 for row in rows)


@pytest.mark.slow
def test_a_selection_for_generators_limits_the_export(store, tmp_path):
    """With ``mix.fit_on=misclassified`` only the selection of the stage ``select`` is exported."""
    task, chosen = TASKS / "tiny_strategies.yaml", "mix.fit_on=misclassified,mix.unit=deficit"
    rows = exported(task, tmp_path / "out", "--scenario", chosen)
    plan = make_plan(RunRequest(str(task), generators=(), scenario=chosen), stages={"select"})
    data = prepare(plan, 1)[0]
    assert data.select is not None
    selected = np.load(data.select / "chosen.npy")
    assert sum(r["split"] == "train" for r in rows) == len(selected)
    assert len(selected) < len(arrow.read_splits(data.folder).train)
    assert f"--scenario {chosen}" in (tmp_path / "out" / "README.txt").read_text()


def test_a_folder_with_something_in_it_is_left_alone(store, tmp_path, capsys):
    """Nothing is written into a folder that is not empty."""
    (tmp_path / "mine.txt").write_text("x")
    assert main(["data", "export", "--task", str(TINY), "--out", str(tmp_path)]) == 1
    assert "not empty" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
