"""The suite overwrites and deletes only what bears its mark."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmark.errors import StoreError
from benchmark.utils.files import atomic_folder
from benchmark.utils.outputs import refuse_foreign_files, refuse_foreign_folders

RESULT = {"key": "k", "stage": "data", "files": {"a.json": {}, "sub/b.arrow": {}}}


def stage_result(folder: Path, record: object = RESULT) -> Path:
    (folder / "sub").mkdir(parents=True)
    for name in ("a.json", "sub/b.arrow"):
        (folder / name).write_text("x")
    (folder / "manifest.json").write_text(json.dumps(record))
    return folder


def replace(folder: Path) -> None:
    with atomic_folder(folder) as part:
        (part / "new.txt").write_text("new")


def test_a_listed_folder_is_replaced(tmp_path):
    """A stage's result, a bundle with what was attached to it, an empty folder and none may be replaced."""
    folder = stage_result(tmp_path / "data")
    (folder / ".DS_Store").write_text("a file manager's")
    bundle = tmp_path / "row"
    bundle.mkdir()
    (bundle / "bundle.json").write_text('{"schema": 5, "row": {}, "files": {"predictions.parquet": "0"}}')
    for name in ("predictions.parquet", "bundle.json.sig", "verified.json"):
        (bundle / name).write_text("x")
    (tmp_path / "empty").mkdir()
    for path in (folder, bundle, tmp_path / "empty", tmp_path / "none"):
        replace(path)
        assert [p.name for p in path.iterdir()] == ["new.txt"]


@pytest.mark.parametrize("name", ["notes.txt", "sub/notes.txt", "deep/er/notes.txt", "sub/manifest.json"])
def test_one_more_file_protects_a_folder(tmp_path, name):
    """A file that no manifest lists is named, and everything stays as it was, also beside the folder."""
    folder = stage_result(tmp_path / "data")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("[]")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(StoreError, match=Path(name).name):
        replace(folder)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("record", [{"files": {"a.json": 1, "sub/b.arrow": 1}}, [], {"name": "a web app"}])
def test_a_manifest_of_another_program_is_no_mark(tmp_path, record):
    """The manifest must be that of a stage's result: with key, stage and files."""
    with pytest.raises(StoreError, match="not the suite's own"):
        refuse_foreign_folders([stage_result(tmp_path / "data", record)])


def test_a_link_or_a_file_is_no_folder_of_the_suite(tmp_path):
    """A link to a folder of the suite, a dangling link and a file are refused, and stay."""
    stage_result(tmp_path / "mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    for name in ("link", "dangling", "file"):
        with pytest.raises(StoreError, match=name):
            replace(tmp_path / name)
        assert os.path.lexists(tmp_path / name)


def test_a_folder_that_looks_temporary_is_not_deleted(tmp_path):
    """A user's ``data.part`` and ``data.old.part`` beside the target survive a replacement."""
    for name in ("data.part", "data.old.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("x")
    replace(stage_result(tmp_path / "data"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "data.old.part", "data.part"]


def test_a_kill_between_the_renames_loses_nothing(tmp_path):
    """The folder that was set aside comes back before the next replacement, which may fail."""
    stage_result(tmp_path / ".data.synththorax.old.part")
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "data"):
        raise RuntimeError
    assert (tmp_path / "data" / "sub" / "b.arrow").is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_files_need_the_phrase_of_the_suite(tmp_path):
    """Without any of the files all is well; with one, the page must hold the phrase."""
    page, files = tmp_path / "README.md", [tmp_path / "README.md", tmp_path / "a.csv"]
    refuse_foreign_files(files, page, "# Tables of ")
    (tmp_path / "a.csv").write_text("mine")
    with pytest.raises(StoreError, match=r"a\.csv: is not the suite's own"):
        refuse_foreign_files(files, page, "# Tables of ")
    page.write_text("# My project\n")
    with pytest.raises(StoreError, match=r"README\.md"):
        refuse_foreign_files(files, page, "# Tables of ")
    page.write_text("# Tables of x\n")
    refuse_foreign_files(files, page, "# Tables of ")
    page.unlink()
    page.mkdir()
    with pytest.raises(StoreError, match=r"README\.md"):
        refuse_foreign_files(files, page, "")
