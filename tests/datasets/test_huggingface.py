"""Data sets of the ``datasets`` library as a source, written by the tests and read without a network."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmark.cli.parser import main
from benchmark.datasets import huggingface
from benchmark.datasets.huggingface import NO_PATIENTS, Params, fingerprint
from benchmark.datasets.phantom import chest, cxr14
from benchmark.errors import DataError, UnknownNameError
from benchmark.images import hub, shards
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import ImageSet
from benchmark.protocol import load as loading
from benchmark.tasks.schema import SplitRule
from support.hub import offline, png  # noqa: F401
from support.source_folders import noise

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FORMS = ("parquet", "arrow", "imagefolder")


pytestmark = pytest.mark.usefixtures("offline")


def table(n: int = 12, first: int = 0, **columns: Any) -> datasets.Dataset:
    """Return images of two classes with further columns."""
    values = {
        "image": [png(noise(first + k)) for k in range(n)],
        "label": [k % 2 for k in range(n)],
        **columns,
    }
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])}
    if "mask" in columns:
        kinds["mask"] = datasets.Image()
    dataset = datasets.Dataset.from_dict(values)
    for name, kind in kinds.items():
        if name == "image" or not isinstance(values[name][0], (str, list)):
            dataset = dataset.cast_column(name, kind)
    return dataset


def read(root: Path, size: int = 24, classes: tuple[str, ...] = ("a", "b"), **params: Any) -> ImageSet:
    return huggingface.images(
        Params(root=root, **params), classes=classes, image_size=size, reserve_per_class=1, seed=0
    )


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_pixels(tmp_path: Path, form: str) -> None:
    """Parquet, ``save_to_disk`` and a folder per class give the same gray values and classes."""
    if form == "parquet":
        table().to_parquet(tmp_path / "train.parquet")
    elif form == "arrow":
        table().save_to_disk(tmp_path)
    else:
        for k in range(12):
            (tmp_path / "ab"[k % 2]).mkdir(exist_ok=True)
            Image.fromarray(noise(k)).save(tmp_path / "ab"[k % 2] / f"{k:02d}.png")
    images = read(tmp_path)
    assert images.counts() == {"a": 6, "b": 6}
    expected = {noise(k).tobytes(): k % 2 for k in range(12)}
    assert {image.tobytes(): int(label) for image, label in zip(images.image, images.label, strict=True)} == (
        expected
    )
    assert NO_PATIENTS in images.card["notes"]
    assert images.split is None
    assert len(fingerprint(Params(root=tmp_path))) == 64


def test_columns_are_mapped(tmp_path: Path) -> None:
    """Other names of columns and labels reach patient, mask, prompt, view, age, sex and split."""
    columns = {
        "subject": [100 + k // 2 for k in range(12)],
        "mask": [png((noise(k) > 128).astype(np.uint8)) for k in range(11)] + [None],
        "caption": [f"text {k}" for k in range(12)],
        "view": ["PA"] * 12,
        "years": [None, *range(41, 52)],
        "sex": ["female"] * 12,
        "part": ["train"] * 8 + ["test"] * 4,
    }
    table(**columns).to_parquet(tmp_path / "all.parquet")
    names = {"patient_id": "subject", "prompt": "caption", "age": "years", "split": "part"}
    images = read(tmp_path, classes=("sick", "well"), columns=names, labels={"a": "well", "b": "sick"})
    assert images.patient_id.tolist()[:3] == ["100", "100", "101"]
    assert images.label.tolist()[:2] == [1, 0]
    assert images.prompt[3] == "text 3"
    assert images.age[1] == 41
    assert np.isnan(float(images.age[0])) or images.age[0] is None
    assert set(images.split) == {"train", "test"}
    np.testing.assert_array_equal(images.mask[2], (noise(2) > 128) * 255)
    assert not images.mask[11].any()
    assert huggingface.conditions_of(Params(root=tmp_path, columns=names)) == {
        "mask", "prompt", "view", "age", "sex",
    }  # fmt: skip


def test_splits_of_the_data_set(tmp_path: Path) -> None:
    """Several splits are given, ``validation`` as ``val``; a choice renames them, and leaves others out."""
    parts = {"train": table(8), "validation": table(4, first=50), "test": table(4, first=90)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path)
    assert read(tmp_path).split.tolist() == ["train"] * 8 + ["val"] * 4 + ["test"] * 4
    chosen = read(tmp_path, parts={"train": "", "test": ""})
    assert chosen.split is None
    assert "4 images of split 'validation' left out" in chosen.card["notes"]
    with pytest.raises(UnknownNameError, match=r"unknown split 'tst'\n.*Did you mean 'test'"):
        read(tmp_path, parts={"tst": "test"})
    with pytest.raises(DataError, match="'holdout' is not one of"):
        read(tmp_path, parts={"train": "holdout"})


def test_a_task_divides_it(tmp_path: Path) -> None:
    """The suite divides by patient; equal files count once and join their patients."""
    patients = [f"p{k}" for k in range(24)]
    whole = datasets.concatenate_datasets([table(24, patient_id=patients), table(1, patient_id=["again"])])
    whole.to_parquet(tmp_path / "all.parquet")
    splits = loading.load(
        huggingface,
        Params(root=tmp_path),
        classes=("a", "b"),
        image_size=24,
        split=SplitRule(),
        reserve_per_class=1,
        seed=0,
    )
    assert sum(prove_disjoint(splits)["images"].values()) == 24
    assert "1 duplicates dropped: equal files" in splits.notes
    assert "ids joined, one patient each: p0 = again" in splits.notes


def test_a_file_under_two_classes_is_left_out(tmp_path: Path) -> None:
    """Nobody knows which of the two labels is right."""
    twice = table(12).select([0, *range(12)]).remove_columns("label")
    twice.add_column("label", ["b", *(["a", "b"] * 6)]).to_parquet(tmp_path / "all.parquet")
    images = read(tmp_path)
    assert len(images) == 11
    assert "1 images left out, listed under two classes" in images.card["notes"]


def test_lists_of_labels_are_several_labels(tmp_path: Path) -> None:
    """A list of names per image is multi-label; an image with other labels alone is left out."""
    labels = [["a"], ["b"], ["a", "b"], [], ["c"], ["c", "b"]]
    table(6, label=labels).to_parquet(tmp_path / "all.parquet")
    images = read(tmp_path)
    assert images.label.tolist() == [[1, 0], [0, 1], [1, 1], [0, 0], [0, 1]]
    assert "1 images left out, none of their labels is a class" in images.card["notes"]
    assert read(tmp_path, ignore_labels=("c",)).label.tolist()[4:] == [[0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"columns": {"patient_id": "subjct"}}, r"unknown column 'subjct'\n.*Did you mean 'subject'"),
        ({"columns": {"patient": "subject"}}, r"unknown column 'patient'\n.*Did you mean 'patient_id'"),
        ({"columns": {"label": None}}, r"has no column 'label'; its columns are .*\n.*--set columns="),
        ({"columns": {"image": "subject"}}, r"column 'subject': is Value\('string'\), expected pictures"),
        ({"columns": {"age": "subject"}}, r"column 'age': 's0' is not a number"),
        ({"columns": {"split": "subject"}}, r"'s0' is not one of train"),
        ({"columns": {"origin": "subject"}}, r"do not begin with real:"),
        ({"labels": {"a": "normal"}}, r"unknown label 'normal'\n.*--set labels"),
    ],
)
def test_a_wrong_mapping_is_refused(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    """The error names the column or label, and the setting that corrects it."""
    table(subject=[f"s{k}" for k in range(12)]).to_parquet(tmp_path / "all.parquet")
    with pytest.raises(DataError if "unknown c" not in message else UnknownNameError, match=message):
        read(tmp_path, **params)


def test_labels_can_be_ignored(tmp_path: Path) -> None:
    """An ignored label is counted in a note; a row without a label has the empty one."""
    dataset = table(6, label=["a", "b", "c", "a", "b", "c"])
    dataset.to_parquet(tmp_path / "all.parquet")
    assert read(tmp_path, ignore_labels=("c",)).card["notes"][0].startswith("PATIENTS UNKNOWN")
    assert "2 images left out, label 'c' ignored" in read(tmp_path, ignore_labels=("c",)).card["notes"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "expected a folder, or the name of a data set on the Hub"),
        ({"name": "owner/chests"}, r"its revision is None, expected a commit"),
        ({"name": "owner/chests", "revision": "main"}, r"its revision is 'main', expected a commit"),
        ({"name": "https://x.org/chests", "revision": COMMIT}, "is not a name on the Hub"),
        ({"root": Path("no_such_folder")}, "no such folder"),
    ],
)
def test_a_location_is_one_and_pinned(given: dict[str, Any], message: str) -> None:
    """A branch, a tag or nothing may give other images tomorrow, so it is refused."""
    with pytest.raises(DataError, match=message):
        fingerprint(Params(**given))


def test_the_hub_out_of_reach_is_one_line() -> None:
    """Without a network the error names the data set and the remedy; the fingerprint needs none."""
    params = Params(name="owner/chests", revision=COMMIT)
    assert fingerprint(params) != fingerprint(Params(name="owner/chests", revision=COMMIT[::-1]))
    with pytest.raises(DataError, match=r"owner/chests@01234567: .*cannot read it.*\n.*network"):
        huggingface.images(params, classes=("a", "b"), image_size=24, reserve_per_class=0, seed=0)


def test_old_images_never_come_back(tmp_path: Path) -> None:
    """The cache follows the content: the library itself compares the times of the files alone."""
    table().to_parquet(tmp_path / "all.parquet")
    read(tmp_path)
    caches = {p.name for p in (Path(datasets.config.HF_DATASETS_CACHE) / "synththorax").iterdir()}
    first = (tmp_path / "all.parquet").stat()
    table(first=500).to_parquet(tmp_path / "all.parquet")
    os.utime(tmp_path / "all.parquet", ns=(first.st_atime_ns, first.st_mtime_ns))
    hub._sha256.cache_clear()
    assert read(tmp_path).image[0].tobytes() == noise(500).tobytes()
    assert {p.name for p in (Path(datasets.config.HF_DATASETS_CACHE) / "synththorax").iterdir()} > caches


def test_pictures_outside_are_refused(tmp_path: Path) -> None:
    """A row cannot name a file of the reader's machine, and the metadata cannot name another folder."""
    Image.fromarray(noise(1)).save(tmp_path / "secret.png")
    root = tmp_path / "data"
    root.mkdir()
    kinds = datasets.Features(image=datasets.Image(), label=datasets.Value("string"))
    rows = {"image": [{"bytes": None, "path": str(tmp_path / "secret.png")}], "label": ["a"]}
    pq.write_table(pa.table(rows, schema=kinds.arrow_schema), root / "all.parquet")
    with pytest.raises(DataError, match="points outside the data set"):
        read(root)
    table().to_parquet(tmp_path / "other.parquet")
    (root / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files: ../other.parquet\n---\n"
    )
    with pytest.raises(DataError):
        read(root)


