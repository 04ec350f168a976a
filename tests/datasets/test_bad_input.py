"""Invalid data, for every real source: one clear error with location, problem and remedy, never a
traceback."""

from __future__ import annotations

import csv
import importlib
import struct
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.errors import DataError
from benchmark.images.image_set import Splits
from benchmark.protocol import load as loading
from benchmark.tasks.schema import SplitRule

CLASSES = ("healthy", "viral")
FINDING = {"healthy": "No Finding", "viral": "Influenza"}
SOURCES = ("covid_chestxray", "image_folder")


class Folder:
    """A dataset of six patients per class in the layout of a source, for tests to corrupt."""

    def __init__(self, root: Path, source: str) -> None:
        self.root, self.source = root, source
        self.module: ModuleType = importlib.import_module(f"benchmark.datasets.{source}")
        self.rows = [[f"{label}{k}.png", label, f"{label}-{k}"] for label in CLASSES for k in range(6)]
        (root / "images").mkdir(parents=True)
        for k, (name, _, _) in enumerate(self.rows):
            pixels = np.random.default_rng(k).integers(0, 256, (30, 30), np.uint8)
            Image.fromarray(pixels).save(self.picture(name))
        self.write()

    def picture(self, name: str = "healthy0.png") -> Path:
        return self.root / "images" / name

    def write(self) -> None:
        """Write the table with the current rows."""
        with open(self.root / "metadata.csv", "w", newline="", encoding="utf-8") as handle:
            table = csv.writer(handle)
            if self.source == "image_folder":
                table.writerow(["image", "label", "patient_id"])
                table.writerows([f"images/{name}", label, patient] for name, label, patient in self.rows)
            else:
                table.writerow(["patientid", "finding", "view", "modality", "filename"])
                table.writerows([who, FINDING[label], "PA", "X-ray", name] for name, label, who in self.rows)

    def load(self, **rule: Any) -> Splits:
        params = self.module.Params(root=self.root)
        self.module.fingerprint(params)
        splits: Splits = loading.load(
            self.module,
            params,
            classes=CLASSES,
            image_size=16,
            split=SplitRule.model_validate(rule),
            reserve_per_class=0,
            seed=0,
        )
        return splits

    def refused(self, **rule: Any) -> DataError:
        """Return the error of loading; it has the expected type, a remedy, and at most two lines."""
        with pytest.raises(DataError) as caught:
            self.load(**rule)
        error = caught.value
        assert error.where
        assert error.remedy
        assert len(str(error).splitlines()) == 2
        return error


