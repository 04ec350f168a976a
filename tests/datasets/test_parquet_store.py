"""A task reads a built folder like any other source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmark.datasets import parquet_store
from benchmark.datasets.parquet_store import Params
from benchmark.errors import DataError, UnknownNameError
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import ImageSet
from benchmark.protocol import load as loading
from benchmark.tasks.schema import SplitRule
from support.stores import full_set, store


def three_classes(n: int = 60) -> ImageSet:
    """Return images of three classes, each of a different patient."""
    plain = full_set(n)
    return replace(plain, label=np.arange(n) % 3, classes=("a", "b", "c"), reported_labels=None, soft=None)


def read(folder, classes=("a", "b", "c"), size=6):
    """Return the images for a task."""
    return parquet_store.images(
        Params(root=folder), classes=classes, image_size=size, reserve_per_class=0, seed=0
    )


def test_task_divides_it(tmp_path):
    """Patients, labels and pixels reach the splits, which are disjoint."""
    images = replace(three_classes(), split=None)
    splits = loading.load(
        parquet_store,
        Params(root=store(tmp_path, images)),
        classes=("a", "b", "c"),
        image_size=6,
        split=SplitRule.model_validate({}),
        reserve_per_class=2,
        seed=0,
    )
    assert sum(prove_disjoint(splits)["images"].values()) == 60
    row = images.image_id.tolist().index(splits.test.image_id[0])
    np.testing.assert_array_equal(splits.test.image[0], images.image[row])
    assert splits.test.label[0] == images.label[row]


def test_given_splits_are_unchanged(tmp_path):
    """A folder built with splits gives the same splits."""
    images = three_classes()
    split = np.array(["train", "val", "test", "reserve"]).repeat(15)
    result = read(store(tmp_path, replace(images, split=split)))
    assert result.split.tolist() == split.tolist()


def test_classes_of_the_task(tmp_path):
    """Labels follow the task's order; images of other classes are left out, with a note."""
    folder = store(tmp_path, three_classes())
    result = read(folder, classes=("c", "a"))
    assert result.counts() == {"c": 20, "a": 20}
    assert result.card["notes"] == ["images of other classes left out: b 20"]
    assert result.image_id[result.label == 0].tolist() == read(folder).of_class(2).image_id.tolist()
    with pytest.raises(UnknownNameError, match="Did you mean"):
        read(folder, classes=("a", "bb"))


def test_several_findings_are_handed_over(tmp_path):
    """A set with reports passes on its findings, which the task's policy turns into classes."""
    images = full_set(multilabel=True)
    result = read(store(tmp_path, images), classes=("negative", "positive"))
    assert result.classes == images.classes
    np.testing.assert_array_equal(result.reported_labels, images.reported_labels)


def test_another_size_is_refused(tmp_path):
    """Pixels are not resized silently; the error names the command to rebuild the folder."""
    with pytest.raises(DataError, match="--size 32"):
        read(store(tmp_path, three_classes()), size=32)


def test_fingerprint_is_of_the_content(tmp_path):
    """The same images have the same fingerprint in any folder, other images another."""
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    images = three_classes()
    first, second = (parquet_store.fingerprint(Params(root=store(f, images))) for f in folders[:2])
    other = replace(images, image=255 - images.image)
    assert first == second != parquet_store.fingerprint(Params(root=store(folders[2], other)))
    with pytest.raises(DataError, match=r"dataset\.json"):
        parquet_store.fingerprint(Params(root=tmp_path))
