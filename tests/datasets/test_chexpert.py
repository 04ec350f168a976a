"""The adapter of CheXpert, on small trees in its public layouts."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import chexpert
from benchmark.datasets.chexpert import OBSERVATIONS, Params, fingerprint, images
from benchmark.errors import DataError, UnknownNameError
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import LazyImages
from benchmark.protocol import load as loading
from benchmark.protocol import scenario
from benchmark.tasks.loading import load_task

HEADER = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *OBSERVATIONS]
EFFUSION = OBSERVATIONS.index("Pleural Effusion")
SMALL = "CheXpert-v1.0-small"
CHOSEN = ("Pneumothorax", "Pleural Effusion")


def radiograph(path: Path, seed: int) -> None:
    """Return a JPEG that differs from that of any other seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (39, 32), np.uint8)).save(path, quality=90)


def row(path: str, findings: dict[str, str] | None = None, **more: str) -> dict[str, str]:
    """Return a record of train.csv; observations that are not given are blank."""
    lateral = "lateral" in path
    known = {
        "Path": path,
        "Sex": "Female",
        "Age": "61",
        "Frontal/Lateral": "Lateral" if lateral else "Frontal",
    }
    view = "" if lateral else "AP"
    return {**dict.fromkeys(HEADER, ""), **known, "AP/PA": view, **(findings or {}), **more}


def write(path: Path, rows: list[dict[str, str]], header: list[str] | None = None, **how: str) -> None:
    """Write a table."""
    columns = header or list(rows[0])
    with open(path, "w", newline="", encoding=how.get("encoding", "utf-8")) as handle:
        table = csv.DictWriter(handle, columns, extrasaction="ignore", lineterminator=how.get("end", "\n"))
        table.writeheader()
        table.writerows(rows)


class Tree:
    """A dataset of 20 train, 4 valid and 6 test patients; every third also has a lateral view."""

    def __init__(self, root: Path, name: str = SMALL) -> None:
        self.root, self.name, self.folder = root, name, root / name
        self.rows: dict[str, list[dict[str, str]]] = {}
        for part, first, many in (("train", 1, 20), ("valid", 64541, 4), ("test", 64741, 6)):
            self.rows[part] = [r for k in range(first, first + many) for r in self.patient(part, k)]
        self.write()

    def patient(self, part: str, number: int) -> list[dict[str, str]]:
        """Return the records of one patient, and write their pictures."""
        views = ["view1_frontal.jpg", "view2_lateral.jpg"] if number % 3 == 0 else ["view1_frontal.jpg"]
        findings = {"Pleural Effusion": ["1.0", "0.0", "-1.0", ""][number % (4 if part == "train" else 2)]}
        if part != "train":
            findings = dict.fromkeys(OBSERVATIONS, "0.0") | findings
        rows = []
        for view in views:
            file = f"{part}/patient{number:05d}/study1/{view}"
            radiograph(self.folder / file, 10 * number + len(rows))
            rows.append(row(f"{self.name}/{file}", findings, Sex=["Male", "Female"][number % 2]))
        return rows

    def write(self) -> None:
        """Write the three tables as the rows now stand."""
        write(self.folder / "train.csv", self.rows["train"])
        write(self.folder / "valid.csv", self.rows["valid"])
        header = ["Path", *OBSERVATIONS]
        tests = [{**r, "Path": r["Path"].partition("/")[2]} for r in self.rows["test"]]
        write(self.folder / "test_labels.csv", tests, header)

    def read(self, classes: tuple[str, ...] = CHOSEN, seed: int = 0, **params: object) -> ImageSet:
        given = Params.model_validate({"root": self.folder, **params})
        return images(given, classes=classes, image_size=16, reserve_per_class=0, seed=seed)

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


def by_id(result: ImageSet, column: str) -> dict[str, object]:
    return dict(zip(result.image_id.tolist(), getattr(result, column).tolist(), strict=True))


def test_small_layout(tree: Tree) -> None:
    """Every picture of the three tables is read, with patient, view, sex, age, split and report."""
    result = tree.read(OBSERVATIONS)
    assert len(result) == 26 + 5 + 8
    assert result.classes == OBSERVATIONS
    assert {s: int((result.split == s).sum()) for s in ("train", "val", "test")} == {
        "train": 26,
        "val": 5,
        "test": 8,
    }
    one = "train/patient00003/study1/view2_lateral.jpg"
    assert by_id(result, "patient_id")[one] == "patient00003"
    assert by_id(result, "view")[one] == "LATERAL"
    assert by_id(result, "sex")[one] == "female"
    assert by_id(result, "age")[one] == 61
    assert by_id(result, "view")["train/patient00003/study1/view1_frontal.jpg"] == "AP"
    assert set(result.view[result.split == "test"].tolist()) == {"FRONTAL", "LATERAL"}
    assert result.card["notes"] == ["6 frontal images are stated neither as AP nor as PA: view FRONTAL"]


