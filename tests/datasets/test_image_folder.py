"""A user's image folder: with a table, with subfolders, with given splits, and with invalid input."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import image_folder
from benchmark.datasets.image_folder import Params, fingerprint
from benchmark.errors import DataError, UnknownNameError
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import Splits
from benchmark.protocol import load as loading
from benchmark.tasks.schema import SplitRule
from support.samples import without_notes_on_small_tests

CLASSES = ("cat", "dog")
HEADER = ["image", "label", "patient_id", "age", "split"]


def picture(path: Path, seed: int) -> None:
    """Return a picture that differs from that of any other seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 24), np.uint8)).save(path)


def write(root: Path, rows: list[dict[str, str]], header: list[str] = HEADER) -> None:
    """Write metadata.csv."""
    with open(root / "metadata.csv", "w", newline="", encoding="utf-8") as handle:
        table = csv.DictWriter(handle, header, extrasaction="ignore", restval="")
        table.writeheader()
        table.writerows(rows)


def table(root: Path, per_class: int = 6) -> list[dict[str, str]]:
    """Write a folder with a table: n patients per class, two pictures each."""
    rows = []
    for i in range(per_class * 4):
        label = CLASSES[i % 2]
        file = f"pictures/{i}.png"
        picture(root / file, i)
        rows.append({"image": file, "label": label, "patient_id": f"{label}-{i // 4}"})
    write(root, rows)
    return rows


def subfolders(root: Path, per_class: int = 6) -> None:
    """Write a folder per class with files named patient_number.png."""
    for c, label in enumerate(CLASSES):
        for k in range(per_class * 2):
            picture(root / label / f"{label}{k // 2}_{k}.png", 100 * c + k)


def read(root: Path, classes: tuple[str, ...] = CLASSES, too_few: str = "error", **params: object) -> Splits:
    """Load with the defaults of the tests."""
    given = Params.model_validate({"root": root, **params})
    rule = SplitRule.model_validate({"too_few": too_few})
    splits = loading.load(
        image_folder, given, classes=classes, image_size=16, split=rule, reserve_per_class=0, seed=0
    )
    return without_notes_on_small_tests(splits)


def total(splits: Splits) -> int:
    return sum(len(s) for s in splits.named().values())


def test_table_is_read(tmp_path: Path) -> None:
    """Every record is read, each patient is in one split, and known columns are filled."""
    rows = table(tmp_path)
    rows[0]["age"] = "50"
    write(tmp_path, rows)
    splits = read(tmp_path)
    prove_disjoint(splits)
    assert total(splits) == 24
    assert sum(len(s.patients()) for s in splits.named().values()) == 12
    ages = np.concatenate([s.age for s in splits.named().values() if s.age is not None])
    assert np.nansum(ages) == 50
    assert splits.train.sex is None
    assert splits.train.origin[0] == "real:image_folder"
    assert splits.notes == ()


def test_subfolders_with_separator(tmp_path: Path) -> None:
    """The file name up to the separator is the patient."""
    subfolders(tmp_path)
    splits = read(tmp_path, patient_separator="_")
    prove_disjoint(splits)
    assert {p for s in splits.named().values() for p in s.patients()} == {
        f"{label}{k}" for label in CLASSES for k in range(6)
    }
    assert splits.notes == ()


def test_subfolders_without_separator_leave_a_note(tmp_path: Path) -> None:
    """Without a separator every file is a patient, and a note states so; other files are counted."""
    subfolders(tmp_path)
    (tmp_path / "cat/Thumbs.db").write_bytes(b"x")
    (tmp_path / "cat/.hidden").write_bytes(b"x")
    splits = read(tmp_path)
    assert sum(len(s.patients()) for s in splits.named().values()) == total(splits) == 24
    assert splits.notes[0] == "every file counts as a patient: no patient_separator"
    assert splits.notes[1].startswith("1 files in the class folders left out")


def test_given_splits_are_used_as_they_are(tmp_path: Path) -> None:
    """The column split is used unchanged; with all four splits given, nothing is drawn."""
    rows = table(tmp_path)
    names = ["train", "train", "train", "val", "test", "reserve"]
    for row in rows:
        row["split"] = names[int(row["patient_id"][4:])]
    write(tmp_path, rows)
    splits = read(tmp_path)
    assert {n: len(s.patients()) for n, s in splits.named().items()} == {
        "train": 6,
        "val": 2,
        "test": 2,
        "reserve": 2,
    }
    assert splits.test.patients() == {"cat-4", "dog-4"}
    assert splits.notes == ()


