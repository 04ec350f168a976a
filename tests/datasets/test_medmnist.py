"""The adapter of MedMNIST, on generated files in the public layout."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.datasets import medmnist
from benchmark.datasets.medmnist import LABELS, NO_PATIENTS, Params, fingerprint
from benchmark.errors import DataError
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import ImageSet
from benchmark.protocol.load import load
from benchmark.tasks.schema import SplitRule

COUNTS = {"train": 60, "val": 20, "test": 30}
CLASSES = ("normal", "pneumonia")


def arrays(side: int = 28, labels: int = 1, color: bool = False, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the six arrays of a file: labels (N, 1) of alternating 0 and 1, or (N, labels) multi-hot."""
    rng = np.random.default_rng(seed)
    members = {}
    for part, count in COUNTS.items():
        shape = (count, side, side, 3) if color else (count, side, side)
        members[f"{part}_images"] = rng.integers(0, 256, shape, np.uint8)
        single = (np.arange(count) % 2).reshape(-1, 1)
        multilabel = rng.integers(0, 2, (count, labels))
        members[f"{part}_labels"] = (single if labels == 1 else multilabel).astype(np.uint8)
    return members


def write(path: Path, members: dict[str, np.ndarray], *, compressed: bool = True) -> Path:
    save: Any = np.savez_compressed if compressed else np.savez
    save(path, **members)
    return path


def read(path: Path, classes: tuple[str, ...] = CLASSES, size: int = 28, **params: Any) -> ImageSet:
    return medmnist.images(
        Params(root=path, **params), classes=classes, image_size=size, reserve_per_class=1, seed=0
    )


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("unpack", [True, False])
def test_pictures_labels_and_splits_are_read_unchanged(
    tmp_path: Path, compressed: bool, unpack: bool
) -> None:
    """At the file's own size all pixels, labels and splits are unchanged, in compressed, mapped and unpacked
    files."""
    members = arrays()
    path = write(tmp_path / "pneumoniamnist.npz", members, compressed=compressed)
    images = read(path, unpack=tmp_path / "unpacked" if unpack else None)
    assert images.split is not None
    for part, count in COUNTS.items():
        mine = images.select(images.split == part)
        assert len(mine) == count
        assert np.array_equal(mine.image[:], members[f"{part}_images"])
        assert np.array_equal(mine.label, members[f"{part}_labels"][:, 0])
    assert (tmp_path / "unpacked").exists() == (compressed and unpack)


def test_the_given_splits_reach_the_task(tmp_path: Path) -> None:
    """train, val and test are unchanged, the reserve is drawn from train, and a warning states that patients
    are unknown."""
    path = write(tmp_path / "pneumoniamnist_64.npz", arrays(64))
    splits = load(
        medmnist,
        Params(root=path),
        classes=CLASSES,
        image_size=32,
        split=SplitRule(),
        reserve_per_class=1,
        seed=0,
    )
    prove_disjoint(splits)
    assert (len(splits.val), len(splits.test)) == (20, 30)
    assert len(splits.train) + len(splits.reserve) == 60
    assert NO_PATIENTS in splits.notes


@pytest.mark.parametrize("side", [28, 64, 128, 224])
def test_every_published_size_is_read(tmp_path: Path, side: int) -> None:
    """Sizes from 28 to 224 pixels are resized to the task's size."""
    images = read(write(tmp_path / f"pneumoniamnist_{side}.npz", arrays(side)), size=48)
    assert images.image[:].shape == (110, 48, 48)
    assert images.card["size"] == [side, side]


def test_several_labels_give_a_report(tmp_path: Path) -> None:
    """ChestMNIST gives all 14 findings per picture, whatever the task's classes."""
    members = arrays(labels=14)
    images = read(write(tmp_path / "chestmnist.npz", members), classes=("effusion", "mass"))
    assert images.classes == LABELS["chestmnist"]
    assert images.label.shape == (110, 14)
    assert images.reported_labels is not None
    assert np.array_equal(images.reported_labels[:60], members["train_labels"])


def test_color_becomes_luminance(tmp_path: Path) -> None:
    """An RGB set such as BloodMNIST becomes gray (ITU-R 601, Pillow's convert)."""
    members = arrays(color=True)
    images = read(write(tmp_path / "own.npz", members), labels=CLASSES)
    light = members["train_images"] @ np.array([0.299, 0.587, 0.114])
    assert np.abs(images.image[:60].astype(float) - light).max() < 1


def test_equal_pictures_are_read_once(tmp_path: Path) -> None:
    """A picture in both train and test would leak; the copy in test remains."""
    members = arrays()
    members["train_images"][3] = members["test_images"][5]
    members["train_images"][8] = members["train_images"][7]
    images = read(write(tmp_path / "pneumoniamnist.npz", members))
    assert "images dropped that are equal to another one: 2 of train" in images.card["notes"]
    assert "train-000003" not in images.image_id
    assert "test-000005" in images.image_id
    assert "train-000007" in images.image_id


def test_labels_outside_the_task_are_left_out(tmp_path: Path) -> None:
    """Pictures with labels outside the task's classes are left out with a note."""
    members = arrays()
    members["train_labels"][:6] = 2
    path = write(tmp_path / "own.npz", members)
    images = read(path, classes=("b", "a"), labels=("a", "b", "c"))
    assert images.counts() == {"b": 52, "a": 52}
    assert "6 images left out, label not among the classes" in images.card["notes"]


