"""Submitted samples: valid ones are stored unchanged, invalid ones are refused by name."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmark.engine.store import store_root
from benchmark.errors import GeneratorError, SubmissionError
from benchmark.generators import _submitted_samples as _submitted
from benchmark.intake import listing
from benchmark.intake import samples as intake
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest, alternate
from support.fit_context import FakeContext
from support.samples import blobs, synthetic

CLASSES = ("a", "b", "c")
IMAGES = blobs({"a": 4, "b": 3, "c": 2}, seed=1)


def png(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def as_folder(root: Path, place: str = "") -> Path:
    """Write the nine pictures as PNG files in a folder per class."""
    for k, pixels in enumerate(IMAGES.image):
        path = root / place / CLASSES[IMAGES.label[k]] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(pixels))
    return root


def as_table(path: Path, **columns: Any) -> Path:
    """Write the nine pictures as Parquet with changed or extra columns; None leaves one out."""
    content = {"image": [png(p) for p in IMAGES.image], "class": [CLASSES[k] for k in IMAGES.label]}
    pq.write_table(pa.table({k: v for k, v in {**content, **columns}.items() if v is not None}), path)
    return path


def stored(
    source: Path, store: Path, folds: int = 1, *, multilabel: bool = False, size: int = 16
) -> intake.StoredSamples:
    listed = intake.list_samples(source, CLASSES, folds, multilabel=multilabel)
    return intake.store_samples(listed, CLASSES, folds=folds, size=size, store=store)


# --- round trip ---------------------------------------------------------------------------------------------


def test_a_folder_and_a_table_of_the_same_pictures_are_the_same_content(tmp_path):
    """Pixels, labels and order are unchanged, and the hash depends on them, not on the files."""
    from_folder = stored(as_folder(tmp_path / "f"), tmp_path / "s1")
    from_table = stored(as_table(tmp_path / "t.parquet"), tmp_path / "s2")
    assert from_folder.content == from_table.content
    for result in (from_folder, from_table):
        assert len(result) == 9
        np.testing.assert_array_equal(result.folds[0].image[:], IMAGES.image)
        np.testing.assert_array_equal(result.folds[0].label, IMAGES.label)


def test_one_gray_value_more_is_another_content(tmp_path):
    """The smallest change of one pixel changes the hash."""
    first = stored(as_folder(tmp_path / "f"), tmp_path / "s")
    changed = IMAGES.image[8].copy()
    changed[0, 0] ^= 1
    (tmp_path / "f" / "c" / "8.png").write_bytes(png(changed))
    assert stored(tmp_path / "f", tmp_path / "s").content != first.content


def test_stored_samples_are_read_and_their_hash_is_checked(tmp_path):
    """Samples are read by hash; reading reports a changed byte, and storing again repairs it."""
    content = stored(as_folder(tmp_path / "f"), tmp_path / "s").content
    assert intake.read_samples(content, tmp_path / "s").content == content
    path = tmp_path / "s" / "submissions" / content / "fold_0.arrow"
    raw = bytearray(path.read_bytes())
    at = raw.find(IMAGES.image[0].tobytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    with pytest.raises(SubmissionError, match="does not match its hash"):
        intake.read_samples(content, tmp_path / "s")
    assert stored(tmp_path / "f", tmp_path / "s").content == content
    assert intake.read_samples(content, tmp_path / "s").content == content
    with pytest.raises(SubmissionError, match="not in the store"):
        intake.read_samples("0" * 64, tmp_path / "s")


def test_color_and_size_become_the_tasks(tmp_path):
    """A color JPEG of another size becomes gray (ITU-R 601) and square (Lanczos), like real images."""
    for name in CLASSES:
        (tmp_path / name).mkdir()
    color = np.zeros((40, 20, 3), np.uint8)
    color[:20, :, 0], color[20:, :, 2] = 255, 255  # red above blue
    (tmp_path / "a" / "1.jpg").write_bytes(png(color, "JPEG"))
    pixels = stored(tmp_path, tmp_path / "s").folds[0].image[0]
    assert pixels.shape == (16, 16)
    assert pixels[:6].mean() == pytest.approx(0.299 * 255, abs=2)
    assert pixels[-6:].mean() == pytest.approx(0.114 * 255, abs=2)


def test_each_picture_has_its_fold(tmp_path):
    """With folds, a picture belongs to the fold of its folder or its table record."""
    as_folder(tmp_path / "f", "fold_0")
    (tmp_path / "f" / "fold_1" / "b").mkdir(parents=True)
    (tmp_path / "f" / "fold_1" / "b" / "x.png").write_bytes(png(IMAGES.image[4]))
    result = stored(tmp_path / "f", tmp_path / "s", folds=2)
    assert [len(images) for images in result.folds] == [9, 1]
    table = as_table(tmp_path / "t.parquet", fold=[0, 1] * 4 + [0])
    assert [len(images) for images in stored(table, tmp_path / "s", folds=2).folds] == [5, 4]


def test_a_table_may_have_all_labels(tmp_path):
    """For a multi-label task ``label:<class>`` has all labels, and ``class`` the requested one."""
    rows = [[1, 1, 0]] * 4 + [[0, 1, 0]] * 3 + [[1, 0, 1]] * 2
    labels = {f"label:{c}": [r[k] for r in rows] for k, c in enumerate(CLASSES)}
    result = stored(as_table(tmp_path / "t.parquet", **labels), tmp_path / "s", multilabel=True).folds[0]
    assert result.reported_labels is not None
    np.testing.assert_array_equal(result.reported_labels, rows)
    np.testing.assert_array_equal(result.label, IMAGES.label)


# --- number of images ---------------------------------------------------------------------------------------


def test_the_first_of_each_class_are_taken_and_the_rest_is_counted(tmp_path):
    """Of 4, 3 and 2 images the first 2, 3 and 0 are requested and taken; 4 are left over."""
    listed = intake.list_samples(as_folder(tmp_path), CLASSES, 1, multilabel=False)
    used, notes = intake.select_samples(listed, [{"a": 2, "b": 3}], CLASSES)
    assert [Path(s.where).name for s in used] == ["0.png", "1.png", "4.png", "5.png", "6.png"]
    assert notes == ["4 of 9 images left out as not needed, the last of each class"]
    assert intake.select_samples(listed, [{"a": 4, "b": 3, "c": 2}], CLASSES)[1] == []


def test_too_few_images_are_refused_by_class(tmp_path):
    """The error names each class with the given and the required number, and its fold."""
    listed = intake.list_samples(as_folder(tmp_path / "f"), CLASSES, 1, multilabel=False)
    with pytest.raises(SubmissionError, match="class 'a' has 4, needs 5; 'c' has 2, needs 3"):
        intake.select_samples(listed, [{"a": 5, "b": 3, "c": 3}], CLASSES)
    listed = intake.list_samples(as_folder(tmp_path / "g", "fold_1"), CLASSES, 2, multilabel=False)
    with pytest.raises(SubmissionError, match="class fold 0: 'a' has 0, needs 1"):
        intake.select_samples(listed, [{"a": 1}, {"a": 1}], CLASSES)


# --- as a row -----------------------------------------------------------------------------------------------


def test_the_row_hands_out_each_image_once_and_knows_its_fold(tmp_path, monkeypatch):
    """The plug-in uses the images of its fold, draws each once with any seed, and refuses to repeat."""
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(tmp_path / "s"))
    as_folder(tmp_path / "f", "fold_1")
    (tmp_path / "f" / "fold_0" / "a").mkdir(parents=True)
    (tmp_path / "f" / "fold_0" / "a" / "x.png").write_bytes(png(IMAGES.image[0]))
    content = stored(tmp_path / "f", store_root(), folds=2).content
    row = _submitted.Generator(_submitted.Params(content=content))
    row.fit(blobs({"a": 5, "b": 5, "c": 5}), FakeContext(tmp_path, fold=1))
    row.save(tmp_path / "saved")
    loaded = _submitted.Generator.load(tmp_path / "saved", SampleContext())
    request = SampleRequest(alternate({"a": 4, "b": 3, "c": 2}, CLASSES), CLASSES, 16)
    for seed in (0, 1):
        drawn = synthetic(loaded.sample(request, SampleContext(seed=seed)).image, request)
        assert {p.tobytes() for p in drawn.image} == {p.tobytes() for p in IMAGES.image}
        for k in range(3):
            assert {p.tobytes() for p in drawn.of_class(k).image} == {
                p.tobytes() for p in IMAGES.of_class(k).image
            }
    with pytest.raises(GeneratorError, match="has 2 samples of 'c', the request is for 3"):
        loaded.sample(SampleRequest(np.full(3, 2), CLASSES, 16), SampleContext())
    with pytest.raises(GeneratorError, match="no samples for fold 2"):
        row.fit(blobs({"a": 5}), FakeContext(tmp_path, fold=2))


def test_no_path_is_in_the_parameters():
    """The hash of the content is the only parameter."""
    assert list(_submitted.Params.model_fields) == ["content"]
    with pytest.raises(ValueError, match="pattern"):
        _submitted.Params(content="../../etc/passwd")


# --- bad input, folders -------------------------------------------------------------------------------------


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG that declares this size and holds 10 MB of compressed zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(10_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


PICTURES: Mapping[str, tuple[bytes, str]] = {
    "a decompression bomb": (bomb(100_000, 100_000), "pixels, expected at most 50 million"),
    "a bomb below Pillow's limit": (bomb(8000, 8000), "8000 x 8000 pixels"),
    "a GIF by another name": (png(IMAGES.image[0], "GIF"), "is not a PNG, JPEG image"),
    "a TIFF by another name": (png(IMAGES.image[0], "TIFF"), "is not a PNG, JPEG image"),
    "a pickle": (b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00.", "is not a PNG, JPEG image"),
    "a script": (b"<script>alert(1)</script>", "is not a PNG, JPEG image"),
    "half a picture": (png(IMAGES.image[0])[:120], "corrupt or truncated"),
    "nothing": (b"", "is empty"),
    "one gray value": (png(np.full((16, 16), 7, np.uint8)), "one gray value"),
}


@pytest.mark.parametrize("what", PICTURES)
@pytest.mark.parametrize("kind", ["folder", "table"])
def test_an_invalid_picture_is_refused_and_nothing_is_stored(what, kind, tmp_path):
    """Bombs, other formats named PNG, pickles, scripts, broken and constant pictures are refused in folders
    and tables; the error names the file or record."""
    content, message = PICTURES[what]
    if kind == "folder":
        source = as_folder(tmp_path / "f")
        (source / "b" / "odd.png").write_bytes(content)
    else:
        source = as_table(tmp_path / "t.parquet", image=[*map(png, IMAGES.image[:8]), content])
    with pytest.raises(SubmissionError, match=message) as error:
        stored(source, tmp_path / "s")
    assert ("odd.png" if kind == "folder" else "row 8") in error.value.where
    assert list((tmp_path / "s" / "submissions").iterdir()) == []


@pytest.mark.parametrize("what", ["picture", "class", "root", "outside"])
def test_links_are_refused_wherever_they_are(what, tmp_path):
    """A link in place of a picture, a class or the whole folder is refused."""
    root, other = as_folder(tmp_path / "f"), as_folder(tmp_path / "g")
    if what == "picture":
        (root / "a" / "l.png").symlink_to(other / "a" / "0.png")
    elif what == "outside":
        (root / "a" / "l.png").symlink_to("/etc/hostname")
    elif what == "class":
        for path in (root / "a").iterdir():
            path.unlink()
        (root / "a").rmdir()
        (root / "a").symlink_to(other / "a")
    else:
        (tmp_path / "l").symlink_to(root)
        root = tmp_path / "l"
    with pytest.raises(SubmissionError, match=r"is a link|is not a folder"):
        listing.list_folder(root, CLASSES, 1)


FOLDERS = {
    "an unknown class": ("d/1.png", "unknown class 'd'"),
    "a class with markup in its name": ("<img src=x>/1.png", "unknown class '<img src=x>'"),
    "a picture outside any class": ("1.png", "outside any class"),
    "a folder in a class": ("a/more/1.png", "not a .png, .jpg or .jpeg file"),
    "a script among the pictures": ("a/run.py", "not a .png, .jpg or .jpeg file"),
    "a pickle among the pictures": ("a/model.pkl", "not a .png, .jpg or .jpeg file"),
}


@pytest.mark.parametrize("what", FOLDERS)
def test_an_unknown_name_in_a_folder_is_refused(what, tmp_path):
    """The error names classes, files and depths outside the layout."""
    name, message = FOLDERS[what]
    path = as_folder(tmp_path) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(IMAGES.image[0]))
    with pytest.raises(SubmissionError, match=message):
        listing.list_folder(tmp_path, CLASSES, 1)


def test_a_misspelled_class_gets_a_suggestion(tmp_path):
    """``bacterail`` gets the suggestion ``bacterial``."""
    (tmp_path / "bacterail").mkdir()
    with pytest.raises(SubmissionError, match="Did you mean 'bacterial'"):
        listing.list_folder(tmp_path, ("bacterial", "viral"), 1)


def test_a_flat_folder_is_refused_where_there_are_folds(tmp_path):
    """The error explains that the test patients of one fold are training patients of the others."""
    with pytest.raises(SubmissionError, match=r"no folders fold_0 to fold_4: the test patients of one fold"):
        listing.list_folder(as_folder(tmp_path), CLASSES, 5)


def test_a_pipe_is_refused(tmp_path):
    """A named pipe is refused, since reading it would block."""
    os.mkfifo(as_folder(tmp_path) / "a" / "p.png")
    with pytest.raises(SubmissionError, match=r"p\.png"):
        listing.list_folder(tmp_path, CLASSES, 1)


def test_limits_on_number_and_size(tmp_path, monkeypatch):
    """A file over the size limit, and too many files, are refused before any is read."""
    as_folder(tmp_path)
    monkeypatch.setattr(listing, "MAX_IMAGES", 8)
    with pytest.raises(SubmissionError, match="holds 9 pictures; at most 8"):
        listing.list_folder(tmp_path, CLASSES, 1)
    with open(tmp_path / "a" / "large.png", "wb") as handle:
        handle.truncate(100 * 2**30)  # a sparse file of 100 GB
    with pytest.raises(SubmissionError, match=r"large\.png: has 107374182400 bytes"):
        listing.list_folder(tmp_path, CLASSES, 1)


def test_hidden_files_and_notes_do_not_matter(tmp_path):
    """Files of operating systems and a text beside the classes are ignored."""
    as_folder(tmp_path)
    (tmp_path / "a" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "README.txt").write_text("x")
    assert len(listing.list_folder(tmp_path, CLASSES, 1)) == 9


# --- bad input, tables --------------------------------------------------------------------------------------

TABLES: Mapping[str, tuple[dict[str, Any], str]] = {
    "no pictures": ({"image": None}, "image: is a missing column"),
    "no classes": ({"class": None}, "class: is a missing column"),
    "an unknown class": ({"class": ["a"] * 8 + ["d"]}, "row 8: unknown class 'd'"),
    "an unknown column": ({"klass": ["a"] * 9}, "unknown column 'klass'"),
    "labels where there is one each": ({"label:a": [1] * 9}, "unknown column 'label:a'"),
    "pictures as text": ({"image": ["x"] * 9}, "image: is a column of string"),
    "a class that is missing": ({"class": ["a"] * 8 + [None]}, "class: has rows without a value"),
    "a fold that is none": ({"fold": [0] * 8 + [3]}, "fold: has 3, expected 0 to 0"),
    "a fold that is no number": ({"fold": [float("nan")] * 9}, "fold: is a column of double"),
}


@pytest.mark.parametrize("what", TABLES)
def test_an_invalid_table_is_refused_by_its_column(what, tmp_path):
    """The error names a missing, unknown, mistyped or incomplete column, and the record."""
    columns, message = TABLES[what]
    with pytest.raises(SubmissionError, match=message):
        listing.list_table(as_table(tmp_path / "t.parquet", **columns), CLASSES, 1, multilabel=False)


def test_a_table_without_folds_is_refused_where_there_are_some(tmp_path):
    """A table without the column fold is refused on a task with folds."""
    with pytest.raises(SubmissionError, match="fold: is a missing column: the task has 3 folds"):
        listing.list_table(as_table(tmp_path / "t.parquet"), CLASSES, 3, multilabel=False)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"label:a": [1] * 9}, "label:b: is a missing or unknown column"),
        ({"label:a": [2] * 9, "label:b": [1] * 9, "label:c": [1] * 9}, "expected 0 or 1"),
        ({"label:a": [0] * 9, "label:b": [1] * 9, "label:c": [1] * 9}, "1 for its class 'a'"),
        ({"label:a": [np.nan] * 9, "label:b": [1] * 9, "label:c": [1] * 9}, "label:a: is a column of double"),
    ],
)
def test_invalid_labels_are_refused(labels, message, tmp_path):
    """A table needs one column per class, 0 or 1, and 1 for the requested class."""
    with pytest.raises(SubmissionError, match=message):
        listing.list_table(as_table(tmp_path / "t.parquet", **labels), CLASSES, 1, multilabel=True)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\x80\x04.", b"PAR1" + bytes(100) + b"PAR1"])
def test_files_that_are_not_parquet_are_refused(content, tmp_path):
    """An empty file, a truncated one, and a pickle named Parquet are refused."""
    path = tmp_path / "t.parquet"
    path.write_bytes(content)
    with pytest.raises(SubmissionError, match="not readable as Parquet"):
        listing.list_table(path, CLASSES, 1, multilabel=False)


def test_a_table_of_zeros_is_refused_by_its_size(tmp_path, monkeypatch):
    """A table that would unpack to more than the limit is refused before it is unpacked, and so is a single
    picture above its own limit."""
    path = as_table(tmp_path / "t.parquet", image=[bytes(2_000_000)] * 9)
    assert path.stat().st_size < 3_000_000
    monkeypatch.setattr(listing, "MAX_PICTURE_BYTES", 1_000_000)
    with pytest.raises(SubmissionError, match="image: has 2000000 bytes"):
        listing.list_table(path, CLASSES, 1, multilabel=False)
    monkeypatch.setattr(listing, "MAX_TABLE_BYTES", 1_000_000)
    with pytest.raises(SubmissionError, match=r"bytes; at most 1000000"):
        listing.list_table(path, CLASSES, 1, multilabel=False)


def test_a_link_to_a_table_is_refused(tmp_path):
    """A table may not be a link."""
    as_table(tmp_path / "t.parquet")
    (tmp_path / "l.parquet").symlink_to(tmp_path / "t.parquet")
    with pytest.raises(SubmissionError, match="not a plain file"):
        listing.list_table(tmp_path / "l.parquet", CLASSES, 1, multilabel=False)


def test_samples_in_color_are_noted(tmp_path):
    """Tinted pictures are accepted, counted, and the first is named; gray ones leave no note."""
    root = as_folder(tmp_path / "f")
    listed = intake.list_samples(root, CLASSES, 1, multilabel=False)
    assert intake.color_note(listed) == []
    tint = np.array([1, 0.7, 0.5])
    for name in ("a/1.png", "b/5.png"):
        with Image.open(root / name) as opened:
            pixels = np.asarray(opened)[..., None] * tint + np.array([90, 60, 30])
        (root / name).write_bytes(png(pixels.clip(0, 255).astype(np.uint8)))
    (note,) = intake.color_note(intake.list_samples(root, CLASSES, 1, multilabel=False))
    assert note == "2 of 9 images are in color, their luminance is used: the first is 1.png"
