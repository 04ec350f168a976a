"""The adapter of the COVID-19 image data collection, on a tiny copy of its layout and on the real pack."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import covid_chestxray
from benchmark.datasets.covid_chestxray import Params, class_of, fingerprint
from benchmark.errors import DataError, UnknownNameError
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import Splits
from benchmark.protocol import load as loading
from benchmark.tasks.schema import SplitRule

CLASSES = ("healthy", "fungal", "covid19", "bacterial", "viral")
PACK = (
    Path(os.environ.get("SYNTHTHORAX_PACKS", Path(__file__).parents[3] / "shared/data")) / "covid-chestxray"
)
needs_pack = pytest.mark.skipif(not PACK.is_dir(), reason=f"no real pack at {PACK}; set SYNTHTHORAX_PACKS")

HEADER = [
    "patientid",
    "sex",
    "age",
    "finding",
    "view",
    "modality",
    "location",
    "folder",
    "filename",
    "license",
    "",
]
FINDINGS = {
    "healthy": "No Finding",
    "fungal": "Pneumonia/Fungal/Pneumocystis",
    "covid19": "COVID-19, ARDS",
    "bacterial": "Streptococcus",
    "viral": "Pneumonia/Viral/Influenza",
}

RowDict = dict[str, str]


def radiograph(path: Path, seed: int) -> None:
    """Return a picture that differs from that of any other seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 48), np.uint8)
    Image.fromarray(pixels).save(path)


def dataset(root: Path, patients: int = 5) -> list[RowDict]:
    """Write n patients per class, one frontal radiograph each, and return the records."""
    (root / "images").mkdir(parents=True)
    rows = []
    for c, (name, finding) in enumerate(FINDINGS.items()):
        for k in range(patients):
            file = f"{name}{k}.png"
            radiograph(root / "images" / file, 100 * c + k)
            rows.append(row(f"{name}-{k}", finding, file))
    write(root, rows)
    return rows


def row(patient: str, finding: str, file: str, **more: str) -> RowDict:
    """Return a record of the table."""
    filled = {"patientid": patient, "finding": finding, "filename": file, "view": "PA", "modality": "X-ray"}
    return {**dict.fromkeys(HEADER, ""), "folder": "images", "license": "CC BY", **filled, **more}


def write(root: Path, rows: list[RowDict], header: list[str] = HEADER) -> None:
    """Write metadata.csv."""
    with open(root / "metadata.csv", "w", newline="", encoding="utf-8") as handle:
        table = csv.DictWriter(handle, header, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)


def read(root: Path, *, size: int = 16, seed: int = 0, too_few: str = "error", **params: object) -> Splits:
    """Load with the defaults of the tests."""
    rule = SplitRule.model_validate({"too_few": too_few})
    given = Params.model_validate({"root": root, **params})
    return loading.load(
        covid_chestxray, given, classes=CLASSES, image_size=size, split=rule, reserve_per_class=0, seed=seed
    )


def all_rows(splits: Splits, column: str) -> dict[str, object]:
    """Return a column's value by image id, over all splits."""
    sets = splits.named().values()
    pairs = (zip(s.image_id.tolist(), getattr(s, column).tolist(), strict=True) for s in sets)
    return {image: value for pair in pairs for image, value in pair}


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        ("No Finding", "healthy"),
        ("COVID-19", "covid19"),
        ("COVID-19, ARDS", "covid19"),
        ("Pneumonia/Viral/COVID-19", "covid19"),
        ("Streptococcus", "bacterial"),
        ("E.Coli", "bacterial"),
        ("Mycoplasma Bacterial Pneumonia", "bacterial"),
        ("Pneumonia/Bacterial", "bacterial"),
        ("Pneumonia/Bacterial/Staphylococcus/MRSA", "bacterial"),
        ("Pneumocystis", "fungal"),
        ("Pneumonia/Fungal/Aspergillosis", "fungal"),
        ("Varicella", "viral"),
        ("Influenza", "viral"),
        ("SARS", "viral"),
        ("Pneumonia/Viral/MERS-CoV", "viral"),
        ("Pneumonia/Viral/Herpes ", "viral"),
        ("Pneumonia/Viral/Influenza/H1N1", "viral"),
        ("Pneumonia", None),
        ("Pneumonia/Lipoid", None),
        ("Pneumonia/Aspiration", None),
        ("ARDS", None),
        ("Tuberculosis", None),
        ("Unknown", None),
        ("todo", None),
        ("", None),
        ("Streptococcus, Influenza", None),
    ],
)
def test_class_of_finding(finding: str, expected: str | None) -> None:
    """Both forms of the finding map to Schaudt's classes; any other finding, or two at once, maps to none."""
    assert class_of(finding) == expected