def test_other_kinds_are_refused(tmp_path: Path) -> None:
    """A table of texts is not a data set of images."""
    (tmp_path / "rows.csv").write_text("label,text\na,x\n")
    with pytest.raises(DataError, match="is a data set of kind 'csv'"):
        read(tmp_path)


SMALL = {
    "train_counts": {"healthy": 8, "viral": 4},
    "test_counts": {"healthy": 2, "viral": 2},
    "patients": 10,
}


def test_a_built_data_set_is_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``data build --format datasets`` writes every column and pixel; the source returns the same content."""
    folder, params = tmp_path / "chest", {**SMALL, "patients": 10, "test_per_class": 2}
    options = ["--source", "phantom.chest", "--classes", "healthy,viral", "--size", "32", "--workers", "1"]
    options += ["--shard-size", "5", "--set", json.dumps(params), "--out", str(folder)]
    assert main(["data", "build", "--format", "datasets", *options]) == 0
    request = {"classes": ("healthy", "viral"), "image_size": 32, "reserve_per_class": 0, "seed": 0}
    drawn = chest.images(chest.Params(**params), **request)
    again = huggingface.images(Params(root=folder), **request)
    assert again.content_hash() == drawn.content_hash() == shards.read_shards(folder).content_hash()
    loaded = datasets.load_dataset(str(folder))
    assert {name: len(part) for name, part in loaded.items()} == {"train": 12, "test": 4, "test_paper": 4}
    assert loaded["train"].features["label"].names == ["healthy", "viral"]
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "| train | 12 |" in card
    assert again.card["license"] == "apache-2.0"
    capsys.readouterr()
    assert main(["data", "verify", str(folder)]) == 0
    assert main(["data", "build", *options]) == 1
    assert "format" in capsys.readouterr().err


def test_several_labels_are_read_back(tmp_path: Path) -> None:
    """Labels of a multi-label set are lists of names in the files, and the same content when read."""
    folder = tmp_path / "cxr14"
    params = {
        **dict.fromkeys(("train_images", "paper_images", "test_images"), 50),
        **dict.fromkeys(("train_patients", "paper_patients"), 20),
        "test_at_least": 2, "boxes": 4,
    }  # fmt: skip
    options = ["--source", "phantom.cxr14", "--size", "16", "--workers", "1", "--set", json.dumps(params)]
    assert main(["data", "build", "--format", "datasets", *options, "--out", str(folder)]) == 0
    request = {"classes": cxr14.CLASSES, "image_size": 16, "reserve_per_class": 0, "seed": 0}
    drawn = cxr14.images(cxr14.Params(**params), **request)
    again = huggingface.images(Params(root=folder), **request)
    assert again.multilabel
    assert again.content_hash() == drawn.content_hash()
    first = datasets.load_dataset(str(folder))["train"][0]["label"]
    assert first == np.flatnonzero(drawn.label[0]).tolist()