def test_given_splits_without_a_small_class(tmp_path: Path) -> None:
    """Excluding a class removes only its own records; the others stay in their given split."""
    rows = table(tmp_path)
    names = ["train", "train", "train", "val", "test", "reserve"]
    for row in rows:
        row["split"] = names[int(row["patient_id"][4:])]
    picture(tmp_path / "ape.png", 555)
    rows.insert(0, {"image": "ape.png", "label": "ape", "patient_id": "ape", "split": "test"})
    write(tmp_path, rows)
    splits = read(tmp_path, ("ape", *CLASSES), too_few="exclude")
    assert splits.test.patients() == {"cat-4", "dog-4"}
    assert splits.train.classes == CLASSES
    assert splits.notes == ("class 'ape' excluded: 1 patient, the split needs at least 4",)


def test_different_frames_of_one_patient_are_all_retained(tmp_path: Path) -> None:
    """Two frames of one patient that differ by one gray value are two images; equal frames are one."""
    rows = table(tmp_path)
    with Image.open(tmp_path / rows[0]["image"]) as opened:
        frame = np.asarray(opened).copy()
    frame[0, 0] += 1
    Image.fromarray(frame).save(tmp_path / "next.png")
    write(tmp_path, [*rows, {**rows[0], "image": "next.png"}])
    assert total(read(tmp_path)) == 25
    Image.fromarray(frame).save(tmp_path / "third.png")
    write(tmp_path, [*rows, {**rows[0], "image": "next.png"}, {**rows[0], "image": "third.png"}])
    splits = read(tmp_path)
    assert total(splits) == 25
    assert splits.notes == ("1 duplicates dropped: images in several files",)


def test_reserve_is_drawn_from_given_train(tmp_path: Path) -> None:
    """With only train, val and test given, the reserve is drawn from train by patient, with a note."""
    rows = table(tmp_path)
    names = ["train", "train", "train", "train", "val", "test"]
    for row in rows:
        row["split"] = names[int(row["patient_id"][4:])]
    write(tmp_path, rows)
    splits = read(tmp_path)
    prove_disjoint(splits)
    assert splits.val.patients() == {"cat-4", "dog-4"}
    assert splits.test.patients() == {"cat-5", "dog-5"}
    assert len(splits.reserve.patients()) >= 2
    assert total(splits) == 24
    assert splits.notes == ("reserve drawn from the given train split",)


