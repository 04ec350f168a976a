"""The adapter of NIH ChestX-ray14, on a small tree in its public layout."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import chestxray14
from benchmark.datasets.chestxray14 import FINDINGS, Params, fingerprint, images
from benchmark.errors import DataError, UnknownNameError
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import ImageSet
from benchmark.protocol import load as loading
from benchmark.tasks.schema import SplitRule

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
LABELS = ("No Finding", "Effusion", "Effusion|Infiltration", "Mass")
SIZES = ("2682", "2749", "0.143", "0.143", "")
CHOSEN = ("Effusion", "Mass", "Infiltration")


class Tree:
    """24 patients with two pictures each, in images_001 and images_002; the last six are in the official test
    list."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[list[str]] = []
        for patient in range(1, 25):
            for follow_up in range(2):
                name = f"{patient:08d}_{follow_up:03d}.png"
                folder = root / f"images_{1 + patient // 13:03d}" / "images"
                folder.mkdir(parents=True, exist_ok=True)
                pixels = np.random.default_rng([patient, follow_up]).integers(0, 256, (32, 32), np.uint8)
                Image.fromarray(pixels).save(folder / name)
                known = [str(patient), str(40 + patient), "MF"[patient % 2], "PA" if follow_up else "AP"]
                self.rows.append([name, LABELS[patient % 4], str(follow_up), *known, *SIZES])
        names = [row[0] for row in self.rows]
        (root / "train_val_list.txt").write_text("\n".join(names[:36]) + "\n")
        (root / "test_list.txt").write_text("\r\n".join(names[36:]))
        self.write()
        self.boxes = [
            ["00000001_000.png", "Effusion", "512", "256", "256", "128", "", "", ""],
            ["00000002_000.png", "Effusion", "0", "0", "64", "64", "", "", ""],
            ["00000002_000.png", "Infiltrate", "225.08", "547.01", "512", "512", "", "", ""],
            ["00099999_000.png", "Mass", "1", "1", "9", "9", "", "", ""],
        ]
        self.write_boxes()

    def write(self, name: str = "Data_Entry_2017.csv", header: str = HEADER) -> None:
        """Write the table with the current rows."""
        with open(self.root / name, "w", newline="", encoding="utf-8") as handle:
            handle.write(header + "\n")
            csv.writer(handle).writerows(self.rows)

    def write_boxes(self, header: str = BOX_HEADER) -> None:
        """Write the table of boxes."""
        lines = [header, *(",".join(row) for row in self.boxes)]
        (self.root / "BBox_List_2017.csv").write_text("\n".join(lines))

    def read(self, classes: tuple[str, ...] = CHOSEN, size: int = 16, **params: object) -> ImageSet:
        given = Params.model_validate({"root": self.root, **params})
        return images(given, classes=classes, image_size=size, reserve_per_class=0, seed=0)

    def refused(self, **params: object) -> DataError:
        """Return the error of reading; it has a location and a remedy."""
        with pytest.raises(DataError) as caught:
            self.read(**params)  # type: ignore[arg-type]
        assert caught.value.where
        assert caught.value.remedy
        assert len(str(caught.value).splitlines()) == 2
        return caught.value


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_public_layout(tree: Tree) -> None:
    """Pictures of all folders are read; patient, sex, age and view come from the table."""
    result = tree.read(("negative", "positive"))
    assert len(result) == 48
    assert result.classes == FINDINGS
    assert len(FINDINGS) == 15
    row = result.image_id.tolist().index("00000003_001.png")
    for column, value in (("patient_id", "00000003"), ("sex", "female"), ("age", 43), ("view", "PA")):
        assert getattr(result, column)[row] == value
    assert result.image[row].shape == (16, 16)
    assert result.card["notes"] == ["1 images have several boxes: that of the first class used"]


def test_findings_become_several_labels(tree: Tree) -> None:
    """Each name between bars is one class, in the task's order and spelling; an image without any of them has
    only zeros."""
    result = tree.read(("mass", "effusion", "infiltration"))
    assert result.classes == ("mass", "effusion", "infiltration")
    of = dict(zip(result.patient_id.tolist(), result.label.tolist(), strict=True))
    assert [of[f"{k:08d}"] for k in range(4, 8)] == [[0, 0, 0], [0, 1, 0], [0, 1, 1], [1, 0, 0]]
    assert result.reported_labels is not None
    assert (result.reported_labels == result.label).all()
    with pytest.raises(UnknownNameError, match="Did you mean 'Effusion'"):
        tree.read(("Efusion", "Mass"))