def test_reports_and_labels(tree: Tree) -> None:
    """1.0, 0.0, -1.0 and a blank become 1, 0, -1 and -2; the label is 1 where the report is 1."""
    result = tree.read(OBSERVATIONS)
    assert result.reported_labels is not None
    findings = {i: result.reported_labels[k, EFFUSION] for k, i in enumerate(result.image_id.tolist())}
    label = {i: result.label[k, EFFUSION] for k, i in enumerate(result.image_id.tolist())}
    for number, report in ((4, 1), (1, 0), (2, -1), (7, -2)):
        one = f"train/patient{number:05d}/study1/view1_frontal.jpg"
        assert findings[one] == report
        assert label[one] == (report == 1)
    assert (result.reported_labels[:, 0] == np.where(result.split == "train", -2, 0)).all()
    assert result.card["reports"]["Pleural Effusion"] == {
        "positive": 6 + 3 + 4,
        "negative": 6 + 2 + 4,
        "uncertain": 7,
        "not mentioned": 7,
    }


def test_pictures_are_read_when_indexed(tree: Tree) -> None:
    """Reading the set opens no picture; the error for a broken picture is raised, with its name, on
    indexing."""
    broken = tree.folder / "train/patient00002/study1/view1_frontal.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    result = tree.read()
    assert isinstance(result.image, LazyImages)
    assert result.image[0].shape == (16, 16)
    with pytest.raises(DataError, match="corrupt or truncated") as caught:
        result.image[1]
    assert caught.value.where == str(broken)


def test_classes_choose_observations(tree: Tree) -> None:
    """Only the task's observations are given, in its order and spelling; other classes give all 14."""
    result = tree.read(("pleural_effusion", "Edema"))
    assert result.classes == ("pleural_effusion", "Edema")
    assert result.label[:, 0].sum() == 13
    assert result.label[:, 1].sum() == 0
    assert tree.read(("negative", "positive")).classes == OBSERVATIONS
    with pytest.raises(UnknownNameError, match="Did you mean 'Edema'"):
        tree.read(("Pleural Effusion", "Edma"))


def test_root_may_be_the_parent(tree: Tree) -> None:
    """The folder that holds CheXpert-v1.0-small gives the same dataset as that folder."""
    assert tree.read(root=tree.root).content_hash() == tree.read().content_hash()
    assert fingerprint(Params(root=tree.root)) == fingerprint(Params(root=tree.folder))


def test_renamed_folder(tree: Tree) -> None:
    """The paths keep CheXpert's prefix, whatever the folder's name."""
    tree.folder.rename(tree.root / "mine")
    assert len(tree.read(root=tree.root / "mine")) == 39


def test_two_copies_are_refused(tree: Tree) -> None:
    """A parent folder of both the small and the full dataset is ambiguous and refused."""
    (tree.root / "CheXpert-v1.0").mkdir()
    (tree.root / "CheXpert-v1.0/train.csv").write_text("Path\n")
    error = tree.refused(root=tree.root)
    assert error.problem == "contains the dataset twice: CheXpert-v1.0, CheXpert-v1.0-small"


def test_folders_of_the_full_download(tmp_path: Path) -> None:
    """The download's five folders are read: train in three, valid and the tables in one, test in one."""
    tree = Tree(tmp_path, "CheXpert-v1.0")
    expected = tree.read().content_hash()
    full = tmp_path / "chexpertchestxrays-u20210408"
    first = full / "CheXpert-v1.0 batch 1 (validate & csv)"
    first.mkdir(parents=True)
    for name in ("train.csv", "valid.csv", "test_labels.csv", "valid"):
        (tree.folder / name).rename(first / name)
    for k, folder in enumerate(sorted((tree.folder / "train").iterdir())):
        batch = full / f"CheXpert-v1.0 batch {2 + k % 3} (train {1 + k % 3})"
        batch.mkdir(exist_ok=True)
        folder.rename(batch / folder.name)
    (tree.folder / "test").rename(full / "CheXpert-v1.0 test")
    assert tree.read(root=full).content_hash() == expected
    assert "the folder that contains the downloaded folders" in tree.refused(root=first).remedy


def test_published_labels_per_study(tree: Tree) -> None:
    """The labels of groundtruth.csv, one record per study, apply to all pictures of the study."""
    (tree.folder / "test_labels.csv").unlink()
    studies = {r["Path"].rpartition("/")[0].replace(SMALL, "CheXpert-v1.0"): r for r in tree.rows["test"]}
    rows = [{**r, "Study": study} for study, r in studies.items()]
    write(tree.root / "groundtruth.csv", rows, ["Study", *reversed(OBSERVATIONS)])
    result = tree.read(root=tree.root)
    test = result.select(np.flatnonzero(result.split == "test"))
    assert len(test) == 8
    assert test.label[:, 1].sum() == 4
    assert "lateral" in test.image_id[3]