def test_reads_every_class(tmp_path: Path) -> None:
    """All five patients per class are read, none is in two splits, and known columns are filled."""
    rows = dataset(tmp_path)
    rows[0] |= {"age": "61", "sex": "F", "location": "Ulm"}
    write(tmp_path, rows)
    splits = read(tmp_path)
    prove_disjoint(splits)
    assert sum(len(s) for s in splits.named().values()) == 25
    assert splits.train.classes == CLASSES
    assert splits.train.origin[0] == "real:covid_chestxray"
    assert all_rows(splits, "age")["healthy0.png"] == 61
    assert np.isnan(all_rows(splits, "age")["healthy1.png"])
    assert all_rows(splits, "site")["healthy0.png"] == "Ulm"
    assert all_rows(splits, "license")["viral4.png"] == "CC BY"


def test_splits_do_not_depend_on_the_image_size(tmp_path: Path) -> None:
    """The same seed selects the same test pictures at 16 and at 40 pixels."""
    dataset(tmp_path)
    assert read(tmp_path, size=16).test.image_id.tolist() == read(tmp_path, size=40).test.image_id.tolist()


def test_other_views_modalities_and_findings_are_left_out(tmp_path: Path) -> None:
    """The notes count CT, lateral views and unmapped findings; their files are not opened."""
    rows = dataset(tmp_path)
    rows += [
        row("x", "COVID-19", "ct.nii.gz", modality="CT", view="Axial", folder="volumes"),
        row("x", "COVID-19", "ct2.nii.gz", modality="CT", view="AP", folder="volumes"),
        row("", "COVID-19", "lateral.png", view="L"),
        row("y", "Tuberculosis", "tb.png"),
        row("y", "Tuberculosis", "tb2.png"),
    ]
    write(tmp_path, rows)
    splits = read(tmp_path)
    assert sum(len(s) for s in splits.named().values()) == 25
    assert "3 records left out, not a frontal radiograph: CT AP 1, CT Axial 1, X-ray L 1" in splits.notes
    assert "2 records left out, finding not among the classes: Tuberculosis 2" in splits.notes


def test_file_listed_under_two_ids_is_one_patient(tmp_path: Path) -> None:
    """Two ids that list the same file become the first id's patient, and the file is read once."""
    rows = dataset(tmp_path)
    radiograph(tmp_path / "images" / "later.png", 999)
    rows += [row("copy", FINDINGS["viral"], "viral0.png"), row("copy", FINDINGS["viral"], "later.png")]
    write(tmp_path, rows)
    splits = read(tmp_path)
    patients = all_rows(splits, "patient_id")
    assert patients["viral0.png"] == patients["later.png"] == "viral-0"
    assert sum(len(s) for s in splits.named().values()) == 26
    assert "1 duplicates dropped: files listed in several records" in splits.notes
    assert "ids joined, one patient each: viral-0 = copy" in splits.notes


def test_same_picture_in_two_files_is_one_patient(tmp_path: Path) -> None:
    """A JPEG copy of a radiograph under another id joins the two patients and is read once."""
    rows = dataset(tmp_path)
    smooth = np.add.outer(np.arange(200), np.arange(220)) % 256
    Image.fromarray(smooth.astype(np.uint8)).save(tmp_path / "images/fungal0.png")
    Image.fromarray(smooth.astype(np.uint8)).save(tmp_path / "images/again.jpg", quality=90)
    write(tmp_path, [*rows, row("copy", FINDINGS["fungal"], "again.jpg")])
    splits = read(tmp_path)
    assert "again.jpg" not in all_rows(splits, "label")
    assert "1 duplicates dropped: images in several files" in splits.notes
    assert "ids joined, one patient each: fungal-0 = copy" in splits.notes


def test_picture_under_two_classes_is_left_out(tmp_path: Path) -> None:
    """A picture listed as both healthy and viral is left out, with a note."""
    rows = dataset(tmp_path, patients=6)
    write(tmp_path, [*rows, row("viral-0", FINDINGS["healthy"], "viral0.png")])
    splits = read(tmp_path)
    assert "viral0.png" not in all_rows(splits, "label")
    assert "1 images left out, listed under two classes: viral0.png" in splits.notes


def test_known_ids_of_one_person_are_joined(tmp_path: Path) -> None:
    """Ids 97 and 178 are one person and are joined without a shared picture."""
    rows = dataset(tmp_path)
    rows[10]["patientid"], rows[11]["patientid"] = "97", "178"
    write(tmp_path, rows)
    assert set(all_rows(read(tmp_path), "patient_id").values()) >= {"97"}
    assert "178" not in all_rows(read(tmp_path), "patient_id").values()


def test_missing_picture(tmp_path: Path) -> None:
    """A missing listed picture is an error with its line; up to the allowed share it is left out with a
    note."""
    dataset(tmp_path, patients=6)
    (tmp_path / "images/healthy1.png").unlink()
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert caught.value.where == f"{tmp_path}/metadata.csv: line 3"
    assert "healthy1.png" in caught.value.problem
    with pytest.raises(DataError, match=r"\(3\.3%, allow_missing is 3\.0%\)"):
        read(tmp_path, allow_missing=0.03)
    splits = read(tmp_path, allow_missing=0.04)
    assert "1 records left out, image file missing: healthy1.png" in splits.notes


