"""Listing of third-party tables and folders: values are unchanged, faults are located, and large inputs are
fast."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.datasets._readers import same_images
from benchmark.datasets._readers.folder_tree import by_name, first_of, note_missing, walk
from benchmark.datasets._readers.large_tables import (
    fingerprint_tree,
    refuse_shared,
    requested_findings,
    without_repeats,
)
from benchmark.datasets._readers.listing import Record, allowed, forbids
from benchmark.datasets._readers.same_images import read_images
from benchmark.errors import DataError, UnknownNameError
from benchmark.images.lazy import LazyImages
from benchmark.utils.csv_file import read_csv
from benchmark.utils.csv_table import METADATA


def table(folder: Path, content: str | bytes) -> Path:
    """Write a table byte by byte."""
    path = folder / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


PLAIN = "image,label\na.png,x\nb.png,y\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip("\n"),
        PLAIN.replace("\n", "\n\n,\n"),
        "label,image\nx,a.png\ny,b.png\n",
        "Image , LABEL\n a.png , x\nb.png,y\n",
        'note,image,label\n"said ""so"",\n\nand so",a.png,x\n"\u2028\x85\x0c",b.png,y\n',
        "image,label,,\na.png,x,,\nb.png,y,1,2\n",
        b"image,label,note\na.png,x,caf\xe9\nb.png,y,\xff\xfe\n",
    ],
    ids=[
        "plain",
        "bom",
        "crlf",
        "cr",
        "open_end",
        "blank_lines",
        "shuffled",
        "spaces",
        "newlines_in_quotes",
        "blank_names",
        "latin1_note",
    ],
)
def test_same_rows_however_written(tmp_path: Path, content: str | bytes) -> None:
    """Line endings, byte order marks, row order, extra columns and blank lines do not change the records."""
    path = table(tmp_path, content)
    rows = [(cells["image"], cells["label"]) for _, cells in read_csv(path, ["image"], ["label"]).records()]
    assert rows == [("a.png", "x"), ("b.png", "y")]
    columns = read_csv(path, ["image"], ["label", "age"])
    assert columns.text("image").tolist() == ["a.png", "b.png"]
    assert columns.text("label").tolist() == ["x", "y"]
    assert columns.text("age").tolist() == ["", ""]
    assert "age" not in columns


@pytest.mark.parametrize(
    ("content", "where", "problem"),
    [
        ("", "table.csv", "is empty"),
        ("image,label\n", "table.csv", "has a header and no records"),
        ("image\na.png\n", "table.csv: line 1: label", "column is missing"),
        ("image;label\na.png;x\n", "table.csv: line 1: image", "column is missing"),
        ("image,label,label\na.png,x,y\n", "table.csv: line 1: label", "column is there twice"),
        (PLAIN.encode("utf-16"), "table.csv", "is UTF-16"),
        (b"image,label\na.png,x\nb.png,\xe9\n", "line 3: label", "'\\xe9' is not UTF-8"),
        ('image,label\na.png,x\nb.png,"y\nc.png,z\n', "line 3", "opens a quote that is never closed"),
        ('image,label\na.png,"' + 200_000 * "y", "line 2", "is not CSV: field larger"),
        ("image,label\na.png," + (METADATA.longest_cell + 1) * "y", "line 2: label", "has 1001 characters"),
    ],
)
def test_faulty_table(tmp_path: Path, content: str | bytes, where: str, problem: str) -> None:
    """The error for a faulty table has its location, the problem and a remedy."""
    with pytest.raises(DataError) as caught:
        read_csv(table(tmp_path, content), ["image", "label"])
    assert caught.value.where.endswith(where)
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_semicolons_are_named(tmp_path: Path) -> None:
    """A table separated by semicolons gets its own error message, not the one for missing columns."""
    with pytest.raises(DataError, match="Semicolons seem to separate the cells: use commas"):
        read_csv(table(tmp_path, "image;label\na;x\n"), ["image", "label"])


def test_an_unused_column_may_be_repeated(tmp_path: Path) -> None:
    """A repeated column name is an error only if the reader needs that column."""
    path = table(tmp_path, "image,note,note\na.png,1,2\n")
    assert read_csv(path, ["image"]).text("image").tolist() == ["a.png"]
    with pytest.raises(DataError, match="note: column is there twice"):
        list(read_csv(path, ["image"], None).records())


def test_line_numbers_after_quoted_newlines(tmp_path: Path) -> None:
    """A record's line number is the line on which it begins, also after a cell that spans several lines."""
    path = table(tmp_path, 'image,note\na.png,"1\n2\n3"\n\nb.png,"4\n5"\n')
    assert read_csv(path, ["image"]).lines.tolist() == [2, 6]
    assert [where.rpartition(" ")[2] for where, _ in read_csv(path, ["image"], None).records()] == ["2", "6"]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(cells, cells.filter(lambda text: text.strip() != "")), min_size=1, max_size=9))