@pytest.fixture(params=SOURCES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return Folder(tmp_path / "data", request.param)


def test_the_intact_folder_is_read(folder: Folder) -> None:
    """Both sources read all twelve images of the intact folder."""
    assert sum(len(s) for s in folder.load().named().values()) == 12


def test_folder_is_missing(folder: Folder) -> None:
    """The error names a folder that does not exist."""
    folder.root = folder.root / "nowhere"
    assert folder.refused().problem == "no such folder"


def test_folder_is_a_file(folder: Folder) -> None:
    """A file in place of the folder is refused."""
    folder.root = folder.root / "metadata.csv"
    assert folder.refused().problem == "no such folder"


def test_folder_is_empty(folder: Folder) -> None:
    """The error states that the folder is empty."""
    folder.root = folder.root / "new"
    folder.root.mkdir()
    assert folder.refused().problem == "the folder is empty"


def test_table_is_missing(folder: Folder) -> None:
    """The error names the missing table."""
    (folder.root / "metadata.csv").unlink()
    error = folder.refused()
    assert "metadata.csv" in str(error)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00\x01\x02\xff" * 50, b"<html>not found</html>\n"])
def test_table_is_not_a_csv(folder: Folder, content: bytes) -> None:
    """An empty file, random bytes, or a web page in place of the table is refused."""
    (folder.root / "metadata.csv").write_bytes(content)
    assert "metadata.csv" in folder.refused().where


def test_table_has_a_header_alone(folder: Folder) -> None:
    """The error states that the table has no records."""
    folder.rows = []
    folder.write()
    assert folder.refused().problem == "has a header and no records"


def test_folder_lacks_a_class(folder: Folder) -> None:
    """The error names the class without images and the number of patients that the split needs."""
    folder.rows = folder.rows[:6]
    folder.write()
    error = folder.refused()
    assert error.where.endswith("'viral'")
    assert error.problem == "has 0 patients, the split needs at least 4"


def test_too_few_patients(folder: Folder) -> None:
    """Six patients are too few for a rule that needs seven."""
    assert folder.refused(min_patients=7).problem == "has 6 patients, the split needs at least 7"


def test_missing_patient_id(folder: Folder) -> None:
    """A record without a patient id is refused with its line, since the split cannot be proven disjoint."""
    folder.rows[2][2] = " "
    folder.write()
    error = folder.refused()
    assert "metadata.csv: line 4: patient" in error.where
    assert error.problem == "is missing"


def test_missing_picture(folder: Folder) -> None:
    """A listed picture that does not exist is refused with its line."""
    folder.picture().unlink()
    error = folder.refused()
    assert "metadata.csv: line 2" in error.where
    assert "healthy0.png" in error.problem


def test_zero_byte_picture(folder: Folder) -> None:
    """The error names a zero-byte file, as left by a broken download."""
    folder.picture().write_bytes(b"")
    error = folder.refused()
    assert error.where == str(folder.picture())
    assert "0 bytes" in error.problem


def test_corrupt_picture(folder: Folder) -> None:
    """The error names a truncated picture."""
    data = folder.picture().read_bytes()
    folder.picture().write_bytes(data[: len(data) // 2])
    error = folder.refused()
    assert error.where == str(folder.picture())
    assert "corrupt or truncated" in error.problem


def test_gigapixel_picture(folder: Folder) -> None:
    """A header that declares 1.6 gigapixels is refused before any pixel is decoded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 40000, 40000, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    folder.picture().write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    error = folder.refused()
    assert error.where == str(folder.picture())
    assert "expected at most 50 million" in error.problem


def test_picture_outside_the_folder(folder: Folder) -> None:
    """A table cannot make the suite read a file outside the folder."""
    (folder.root.parent / "secret.png").write_bytes(folder.picture().read_bytes())
    folder.rows[0][0] = "../../secret.png"
    folder.write()
    assert "points outside the folder" in folder.refused().problem


@pytest.mark.parametrize("kind", ["16-bit", "RGBA"])
def test_unusual_pictures_are_read(folder: Folder, kind: str) -> None:
    """16-bit and RGBA pictures are valid and become the gray levels that they show."""
    with Image.open(folder.picture()) as opened:
        gray = np.asarray(opened)
    before = folder.load()
    if kind == "16-bit":
        Image.fromarray(gray.astype(np.uint16) * 257).save(folder.picture())
    else:
        Image.fromarray(gray).convert("RGBA").save(folder.picture())
    after = folder.load()
    for name, images in before.named().items():
        assert np.array_equal(images.image, after.named()[name].image)


class Large:
    """A dataset of twelve pictures in the layout of a very large source, for tests to corrupt."""

    def __init__(self, root: Path, source: str) -> None:
        self.root, self.source = root, source
        self.module: ModuleType = importlib.import_module(f"benchmark.datasets.{source}")
        root.mkdir()
        chexpert = source == "chexpert"
        self.tables = ["train.csv", "valid.csv"] if chexpert else ["Data_Entry_2017.csv"]
        self.pictures = [
            root
            / (f"{part}/patient{k:05d}/study1/view1_frontal.jpg" if chexpert else f"images/{k:08d}_000.png")
            for part, first, last in (("train", 1, 9), ("valid", 9, 13))
            for k in range(first, last)
        ]
        for k, path in enumerate(self.pictures):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(k).integers(0, 256, (30, 30), np.uint8)).save(path)
        for table, pictures in zip(self.tables, (self.pictures[:8], self.pictures[8:]), strict=False):
            self.write(root / table, pictures if chexpert else self.pictures)

    def write(self, path: Path, pictures: list[Path]) -> None:
        """Write a table that lists these pictures."""
        with open(path, "w", newline="", encoding="utf-8") as handle:
            table = csv.writer(handle)
            if self.source == "chexpert":
                table.writerow(["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *self.module.OBSERVATIONS])
                names = [f"CheXpert-v1.0/{p.relative_to(self.root)}" for p in pictures]
                table.writerows([name, "Male", "50", "Frontal", "PA", *["0.0"] * 14] for name in names)
            else:
                table.writerow(["Image Index", "Finding Labels", "Patient ID"])
                table.writerows([p.name, "No Finding", str(int(p.name[:8]))] for p in pictures)

    def read(self) -> np.ndarray:
        """Every pixel of the dataset."""
        given = {"test": "from_train"} if self.source == "chexpert" else {"split": "drawn"}
        params = self.module.Params(root=self.root, **given)
        self.module.fingerprint(params)
        read = self.module.images(params, classes=("a", "b"), image_size=16, reserve_per_class=0, seed=0)
        pixels: np.ndarray = read.image[:]
        return pixels

    def refused(self) -> DataError:
        """The error of reading: of the right kind, with a remedy, in two lines at most."""
        with pytest.raises(DataError) as caught:
            self.read()
        assert caught.value.where
        assert caught.value.remedy
        assert len(str(caught.value).splitlines()) == 2
        return caught.value


@pytest.fixture(params=("chexpert", "chestxray14"))
def large(request: pytest.FixtureRequest, tmp_path: Path) -> Large:
    return Large(tmp_path / "data", request.param)


def test_the_intact_large_dataset_is_read(large: Large) -> None:
    """All twelve pictures of the intact dataset are read."""
    assert large.read().shape == (12, 16, 16)


@pytest.mark.parametrize("kind", ["missing", "a file", "empty"])
def test_large_folder(large: Large, kind: str) -> None:
    """A root that is missing, a file, or empty is reported as such."""
    large.root = {"missing": large.root / "no", "a file": large.pictures[0], "empty": large.root / "new"}[
        kind
    ]
    if kind == "empty":
        large.root.mkdir()
    assert large.refused().problem == ("the folder is empty" if kind == "empty" else "no such folder")


def test_large_table_is_missing(large: Large) -> None:
    """The error names the missing table."""
    (large.root / large.tables[-1]).unlink()
    assert large.tables[-1] in str(large.refused())


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00\x01\x02\xff" * 50, b"<html>not found</html>\n"])
def test_large_table_is_not_a_csv(large: Large, content: bytes) -> None:
    """An empty file, random bytes, or a web page in place of the table is refused."""
    (large.root / large.tables[-1]).write_bytes(content)
    assert large.tables[-1] in large.refused().where


def test_large_table_has_a_header_alone(large: Large) -> None:
    """The error states that the table has no records."""
    large.write(large.root / large.tables[0], [])
    assert large.refused().problem == "has a header and no records"


def test_large_table_cut_off(large: Large) -> None:
    """A download that broke off within a record is reported at that record."""
    path = large.root / large.tables[0]
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"0000")])
    assert f"{large.tables[0]}: line" in large.refused().where


def test_picture_that_is_missing(large: Large) -> None:
    """A listed picture that does not exist is refused with its line before any picture is read."""
    large.pictures[1].unlink()
    error = large.refused()
    assert error.where.endswith(f"{large.tables[0]}: line 3")
    assert large.pictures[1].name in error.problem


@pytest.mark.parametrize(("content", "problem"), [(b"", "is empty (0 bytes)"), (b"GIF89a", "corrupt")])
def test_picture_that_is_broken(large: Large, content: bytes, problem: str) -> None:
    """The error names a broken picture when it is read."""
    large.pictures[1].write_bytes(content)
    error = large.refused()
    assert error.where == str(large.pictures[1])
    assert problem in error.problem or "is not a PNG" in error.problem