def test_named_test_labels(tree: Tree) -> None:
    """test_labels names another table of the test set, inside the root."""
    (tree.folder / "test_labels.csv").rename(tree.folder / "mine.csv")
    assert (tree.read(test_labels="mine.csv").split == "test").sum() == 8
    assert "points outside the folder" in tree.refused(test_labels="../mine.csv").problem


def test_without_the_published_labels(tree: Tree) -> None:
    """The error states how to get the published labels and how to run without them."""
    (tree.folder / "test_labels.csv").unlink()
    error = tree.refused()
    assert error.problem == "has no table of the test set: test_labels.csv, test.csv, groundtruth.csv"
    assert "from_train" in error.remedy


def test_test_from_train(tree: Tree) -> None:
    """from_train draws whole patients of train.csv, a fifth of the images; valid remains val."""
    result = tree.read(test="from_train")
    assert len(result) == 26 + 5
    assert 5 <= (result.split == "test").sum() <= 7
    assert all(i.startswith("train/") for i in result.image_id[result.split == "test"])
    assert (result.split == "val").sum() == 5
    test, train = (set(result.patient_id[result.split == s].tolist()) for s in ("test", "train"))
    assert not test & train
    assert tree.read(test="from_train").split.tolist() == result.split.tolist()
    assert tree.read(test="from_train", seed=1).split.tolist() != result.split.tolist()


def test_through_the_task(tree: Tree) -> None:
    """chexpert_imbalance reads the dataset: two classes by its rules, and the published test set."""
    task = load_task("chexpert_imbalance").variant({"label.finding": "Pleural Effusion"})
    steps = task.steps("lite", "chexpert")
    splits = loading.load(
        chexpert,
        Params(root=tree.folder),
        classes=task.classes,
        image_size=16,
        split=task.source("chexpert").split,
        reserve_per_class=0,
        seed=0,
        before=scenario.before_split(steps),
        on_train=scenario.on_train(steps, seed=0),
    )
    prove_disjoint(splits)
    assert splits.test.counts() == {"negative": 4, "positive": 4}
    assert splits.val.counts() == {"negative": 2, "positive": 3}
    learned = [splits.train.counts()[c] + splits.reserve.counts()[c] for c in task.classes]
    assert learned == [6 + 7, 6 + 7]  # not mentioned counts as negative, uncertain as positive


def test_shuffled_columns_bom_and_crlf(tree: Tree) -> None:
    """A byte order mark, CRLF, other columns and another column order change nothing."""
    expected = tree.read()
    rows = [{**r, "Note": 'said "so",\nand so'} for r in tree.rows["train"]]
    header = ["Note", *reversed(HEADER)]
    write(tree.folder / "train.csv", rows, header, encoding="utf-8-sig", end="\r\n")
    assert tree.read().content_hash() == expected.content_hash()


@pytest.mark.parametrize(
    ("change", "where", "problem"),
    [
        ({"Pleural Effusion": "2.0"}, "line 3: pleural effusion", "'2.0' is not one of 1.0, 1, 0.0"),
        ({"Sex": "X"}, "line 3: sex", "'X' is not one of Male, Female, Unknown"),
        ({"AP/PA": "XX"}, "line 3: ap/pa", "'XX' is not one of AP, PA, LL, RL"),
        ({"Age": "old"}, "line 3: age", "'old' is not a number"),
        ({"Path": ""}, "line 3: path", "is missing"),
        ({"Path": "../../secret/patient00001/study1/view1_frontal.jpg"}, "line 3: path", "points outside"),
        ({"Path": "/etc/patient00001/study1/view1_frontal.jpg"}, "line 3: path", "is not a relative file"),
        ({"Path": f"{SMALL}/train/p1/view1.jpg"}, "line 3: path", "is not a path of CheXpert's part train"),
        ({"Path": f"{SMALL}/valid/patient64541/study1/view1_frontal.jpg"}, "line 3: path", "part train"),
        (
            {"Path": f"{SMALL}/train/patient00099/study1/view1_frontal.jpg"},
            "line 3",
            "lists 'train/patient00099",
        ),
        ({"Frontal/Lateral": "Lateral"}, "Frontal/Lateral", "contradicts the file name of 1 images"),
        (
            {"Path": f"{SMALL}/train/patient00001/study1/view1_frontal.jpg"},
            "line 3",
            "contradicts line 2 on",
        ),
    ],
)
def test_bad_row(tree: Tree, change: dict[str, str], where: str, problem: str) -> None:
    """A faulty record is refused with its line, the column, the value and a remedy."""
    tree.rows["train"][1] |= change
    tree.write()
    error = tree.refused()
    assert error.where.endswith(where)
    assert problem in error.problem