def test_any_text_survives_a_round_trip(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    """Both readers return any text that a CSV writer quotes, without surrounding whitespace."""
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    path = table(tmp_path, written.getvalue())
    expected = [(a.strip(), b.strip()) for a, b in rows]
    assert [(c["a"], c["b"]) for _, c in read_csv(path, ["a", "b"], None).records()] == expected
    columns = read_csv(path, ["a", "b"])
    assert list(zip(columns.text("a").tolist(), columns.text("b").tolist(), strict=True)) == expected


def test_stated_values(tmp_path: Path) -> None:
    """Known values are accepted in any case; other values are refused with their line."""
    columns = read_csv(table(tmp_path, "sex,age\nmale,50\nF,\n,nan\n"), ["sex", "age"])
    assert columns.among("sex", {"Male": 1, "F": 2, "": 0}).tolist() == [1, 2, 0]
    assert columns.numbers_or_nan("age").tolist() == pytest.approx([50, np.nan, np.nan], nan_ok=True)
    with pytest.raises(DataError, match=r"line 3: sex: 'F' is not one of Male, blank"):
        columns.among("sex", {"Male": 1, "": 0})
    with pytest.raises(DataError, match=r"line 3: age: is missing"):
        columns.filled("age")


def test_a_large_table_is_read_quickly(tmp_path: Path) -> None:
    """20,000 records of 19 columns take less than 3 seconds; each column is as wide as its longest text."""
    path = tmp_path / "train.csv"
    names = ["path", *(f"c{k}" for k in range(18))]
    row = ",1.0" * 9 + "," * 9
    lines = [f"CheXpert-v1.0-small/train/patient{k:05d}/study1/view1_frontal.jpg{row}" for k in range(20_000)]
    path.write_text("\n".join([",".join(names), *lines]))
    begin = time.process_time()
    assert len(read_csv(path, names)) == 20_000
    assert time.process_time() - begin < 3
    columns = read_csv(path, names).columns.values()
    assert sum(texts.nbytes for texts in columns) < 20_000 * 4 * (62 + 18 * 3 + 10)


def test_walk(tmp_path: Path) -> None:
    """Pictures are listed with their size, hidden and other files are not; links out of the folder are
    reported."""
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / ".hidden").mkdir()
    for name in ("a/b/1.png", "a/2.JPG", "a/notes.txt", ".hidden/3.png", "a/.4.png"):
        (root / name).write_bytes(b"12345")
    (tmp_path / "secret.png").write_bytes(b"1")
    (root / "a/out.png").symlink_to(tmp_path / "secret.png")
    (root / "up").symlink_to(tmp_path)
    (root / "a/again.png").symlink_to(root / "a/b/1.png")
    (root / "a/loop").symlink_to(root)
    (root / "a/dead.png").symlink_to(root / "nothing.png")
    tree = walk(root)
    assert tree.size == {"a/b/1.png": 5, "a/2.JPG": 5, "a/again.png": 5}
    assert tree.outside == ("a/out.png", "up")
    assert walk(root, ["a/b"]).size == {"a/b/1.png": 5}
    with pytest.raises(DataError, match="has 'same' twice"):
        by_name(tree, lambda path: "same", "here")


def test_missing_share() -> None:
    """A note names the first missing files up to the allowed share; above it, an error names them and the
    share."""
    assert note_missing([], 10, 0, "", "") == []
    names = list("abcde")
    assert note_missing(names, 10, 0.5, "line 2", "x") == [
        "5 records left out, image file missing: a, b, c and 2 more"
    ]
    with pytest.raises(DataError, match=r"lists 'a', which is not at x, and 4 more of 10 \(50.0%, allow"):
        note_missing(names, 10, 0.4, "line 2", "x")
    assert first_of(["a", "b"]) == "a, b"