def test_unknown_sets_need_names(tmp_path: Path) -> None:
    """A set without known label names needs the parameter labels, which must include the classes."""
    path = write(tmp_path / "own.npz", arrays())
    with pytest.raises(DataError, match=r"names of the labels are known for .*\n.*--set labels"):
        read(path)
    with pytest.raises(DataError, match="'pneumonia' is not one of the labels normal, sick"):
        read(path, labels=("normal", "sick"))
    with pytest.raises(DataError, match="for 1 names"):
        read(path, labels=("normal",), classes=("normal",))
    with pytest.raises(DataError, match="names one twice"):
        read(path, labels=("a", "a"), classes=("a",))


def test_root_is_a_file_or_its_folder(tmp_path: Path) -> None:
    """Root may be the file or its folder; of several files one must be named, inside the folder."""
    write(tmp_path / "pneumoniamnist.npz", arrays())
    assert len(read(tmp_path)) == 110
    write(tmp_path / "pneumoniamnist_64.npz", arrays(64))
    with pytest.raises(DataError, match=r"the folder has pneumoniamnist\.npz, pneumoniamnist_64\.npz"):
        read(tmp_path)
    assert read(tmp_path, file="pneumoniamnist_64.npz").card["size"] == [64, 64]
    with pytest.raises(DataError, match="not in this folder"):
        read(tmp_path, file="../pneumoniamnist.npz")
    with pytest.raises(DataError, match="no such file or folder"):
        read(tmp_path / "none")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"val_labels": None}, "val_labels: is missing"),
        ({"train_images": np.zeros((60, 28, 28), np.float32)}, "expected whole numbers"),
        ({"train_images": np.zeros((60, 28, 28, 28), np.uint8)}, "expected uint8"),
        ({"train_images": np.zeros((0, 28, 28), np.uint8)}, "expected sides of 8 to 1024"),
        ({"train_images": np.zeros((60, 2, 2), np.uint8)}, "expected sides of 8 to 1024"),
        ({"test_labels": np.zeros((29, 1), np.uint8)}, "for 30 images"),
        ({"test_labels": np.full((30, 1), 9, np.uint8)}, "up to 9, for 2 names"),
        ({"val_labels": np.zeros((20, 2), np.uint8)}, "labels per image"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    """The error for a missing array or a wrong type, shape or label names file and array."""
    members = {k: v for k, v in {**arrays(), **change}.items() if v is not None}
    path = write(tmp_path / "pneumoniamnist.npz", members)
    with pytest.raises(DataError, match=problem) as error:
        read(path)
    assert str(path) in str(error.value)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    """An object array, which would run code when loaded, is refused by its header."""
    members = arrays()
    members["train_labels"] = np.array([[{"a": 1}]] * 60, dtype=object)
    with pytest.raises(DataError, match="is object"):
        read(write(tmp_path / "pneumoniamnist.npz", members))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """Compressed arrays above max_memory, and headers with a false size, are refused."""
    path = write(tmp_path / "pneumoniamnist.npz", arrays())
    with pytest.raises(DataError, match=r"more than max_memory 1000(?s:.*)--set unpack"):
        read(path, max_memory=1000)
    lying = tmp_path / "lying.npz"
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(lying, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in whole.namelist():
            content = whole.read(name)
            copy.writestr(name, content + bytes(10**6) if name == "test_images.npy" else content)
    with pytest.raises(DataError, match="not match its shape"):
        read(lying, labels=CLASSES)


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(0, 2000), noise=st.binary(max_size=40), place=st.integers(0, 90_000))
def test_damaged_files_give_one_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, cut: int, noise: bytes, place: int
) -> None:
    """A file cut or overwritten anywhere is read or refused by name, never with another exception."""
    folder = tmp_path_factory.mktemp("damaged")
    content = write(folder / "pneumoniamnist.npz", arrays()).read_bytes()
    content = content[: len(content) - cut]
    content = content[:place] + noise + content[place + len(noise) :]
    (folder / "pneumoniamnist.npz").write_bytes(content)
    try:
        outcome = str(len(read(folder)))
    except DataError as error:
        outcome = str(error)
    assert outcome == "110" or "pneumoniamnist" in outcome


def test_an_unpacked_copy_is_complete_or_absent(tmp_path: Path) -> None:
    """A member that cannot be unpacked leaves no copy that a later run would use."""
    path = write(tmp_path / "pneumoniamnist.npz", arrays())
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("test_images.npy").header_offset + 2000
    content[start : start + 500] = bytes(500)
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"test_images.*cannot be unpacked"):
        read(path, unpack=tmp_path / "unpacked")
    assert not list((tmp_path / "unpacked").glob("*test_images*"))


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    """Changed pixels or names change the fingerprint; moving the folder does not."""
    first = Params(root=write(tmp_path / "pneumoniamnist.npz", arrays()))
    (tmp_path / "b").mkdir()
    again = Params(root=write(tmp_path / "b" / "pneumoniamnist.npz", arrays()))
    other = Params(root=write(tmp_path / "own.npz", arrays(seed=1)))
    assert fingerprint(first) == fingerprint(again)
    assert fingerprint(first) != fingerprint(other)
    assert fingerprint(first) != fingerprint(Params(root=first.root, labels=("a", "b")))