@pytest.mark.parametrize("age", ["0", "-3", "400", "", "nan"])
def test_impossible_ages_are_unknown(tree: Tree, age: str) -> None:
    """Age 0 (unknown), a negative age and an impossible one become NaN, with a note."""
    tree.rows["train"][1]["Age"] = age
    tree.write()
    result = tree.read()
    assert result.age is not None
    assert np.isnan(result.age[1])
    noted = any("1 ages of 0, below or over 120" in note for note in result.card["notes"])
    assert noted == (age in ("0", "-3", "400"))


def test_repeated_row_is_dropped(tree: Tree) -> None:
    """An identical record counts once."""
    tree.rows["train"].append(tree.rows["train"][4])
    tree.write()
    assert len(tree.read()) == 39


def test_missing_pictures(tree: Tree) -> None:
    """Missing pictures are counted and named; up to the allowed share they are left out."""
    for number in (1, 2, 4, 5):
        (tree.folder / f"train/patient{number:05d}/study1/view1_frontal.jpg").unlink()
    error = tree.refused()
    assert error.where.endswith("train.csv: line 2")
    assert "and 3 more of 39" in error.problem
    assert "(10.3%, allow_missing is 5.0%)" in tree.refused(allow_missing=0.05).problem
    result = tree.read(allow_missing=0.11)
    assert len(result) == 35
    first = [f"train/patient{k:05d}/study1/view1_frontal.jpg" for k in (1, 2, 4)]
    assert result.card["notes"][0] == f"4 records left out, image file missing: {', '.join(first)} and 1 more"


def test_links_out_of_the_folder_are_not_followed(tree: Tree) -> None:
    """A patient folder that links out of the root is not read; the error names the link."""
    (tree.folder / "train/patient00001").rename(tree.root / "elsewhere")
    (tree.folder / "train/patient00001").symlink_to(tree.root / "elsewhere")
    assert (
        "links that point outside the folder are not followed: train/patient00001" in tree.refused().problem
    )


def test_patient_in_two_parts(tree: Tree) -> None:
    """A patient in both train and valid is refused, since the published parts share none."""
    tree.rows["valid"] += tree.patient("valid", 3)
    tree.write()
    assert "twice" in tree.refused().problem
    tree.rows["train"] = [r for r in tree.rows["train"] if "patient00003/study1/view1" not in r["Path"]]
    (tree.folder / "train/patient00003/study1/view1_frontal.jpg").unlink()
    (tree.folder / "valid/patient00003/study1/view2_lateral.jpg").unlink()
    tree.rows["valid"].pop()
    tree.write()
    assert tree.refused().problem == "1 patients are in split 'train' and in split 'val': patient00003"


@pytest.mark.parametrize("column", ["Path", "Edema"])
def test_missing_column(tree: Tree, column: str) -> None:
    """The error names the required column that is missing."""
    write(tree.folder / "train.csv", tree.rows["train"], [name for name in HEADER if name != column])
    error = tree.refused()
    assert error.where.endswith(f"train.csv: line 1: {column.lower()}")
    assert error.problem == "column is missing"


def test_commercial_use_is_refused(tree: Tree) -> None:
    """The agreement allows research only; for another use nothing is read, not even the fingerprint."""
    assert "allows research alone" in tree.refused(use="commercial").problem
    with pytest.raises(DataError, match="allows research alone"):
        fingerprint(Params(root=tree.folder, use="commercial"))


def test_fingerprint_follows_tables_names_and_sizes(tree: Tree) -> None:
    """The fingerprint follows the tables and the sizes of the listed pictures, and ignores other pictures."""
    before = fingerprint(Params(root=tree.folder))
    radiograph(tree.folder / "train/patient09999/study1/view1_frontal.jpg", 5)
    assert fingerprint(Params(root=tree.folder)) == before
    picture = tree.folder / "train/patient00002/study1/view1_frontal.jpg"
    picture.write_bytes(picture.read_bytes() + b"\0")
    after = fingerprint(Params(root=tree.folder))
    assert after != before
    tree.rows["train"][0]["Edema"] = "1.0"
    tree.write()
    assert fingerprint(Params(root=tree.folder)) != after


def test_no_train_table(tmp_path: Path) -> None:
    """The error for a folder without CheXpert's layout states the expected layout."""
    (tmp_path / "something").mkdir()
    with pytest.raises(DataError, match=r"has no train\.csv, nor has a CheXpert-v1.0 folder in it"):
        images(Params(root=tmp_path), classes=CHOSEN, image_size=16, reserve_per_class=0, seed=0)