def test_single_label(tree: Tree) -> None:
    """With labels=single, only images with exactly one of the classes remain; normal is No Finding."""
    result = tree.read(("normal", "effusion", "infiltration"), labels="single")
    assert result.counts() == {"normal": 12, "effusion": 12, "infiltration": 0}
    assert "12 images left out, labels single: no class" in result.card["notes"]
    assert "12 images left out, labels single: several classes" in result.card["notes"]


def test_official_lists(tree: Tree) -> None:
    """The official test list becomes test; val and reserve are drawn from the rest by patient."""
    assert sorted(np.unique(tree.read().split, return_counts=True)[1].tolist()) == [12, 36]
    splits = loading.load(
        chestxray14,
        Params(root=tree.root, labels="single"),
        classes=("normal", "effusion", "mass"),
        image_size=16,
        split=SplitRule(val=0.2, reserve=0.2),
        reserve_per_class=0,
        seed=0,
    )
    prove_disjoint(splits)
    assert sorted(splits.test.patients()) == [f"{k:08d}" for k in range(19, 25)]
    assert "reserve drawn from the given train split" in splits.notes


def test_drawn_split(tree: Tree) -> None:
    """split=drawn leaves the split to the task and needs no lists."""
    (tree.root / "test_list.txt").unlink()
    assert "test_list.txt" in tree.refused().where
    assert tree.read(split="drawn").split is None


def test_image_on_no_list(tree: Tree) -> None:
    """An image on no official list is left out, with a note."""
    (tree.root / "test_list.txt").write_text("00000024_001.png")
    result = tree.read()
    assert len(result) == 37
    assert any(
        note.startswith("11 records left out, on no official list: 00000019") for note in result.card["notes"]
    )


def test_image_on_both_lists(tree: Tree) -> None:
    """An image on both lists is refused, and so is a patient with images on both."""
    (tree.root / "test_list.txt").write_text("00000001_000.png")
    assert "lists 1 images that the other list has too" in tree.refused().problem
    (tree.root / "train_val_list.txt").write_text("00000001_001.png")
    assert tree.refused().problem == "1 patients are in split 'test' and in split 'train': 00000001"


def test_boxes_are_scaled(tree: Tree) -> None:
    """A box given in the frame of 1024 pixels is scaled to the square; an image without a box has NaN."""
    result = tree.read()
    assert result.box is not None
    assert result.box[0].tolist() == [8, 4, 4, 2]
    assert np.isnan(result.box[4]).all()
    assert tree.read(size=32).box[0].tolist() == [16, 8, 8, 4]  # type: ignore[index]
    assert result.card["boxes"] == 2


def test_box_of_the_first_class(tree: Tree) -> None:
    """Of several boxes, the one of the task's first class is used; Infiltrate is an alias of Infiltration."""
    assert tree.read(("Effusion", "Infiltration")).box[2].tolist() == [0, 0, 1, 1]  # type: ignore[index]
    other = tree.read(("Infiltration", "Effusion")).box[2]  # type: ignore[index]
    assert other.tolist() == pytest.approx([225.08 / 64, 547.01 / 64, 8, 1024 / 64 - 547.01 / 64])


def test_other_box_header(tree: Tree) -> None:
    """Files with one column name per corner are read too; without the file no image has a box."""
    tree.boxes = [row[:6] for row in tree.boxes]
    expected = tree.read().box
    tree.write_boxes("Image Index,Finding Label,bbox x,bbox y,bbox w,bbox h")
    assert np.array_equal(tree.read().box, expected, equal_nan=True)  # type: ignore[arg-type]
    (tree.root / "BBox_List_2017.csv").unlink()
    assert tree.read().box is None


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        (["00000001_000.png", "Effusion", "1024", "5", "9", "9"], "no area"),
        (["00000001_000.png", "Effusion", "5", "5", "0", "9"], "no area"),
        (["00000001_000.png", "Effusion", "5", "5", "", "9"], "no area"),
        (["00000001_000.png", "Effusion", "5", "x", "5", "9"], "'x' is not a number"),
        (["00000001_000.png", "Pneu", "5", "5", "5", "9"], "'Pneu' is not one of Atelectasis"),
    ],
)
def test_bad_box(tree: Tree, box: list[str], problem: str) -> None:
    """An empty box, a box with a non-number and an unknown finding are refused with their line."""
    tree.boxes[1] = [*box, "", "", ""]
    tree.write_boxes()
    error = tree.refused()
    assert "BBox_List_2017.csv: line 3" in error.where
    assert problem in error.problem


