"""The contract of every data source, including the example of docs/add_a_dataset.md."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from benchmark.images.image_set import ImageSet
from benchmark.plugins.registry import Plugin, available, find
from benchmark.plugins.source import CONDITIONS, DataSource, load_source, source_conditions
from benchmark.protocol.patients import PARTS
from support import source_folders
from support.samples import ROOT

SIZE = 16
EXAMPLE = ROOT / "examples" / "my_source.py"
FEW = {"train_counts": {"healthy": 8, "viral": 4}, "test_counts": {"healthy": 2, "viral": 2}}
ULTRASOUND = {
    **{name: {"covid19": 2, "healthy": 2} for name in ("videos", "video_patients")},
    **{name: {"covid19": 1, "healthy": 1} for name in ("images", "image_patients")},
    "frames": {"covid19": 9, "healthy": 9},
    "test_per_class": 2,
}
PHANTOMS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "phantom.chest": (("healthy", "viral"), {**FEW, "patients": 10, "test_per_class": 2}),
    "phantom.ultrasound": (("covid19", "healthy"), ULTRASOUND),
    "phantom.chexpert": (
        ("negative", "positive"),
        {"train_images": 50, "train_patients": 20, "val_images": 20, "test_images": 50},
    ),
    "phantom.cxr14": (
        ("Effusion", "Mass"),
        {
            **dict.fromkeys(("train_images", "paper_images", "test_images"), 50),
            **dict.fromkeys(("train_patients", "paper_patients"), 20),
            "test_at_least": 2,
            "boxes": 4,
        },
    ),
    "phantom.rare_lesion": (
        ("normal", "nodule"),
        {"positives": 10, "normals": 200, "test_per_class": 20, "site_per_class": 20},
    ),
}
CLASSES = {"chexpert": ("negative", "positive"), "chestxray14": ("Effusion", "Mass")}
PACKS = {
    "covid_chestxray": ("covid-chestxray", ("covid19", "viral")),
    "pocus": ("pocus", ("covid19", "healthy")),
}
NAMES = [*available("sources"), str(EXAMPLE)]
READ: dict[str, ImageSet] = {}


@dataclass(frozen=True)
class Case:
    """A source, and a small dataset that it reads.

    Attributes:
        root: folder of the dataset; None for a phantom.
    """

    plugin: Plugin
    module: DataSource
    params: dict[str, Any]
    classes: tuple[str, ...]
    root: Path | None

    def read(self, size: int = SIZE, root: Path | None = None, seed: int = 0) -> ImageSet:
        params = self.parameters(root)
        return self.module.images(
            params, classes=self.classes, image_size=size, reserve_per_class=2, seed=seed
        )

    def look(self) -> ImageSet:
        """Return one reading for all tests that only look at it."""
        if self.plugin.name not in READ:
            READ[self.plugin.name] = self.read()
        return READ[self.plugin.name]

    def parameters(self, root: Path | None = None) -> Any:
        return self.module.Params(**{**self.params, **({"root": root} if root else {})})


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    """Every source with its dataset; those of the packs are skipped where there are none."""
    (plugin,) = find("sources", [request.param])
    module, root = load_source(plugin), tmp_path / "data"
    if plugin.name in PHANTOMS:
        classes, params = PHANTOMS[plugin.name]
        return Case(plugin, module, params, classes, None)
    if plugin.name in PACKS:
        folder, classes = PACKS[plugin.name]
        root = request.getfixturevalue("packs") / folder
        return Case(plugin, module, {"root": root, "allow_missing": 1.0}, classes, root)
    root.mkdir()
    params = getattr(source_folders, plugin.name)(root)
    return Case(plugin, module, params, CLASSES.get(plugin.name, ("a", "b")), root)


def test_parameters_are_strict(case: Case) -> None:
    """An unknown parameter is refused, and parameters can be compared."""
    assert case.parameters() == case.parameters()
    with pytest.raises(ValidationError):
        case.module.Params(**case.params, no_such_parameter=1)


def test_images_are_an_image_set(case: Case) -> None:
    """Images have the requested size, classes, unique ids, patients, a real origin and a card with notes."""
    images = case.look()
    assert images.image.shape[1:] == (SIZE, SIZE)
    assert set(case.classes) <= {*images.classes, "negative", "positive"}
    assert len(images) > 3
    assert len(np.unique(images.image_id)) == len(images)
    assert all(images.patient_id)
    assert all(str(name).startswith("real:") for name in set(images.origin))
    assert all(isinstance(note, str) and "\n" not in note for note in images.card.get("notes", ()))
    assert re.fullmatch("[0-9A-Za-z_.+-]+", case.plugin.version(case.module))


def test_columns_are_the_declared_conditions(case: Case) -> None:
    """The images carry the conditions that the source states for these parameters, and no others."""
    images = case.look()
    carried = {name for name in CONDITIONS if getattr(images, name, None) is not None}
    stated = source_conditions(case.module, case.parameters())
    assert carried <= stated <= source_conditions(case.module)
    if hasattr(case.module, "conditions_of") or case.plugin.name in PHANTOMS:
        assert carried == stated


def test_given_splits_are_disjoint(case: Case) -> None:
    """A split that the source gives has a known name, and no patient is in two of them."""
    images = case.look()
    if images.split is None:
        return
    splits = set(images.split.tolist())
    assert all(name in ("", *PARTS) or name.startswith("test_") for name in splits)
    of_patient = {(p, s) for p, s in zip(images.patient_id.tolist(), images.split.tolist(), strict=True)}
    assert len(of_patient) == len(images.patients())


def test_reading_again_gives_the_same(case: Case) -> None:
    """Two readings are equal, one image equals its block, and another size has the same ids and labels."""
    images, again = case.look(), case.read()
    few = np.arange(min(4, len(images)))
    assert images.select(few).content_hash() == again.select(few).content_hash()
    np.testing.assert_array_equal(np.stack([images.image[int(k)] for k in few]), again.image[few])
    if case.plugin.name != "parquet_store":  # which has one size
        larger = case.read(size=2 * SIZE)
        assert larger.image.shape[1:] == (2 * SIZE, 2 * SIZE)
        assert larger.image_id.tolist() == images.image_id.tolist()
        np.testing.assert_array_equal(larger.label, images.label)


def test_fingerprint_is_of_the_content(case: Case, tmp_path: Path) -> None:
    """The fingerprint is repeatable, does not depend on the place, and follows a changed file."""
    before = case.module.fingerprint(case.parameters())
    assert re.fullmatch("[0-9a-f]{64}", before)
    assert case.module.fingerprint(case.parameters()) == before
    if case.root is None or case.plugin.name in PACKS:
        return
    copy = tmp_path / "copy"
    shutil.copytree(case.root, copy)
    assert case.module.fingerprint(case.parameters(copy)) == before
    if case.plugin.name == "parquet_store":  # whose hashes are in dataset.json; data verify compares them
        return
    path = max(copy.rglob("*.*"), key=lambda p: p.is_file() and p.suffix not in (".csv", ".md"))
    content = bytearray(path.read_bytes())
    path.write_bytes(bytes(content[:-1]) + bytes([content[-1] ^ 1]) + b"\0")
    assert case.module.fingerprint(case.parameters(copy)) != before