def test_patient_in_two_given_splits(tmp_path: Path) -> None:
    """A patient in train and test is refused with both lines."""
    rows = table(tmp_path)
    for i, row in enumerate(rows):
        row["split"] = ["train", "val", "test", "reserve"][i // 2 % 4]
    write(tmp_path, rows)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert caught.value.where == f"{tmp_path}/metadata.csv: line 4"
    assert "patient 'cat-0' is in split 'val' and" in caught.value.problem
    assert "line 2, in split 'train'" in caught.value.problem


def test_same_picture_in_two_given_splits(tmp_path: Path) -> None:
    """A picture under two ids in train and test is a leak and is refused."""
    rows = table(tmp_path)
    names = ["train", "train", "train", "val", "test", "reserve"]
    for row in rows:
        row["split"] = names[int(row["patient_id"][4:])]
    (tmp_path / rows[-1]["image"]).write_bytes((tmp_path / rows[1]["image"]).read_bytes())
    write(tmp_path, rows)
    with pytest.raises(DataError, match=r"the same person as 'dog-0' \(they share an image\)"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("change", "where", "problem"),
    [
        ({"patient_id": ""}, "line 2: patient_id", "is missing"),
        ({"label": ""}, "line 2: label", "is missing"),
        ({"image": ""}, "line 2: image", "is missing"),
        ({"image": "../../x.png"}, "line 2: image", "points outside the folder"),
        ({"image": "nothing.png"}, "line 2", "lists 'nothing.png', which is not at"),
        ({"label": "dgo"}, "line 2", "unknown label 'dgo'"),
        ({"age": "old"}, "line 2: age", "'old' is not a number"),
        ({"split": "training"}, "line 2: split", "'training' is not one of train, val, test, reserve"),
        ({"split": "train"}, "line 3: split", "is missing"),
    ],
)
def test_bad_row(tmp_path: Path, change: dict[str, str], where: str, problem: str) -> None:
    """A faulty record is refused with its line, the column, the value and a remedy."""
    rows = table(tmp_path)
    rows[0] |= change
    write(tmp_path, rows)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert caught.value.where.endswith(where)
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_missing_pictures_up_to_a_share(tmp_path: Path) -> None:
    """allow_missing leaves out missing pictures; a note counts and names them."""
    rows = table(tmp_path)
    for row in rows[:2]:
        (tmp_path / row["image"]).unlink()
    with pytest.raises(DataError, match=r"lists 'pictures/0\.png', which is not at .* and 1 more of 24"):
        read(tmp_path)
    splits = read(tmp_path, allow_missing=0.1)
    assert total(splits) == 22
    assert splits.notes == ("2 records left out, image file missing: pictures/0.png, pictures/1.png",)


def test_commercial_use(tmp_path: Path) -> None:
    """Licenses in the table are respected; without any, the pictures are taken as the user's own."""
    rows = table(tmp_path)
    assert total(read(tmp_path, use="commercial")) == 24
    licensed = [{**row, "license": "CC BY"} for row in rows]
    licensed[0]["license"] = "CC BY-NC"
    write(tmp_path, licensed, [*HEADER, "license"])
    splits = read(tmp_path, use="commercial")
    assert total(splits) == 23
    assert splits.notes == ("1 records left out, license forbids commercial use: CC BY-NC 1",)


@pytest.mark.parametrize("text", ["nan", "NaN", "NA", "n/a", "NULL", "-", "?", "unknown"])
def test_missing_patient_id(tmp_path: Path, text: str) -> None:
    """A missing id, as spreadsheets and R write it, is refused as it is spelled: it would join patients."""
    rows = table(tmp_path)
    rows[3]["patient_id"] = text
    write(tmp_path, rows)
    with pytest.raises(DataError, match=re.escape(f"line 5: patient_id: is missing: '{text}'")):
        read(tmp_path)


def test_missing_texts_of_other_columns(tmp_path: Path) -> None:
    """In other columns such a cell is unknown; a label is refused, and a patient called Na is one."""
    rows = [{**row, "age": "NA", "split": "-", "sex": "unknown", "view": "N/A"} for row in table(tmp_path)]
    rows[0] |= {"sex": "F", "patient_id": "Na"}
    write(tmp_path, rows, [*HEADER, "sex", "view"])
    splits = read(tmp_path)
    sexes = [str(sex) for s in splits.named().values() if s.sex is not None for sex in s.sex]
    assert (sexes.count("F"), sexes.count("")) == (1, len(sexes) - 1)
    assert splits.train.view is None
    assert splits.train.age is None
    rows[3]["label"] = "NA"
    write(tmp_path, rows, [*HEADER, "sex", "view"])
    with pytest.raises(DataError, match="line 5: label: is missing: 'NA'"):
        read(tmp_path)


def nested(root: Path) -> None:
    """Write class folders with pictures, patients' folders, and what systems leave beside them."""
    for c, label in enumerate(CLASSES):
        for k in range(4):
            picture(root / label / f"{label}{k}_1.png", 100 * c + k)
            for n in range(2):
                picture(root / label / f"{label}p{k}" / "study" / f"{n}.PNG", 100 * c + 10 * k + 50 + n)
    picture(root / "beside.png", 900)
    picture(root / "cat/@eaDir/thumbnail.png", 901)
    picture(root / "__MACOSX/cat/x.png", 902)
    (root / "cat/more").symlink_to(root / "dog")
    (root / "dog/loop").symlink_to(root)


def test_patients_folders_in_class_folders(tmp_path: Path) -> None:
    """Pictures at any depth are read; a folder is a patient; what is left out is counted."""
    nested(tmp_path)
    splits = read(tmp_path)
    prove_disjoint(splits)
    assert total(splits) == 24
    patients = {p for s in splits.named().values() for p in s.patients()}
    assert {p for p in patients if "/" not in p} == {f"{c}p{k}" for c in CLASSES for k in range(4)}
    assert splits.notes == (
        "8 files count as a patient each: no patient_separator",
        "16 images in subfolders of the class folders: the subfolder names the patient",
        "1 images beside the class folders left out: beside.png",
        "2 links to folders not followed: cat/more, dog/loop",
    )


def test_subfolders_that_are_groups(tmp_path: Path) -> None:
    """With ``groups`` the file name alone decides, at any depth."""
    nested(tmp_path)
    splits = read(tmp_path, subfolders="groups", patient_separator="_")
    patients = {p for s in splits.named().values() for p in s.patients()}
    assert patients == {"0", "1", *(f"{c}{k}" for c in CLASSES for k in range(4))}


@pytest.mark.parametrize("name", ["NA_1.png", "_1.png"])
def test_file_name_without_a_patient(tmp_path: Path, name: str) -> None:
    """A file name whose part before the separator is blank or missing is refused."""
    subfolders(tmp_path)
    picture(tmp_path / "cat" / name, 77)
    with pytest.raises(DataError, match=r"is missing: 'NA'|the patient's id is empty"):
        read(tmp_path, patient_separator="_")


def test_link_without_a_target(tmp_path: Path) -> None:
    """A picture that is a link to nothing is refused by name."""
    subfolders(tmp_path)
    (tmp_path / "cat/gone.png").symlink_to(tmp_path / "nothing.png")
    with pytest.raises(DataError, match=r"gone\.png: is not a plain file, or a link without a target"):
        read(tmp_path)


def test_pictures_in_no_record_are_counted(tmp_path: Path) -> None:
    """Pictures that the table does not list leave a note with their number and the first."""
    table(tmp_path)
    picture(tmp_path / "pictures/more.png", 500)
    picture(tmp_path / "other.png", 501)
    assert read(tmp_path).notes == (
        "2 images left out, in no record of the table: other.png, pictures/more.png",
    )


def test_columns_of_another_name_are_mapped(tmp_path: Path) -> None:
    """The same images, labels and patients as with our names; an unknown column of ours is named."""
    rows = table(tmp_path)
    before = read(tmp_path)
    own = {"image": "file", "label": "finding", "patient_id": "subject"}
    renamed = [{own.get(k, k): v for k, v in row.items()} for row in rows]
    write(tmp_path, renamed, [own.get(name, name) for name in HEADER])
    with pytest.raises(DataError, match="image"):
        read(tmp_path)
    after = read(tmp_path, columns=own)
    assert after.train.content_hash() == before.train.content_hash()
    with pytest.raises(UnknownNameError, match="Did you mean 'label'"):
        read(tmp_path, columns={"lable": "finding"})


def test_windows_paths_in_the_table(tmp_path: Path) -> None:
    """Backslashes separate folders; the ids are those of a table with slashes."""
    rows = table(tmp_path)
    before = read(tmp_path).train.image_id.tolist()
    write(tmp_path, [{**row, "image": row["image"].replace("/", "\\")} for row in rows])
    splits = read(tmp_path)
    assert splits.train.image_id.tolist() == before
    assert splits.notes == ()
    write(tmp_path, [{**rows[0], "image": "..\\..\\x.png"}, *rows[1:]])
    with pytest.raises(DataError, match="points outside the folder"):
        read(tmp_path)


def test_ages_against_study_dates(tmp_path: Path) -> None:
    """A patient who is older at an earlier study is noted; a text that is no date is refused."""
    rows = table(tmp_path)
    rows[0] |= {"age": "60", "study_date": "2010-05-01"}
    rows[2] |= {"age": "50", "study_date": "2012-05-01", "patient_id": rows[0]["patient_id"]}
    write(tmp_path, rows, [*HEADER, "study_date"])
    note = "1 patients older at an earlier study than at a later one, the first is 'cat-0'"
    assert read(tmp_path).notes == (note,)
    rows[0]["study_date"] = "spring"
    write(tmp_path, rows, [*HEADER, "study_date"])
    with pytest.raises(DataError, match="line 2: study_date: 'spring' is not a date such as 2020-03-31"):
        read(tmp_path)


def test_missing_column(tmp_path: Path) -> None:
    """The error names the missing column of patient ids."""
    write(tmp_path, table(tmp_path), ["image", "label"])
    with pytest.raises(DataError, match="patient_id: column is missing"):
        read(tmp_path)


def test_a_requested_table_must_exist(tmp_path: Path) -> None:
    """A table requested by name is never silently replaced by the subfolders."""
    subfolders(tmp_path)
    with pytest.raises(DataError, match=r"labels.csv: cannot be read"):
        read(tmp_path, table="labels.csv")


def test_params_survive_a_round_trip(tmp_path: Path) -> None:
    """Parameters survive a round trip through their JSON form with defaults."""
    subfolders(tmp_path)
    written = Params(root=tmp_path, patient_separator="_").model_dump(mode="json")
    assert fingerprint(Params(**written)) == fingerprint(Params(root=tmp_path, patient_separator="_"))


def test_label_that_is_not_a_class(tmp_path: Path) -> None:
    """Pictures with other labels are refused, or ignored and counted if the labels are listed."""
    subfolders(tmp_path)
    picture(tmp_path / "bird/b_0.png", 999)
    with pytest.raises(DataError, match="unknown label 'bird'"):
        read(tmp_path)
    splits = read(tmp_path, ignore_labels=["bird"])
    assert "1 images left out, label 'bird' ignored" in splits.notes


def test_folder_that_lacks_a_class(tmp_path: Path) -> None:
    """The error names the class without a folder."""
    subfolders(tmp_path)
    with pytest.raises(DataError, match="'fish': has 0 patients"):
        read(tmp_path, ("cat", "dog", "fish"))


def test_fingerprint_follows_the_content(tmp_path: Path) -> None:
    """A changed pixel or label changes the fingerprint; moving the folder does not."""
    rows = table(tmp_path / "one")
    table(tmp_path / "two")
    one = fingerprint(Params(root=tmp_path / "one"))
    assert one == fingerprint(Params(root=tmp_path / "two"))
    picture(tmp_path / "two/pictures/3.png", 777)
    assert fingerprint(Params(root=tmp_path / "two")) != one
    rows[0]["label"] = "dog"
    write(tmp_path / "one", rows)
    assert fingerprint(Params(root=tmp_path / "one")) != one