def test_corrected_table_comes_first(tree: Tree) -> None:
    """Data_Entry_2017_v2020.csv (Patient Sex, unpadded ages) is preferred to the older table, with a note."""
    tree.rows[0][4] = "57"
    tree.write("Data_Entry_2017_v2020.csv", HEADER.replace("Gender", "Sex").rstrip(","))
    result = tree.read()
    assert result.age is not None
    assert result.age[0] == 57
    assert result.sex is not None
    assert result.sex[0] == "female"
    assert result.card["notes"][0] == "Data_Entry_2017.csv not read, since Data_Entry_2017_v2020.csv exists"
    assert tree.read(table="Data_Entry_2017.csv").age[0] == 41  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "years"), [("058Y", 58), ("58", 58), ("018M", 1.5), ("", np.nan), ("414", np.nan)]
)
def test_ages(tree: Tree, text: str, years: float) -> None:
    """Ages come with or without a unit; an age over 120 years is unknown, and a note quotes it."""
    tree.rows[0][4] = text
    tree.write()
    result = tree.read()
    assert result.age is not None
    assert result.age[0] == pytest.approx(years, nan_ok=True)
    noted = "1 ages over 120 years counted as unknown: 414 of 00000001_000.png"
    assert (noted in result.card["notes"]) == (text == "414")


@pytest.mark.parametrize(
    ("column", "text", "where", "problem"),
    [
        (1, "Effusion|Pneu", "line 3: finding labels", "'Pneu' is not one of Atelectasis, Cardiomegaly"),
        (1, "No Finding|Mass", "line 3: finding labels", "names No Finding beside a finding"),
        (1, "", "line 3: finding labels", "is missing"),
        (3, "7", "line 3: Patient ID", "'7' is not the patient of '00000001_001.png'"),
        (3, "nan", "line 3: patient id", "is missing"),
        (4, "old", "line 3: patient age", "'old' is not a number"),
        (5, "X", "line 3: patient gender", "'X' is not one of M, F, blank"),
        (6, "LL", "line 3: view position", "'LL' is not one of PA, AP, blank"),
        (0, "../00000001_001.png", "line 3: Image Index", "points outside the folder"),
        (0, "00000099_000.png", "line 3", "lists '00000099_000.png', which is not at"),
        (0, "00000001_000.png", "line 3", "contradicts line 2 on '00000001_000.png'"),
    ],
)
def test_bad_row(tree: Tree, column: int, text: str, where: str, problem: str) -> None:
    """A faulty record is refused with its line, the column, the value and a remedy."""
    tree.rows[1][column] = text
    tree.write()
    error = tree.refused()
    assert error.where.endswith(where)
    assert problem in error.problem


def test_missing_pictures(tree: Tree) -> None:
    """Missing pictures are an error with count and names, or are left out up to the allowed share."""
    for path in (tree.root / "images_002/images").iterdir():
        path.unlink()
    error = tree.refused()
    assert error.where.endswith("Data_Entry_2017.csv: line 26")
    assert "and 23 more of 48" in error.problem
    assert len(tree.read(allow_missing=0.5)) == 24


def test_one_folder_of_images(tree: Tree) -> None:
    """A single folder images/ gives the same dataset; two copies of a picture are refused."""
    expected = tree.read().content_hash()
    together = tree.root / "images"
    together.mkdir()
    for path in sorted(tree.root.glob("images_*/images/*.png")):
        path.rename(together / path.name)
    assert tree.read().content_hash() == expected
    (tree.root / "images_001/images/00000001_000.png").write_bytes(b"x")
    assert "has '00000001_000.png' twice" in tree.refused().problem


def test_link_out_of_the_folder(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A picture folder that links out of the root is not followed, and is reported."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "images_001"
    (tree.root / "images_001").rename(elsewhere)
    (tree.root / "images_001").symlink_to(elsewhere)
    assert "links that point outside the folder are not followed: images_001" in tree.refused().problem


def test_no_table(tmp_path: Path) -> None:
    """The error names the table that is missing from the folder."""
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match=r"has no Data_Entry_2017_v2020.csv or Data_Entry_2017.csv"):
        images(Params(root=tmp_path), classes=CHOSEN, image_size=16, reserve_per_class=0, seed=0)


def test_fingerprint(tree: Tree) -> None:
    """The fingerprint covers tables, lists, boxes, names and sizes, but not the location."""
    distinct = {fingerprint(Params(root=tree.root))}
    tree.rows[0][1] = "Edema"
    tree.write()
    distinct.add(fingerprint(Params(root=tree.root)))
    (tree.root / "test_list.txt").write_text("00000024_001.png")
    distinct.add(fingerprint(Params(root=tree.root)))
    tree.boxes.pop()
    tree.write_boxes()
    distinct.add(fingerprint(Params(root=tree.root)))
    picture = tree.root / "images_001/images/00000001_000.png"
    picture.write_bytes(picture.read_bytes() + b"\0")
    distinct.add(fingerprint(Params(root=tree.root)))
    assert len(distinct) == 5
    moved = tree.root.rename(tree.root.with_name("moved"))
    assert fingerprint(Params(root=moved)) in distinct