def test_commercial_use(tmp_path: Path) -> None:
    """Commercial use leaves out pictures without a license or with a non-commercial one, with a note."""
    rows = dataset(tmp_path, patients=6)
    rows[0]["license"], rows[1]["license"], rows[7]["license"] = "CC BY-NC-SA 4.0", "", "CC BY-NC-SA"
    write(tmp_path, rows)
    splits = read(tmp_path, use="commercial")
    assert sum(len(s) for s in splits.named().values()) == 27
    note = (
        "3 records left out, license forbids commercial use: CC BY-NC-SA 1, CC BY-NC-SA 4.0 1, not stated 1"
    )
    assert note in splits.notes
    assert sum(len(s) for s in read(tmp_path).named().values()) == 30


def test_use_that_leaves_no_picture_of_a_class(tmp_path: Path) -> None:
    """The error names a class whose pictures are all non-commercial; the class is not dropped."""
    rows = dataset(tmp_path)
    for r in rows[5:10]:
        r["license"] = "CC BY-NC"
    write(tmp_path, rows)
    with pytest.raises(DataError, match="'fungal': none of its 5 images has a license that allows comm"):
        read(tmp_path, use="commercial")


def test_column_given_twice(tmp_path: Path) -> None:
    """A required column must be unique; the public table's two blank names are accepted."""
    rows = dataset(tmp_path)
    write(tmp_path, rows, [*HEADER, ""])
    assert sum(len(s) for s in read(tmp_path).named().values()) == 25
    write(tmp_path, rows, [*HEADER, "age"])
    with pytest.raises(DataError, match="age: column is there twice"):
        read(tmp_path)


def test_class_without_images(tmp_path: Path) -> None:
    """The error names a class without images; with exclude, a note does."""
    rows = [r for r in dataset(tmp_path) if not r["filename"].startswith("fungal")]
    write(tmp_path, rows)
    with pytest.raises(DataError, match="'fungal': has 0 patients, the split needs at least 4"):
        read(tmp_path)
    splits = read(tmp_path, too_few="exclude")
    assert splits.train.classes == ("healthy", "covid19", "bacterial", "viral")


def test_unknown_class_is_refused(tmp_path: Path) -> None:
    """A task with a class that the dataset lacks gets a "did you mean"."""
    dataset(tmp_path)
    with pytest.raises(UnknownNameError, match="Did you mean 'covid19'"):
        loading.load(
            covid_chestxray,
            Params(root=tmp_path),
            classes=("healthy", "covid"),
            image_size=16,
            split=SplitRule.model_validate({}),
            reserve_per_class=0,
            seed=0,
        )


def test_fingerprint_follows_the_content(tmp_path: Path) -> None:
    """A moved copy has the same fingerprint; a changed pixel or record changes it."""
    first, second = tmp_path / "one", tmp_path / "two"
    dataset(first)
    rows = dataset(second)
    same = fingerprint(Params(root=first))
    assert same == fingerprint(Params(root=second))
    radiograph(second / "images/viral1.png", 12345)
    changed = fingerprint(Params(root=second))
    assert changed != same
    rows[3]["patientid"] = "someone else"
    write(second, rows)
    assert fingerprint(Params(root=second)) not in (same, changed)


def test_terms_name_one_class_each() -> None:
    """No term of the mapping belongs to two classes."""
    terms = [term for group in covid_chestxray.TERMS.values() for term in group]
    assert len(terms) == len(set(terms))


@needs_pack
def test_real_pack_counts() -> None:
    """The pack's README counts 130, 23, 4, 9 and 9 images; patient 97 = 178 has four COVID-19 radiographs
    twice, so 126."""
    splits = read(PACK, too_few="exclude")
    assert splits.train.card["images"] == {
        "healthy": 9,
        "fungal": 9,
        "covid19": 126,
        "bacterial": 23,
        "viral": 4,
    }
    assert splits.train.classes == ("healthy", "fungal", "covid19", "bacterial")
    assert sum(len(s) for s in splits.named().values()) == 9 + 9 + 126 + 23
    assert splits.notes[:5] == (
        "13 records left out, finding not among the classes: Pneumonia 9, ARDS 3, Lipoid 1",
        "1 duplicates dropped: files listed in several records",
        "4 duplicates dropped: images in several files",
        "ids joined, one patient each: 97 = 178, 287 = 340",
        "class 'viral' excluded: 1 patient, the split needs at least 4",
    )
    proof = prove_disjoint(splits)
    assert sum(proof["patients"].values()) == 97


@needs_pack
def test_real_pack_patients() -> None:
    """Joined ids no longer appear; patient 270, first healthy and then COVID-19, is in one split."""
    splits = read(PACK, too_few="exclude")
    patients = {str(p) for s in splits.named().values() for p in s.patients()}
    assert {"331b", "97", "270"} <= patients
    assert not {"178", "340"} & patients
    home = [s for s in splits.named().values() if "270" in s.patients()]
    assert len(home) == 1
    assert len(set(home[0].label[home[0].patient_id == "270"].tolist())) == 2


@needs_pack
def test_real_pack_refuses_viral() -> None:
    """With the default policy the single viral patient is an error that names class and count."""
    with pytest.raises(DataError, match="'viral': has 1 patient, the split needs at least 4"):
        read(PACK)