@pytest.mark.parametrize(
    ("license", "forbidden"),
    [
        ("CC BY 4.0", False), ("CC0", False), ("CC BY-SA", False), ("CC BY-NC-SA", True),
        ("cc-by-nc-4.0", True),
        ("CC BY-NC", True), ("Non-commercial", True), ("research only", True), ("", True), ("unknown", True),
    ],
)  # fmt: skip
def test_licenses(license: str, forbidden: bool) -> None:
    """NC, research and unstated licenses forbid commercial use but not research."""
    assert forbids(license, "commercial") == forbidden
    assert not forbids(license, "research")


def test_forbidden_rows_are_counted() -> None:
    """Records whose license forbids the use are left out and counted by license."""
    rows = [
        Record(
            where="",
            path=Path("x"),
            image_id=str(k),
            patient_id="p",
            label="a",
            license=["CC BY", "CC BY-NC", ""][k % 3],
        )
        for k in range(7)
    ]
    retained, notes = allowed(rows, "commercial")
    assert [row.image_id for row in retained] == ["0", "3", "6"]
    assert notes == ["4 records left out, license forbids commercial use: CC BY-NC 2, not stated 2"]
    assert allowed(rows, "research") == (rows, [])


def test_wanted_findings() -> None:
    """Aliases resolve to findings under the task's spelling; an unknown class is refused."""
    known, alias = ["Edema", "Pleural_Thickening", "No Finding"], {"normal": "No Finding"}
    assert requested_findings(["Normal", "pleural thickening"], known, alias, "") == (
        [2, 1],
        ("Normal", "pleural thickening"),
    )
    assert requested_findings(["yes", "no"], known, alias, "") == ([0, 1, 2], tuple(known))
    with pytest.raises(UnknownNameError, match="unknown class 'Edena'"):
        requested_findings(["normal", "Edena"], known, alias, "source x")


def test_repeated_records(tmp_path: Path) -> None:
    """A repeated record is dropped; contradicting records are refused with both lines."""
    content = "name,value\na,1\nb,1\na,1\nc,1\nb,1\na,1\n"
    lines = read_csv(table(tmp_path, content), ["name", "value"])
    names = lines.text("name").tolist()
    assert without_repeats(lines, np.arange(6), names).tolist() == [0, 1, 3]
    other = read_csv(table(tmp_path, content.replace("c,1\nb,1", "c,1\nb,2")), ["name", "value"])
    with pytest.raises(DataError, match=r"line 6: contradicts line 3 on 'b'"):
        without_repeats(other, np.arange(6), names)


def test_shared_patients_are_refused() -> None:
    """A patient in two given splits is refused; the error names the patient and both splits."""
    refuse_shared(np.array(["p", "p", "q"]), np.array(["train", "train", "test"]), "here")
    with pytest.raises(DataError, match="here: 1 patients are in split 'test' and in split 'train': p"):
        refuse_shared(np.array(["p", "p", "q"]), np.array(["train", "test", "test"]), "here")


def test_fingerprint_of_a_tree(tmp_path: Path) -> None:
    """The fingerprint covers the names and sizes of the listed pictures and the bytes of the tables, nothing
    else in the tree."""
    (tmp_path / "a.png").write_bytes(b"123")
    (tmp_path / "b.png").write_bytes(b"123")
    path = table(tmp_path, PLAIN)
    before = fingerprint_tree([path], walk(tmp_path), ["a.png"])
    (tmp_path / "b.png").write_bytes(b"1234")
    assert fingerprint_tree([path], walk(tmp_path), ["a.png"]) == before
    assert fingerprint_tree([path], walk(tmp_path), ["b.png"]) != before
    table(tmp_path, PLAIN + "c.png,z\n")
    assert fingerprint_tree([path], walk(tmp_path), ["a.png"]) != before


def test_many_pictures_stay_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond LARGE pictures none is decoded before it is read, and a note lists the skipped checks."""
    rows = []
    for k in range(4):
        path = tmp_path / f"{k}.png"
        Image.fromarray(np.random.default_rng(k % 3).integers(0, 256, (20, 20), np.uint8)).save(path)
        rows.append(Record(where=f"line {k}", path=path, image_id=path.name, patient_id=f"p{k}", label="a"))
    small = read_images(rows, ("a",), 16, source="x", fit="stretch")
    assert len(small) == 3
    monkeypatch.setattr(same_images, "LARGE", 3)
    large = read_images(rows, ("a",), 16, source="x", fit="stretch")
    assert isinstance(large.image, LazyImages)
    assert len(large) == 4
    assert np.array_equal(large.image[:3], small.image)
    assert large.card["notes"] == ["4 files were not compared; data verify does it"]
