"""Submitted samples from data sets of the ``datasets`` library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from benchmark.errors import SubmissionError
from benchmark.intake import samples as intake
from support.hub import offline, png  # noqa: F401
from support.samples import blobs

CLASSES = ("a", "b", "c")
IMAGES = blobs({"a": 4, "b": 3, "c": 2}, seed=1)


pytestmark = pytest.mark.usefixtures("offline")


def dataset(class_column: str = "label", **columns: Any) -> datasets.Dataset:
    """Return the nine pictures; ``label`` is a ClassLabel whose numbers are not those of the task."""
    values = {"image": [png(p) for p in IMAGES.image], **columns}
    names = [CLASSES[k] for k in IMAGES.label]
    if class_column == "label":
        order = ["c", "a", "b"]
        table = datasets.Dataset.from_dict({**values, "label": [order.index(n) for n in names]})
        table = table.cast_column("label", datasets.ClassLabel(names=order))
    else:
        table = datasets.Dataset.from_dict({**values, class_column: names})
    return table.cast_column("image", datasets.Image())


def stored(source: Path, store: Path, folds: int = 1) -> intake.StoredSamples:
    listed = intake.list_samples(source, CLASSES, folds, multilabel=False)
    return intake.store_samples(listed, CLASSES, folds=folds, size=16, store=store)


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_a_data_set_is_stored_as_a_folder_is(tmp_path: Path, form: str) -> None:
    """The same pictures have the same content, as a data set or as files in a folder per class."""
    folder, source = tmp_path / "folder", tmp_path / "set"
    for k, pixels in enumerate(IMAGES.image):
        path = folder / CLASSES[IMAGES.label[k]] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    if form == "arrow":
        dataset().save_to_disk(source)
    else:
        source.mkdir()
        dataset("class").to_parquet(source / "train.parquet")
    assert stored(source, tmp_path / "s").content == stored(folder, tmp_path / "s").content


def test_folds_are_a_column(tmp_path: Path) -> None:
    """Each fold has its own pictures; without the column a cross-validation refuses them."""
    dataset(fold=[k % 2 for k in range(9)]).save_to_disk(tmp_path / "folds")
    assert [len(f) for f in stored(tmp_path / "folds", tmp_path / "s", folds=2).folds] == [5, 4]
    dataset().save_to_disk(tmp_path / "flat")
    with pytest.raises(SubmissionError, match="fold: is a missing column"):
        stored(tmp_path / "flat", tmp_path / "s", folds=2)


def test_an_unknown_class_or_column_is_named(tmp_path: Path) -> None:
    """The error names the row and what may be meant."""
    names = ["a", "b", "cc", *"abcabc"]
    dataset("text").add_column("class", names).save_to_disk(tmp_path / "class")
    with pytest.raises(SubmissionError, match=r"row 2: unknown class 'cc'\n.*Did you mean 'c'"):
        stored(tmp_path / "class", tmp_path / "s")
    dataset("text").save_to_disk(tmp_path / "column")
    with pytest.raises(SubmissionError, match="expected image, and class or label"):
        stored(tmp_path / "column", tmp_path / "s")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("owner/synthetic", "its revision is None, expected a commit"),
        ("owner/synthetic@main", "its revision is 'main'"),
        (f"owner/synthetic@{'0' * 40}", "the datasets library cannot read it"),
        ("no/such/folder", "is not a folder"),
    ],
)
def test_a_name_on_the_hub_is_pinned(name: str, message: str, tmp_path: Path) -> None:
    """A data set on the Hub needs its commit; out of reach it is one error."""
    with pytest.raises(SubmissionError, match=message):
        stored(Path(name), tmp_path)
