"""Archives and folders of third parties: invalid ones are refused, and nothing outside the target changes."""

from __future__ import annotations

import os
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from benchmark.errors import SubmissionError
from benchmark.intake import archive as archives
from benchmark.intake.archive import extract, row_name, validate_bundle_folder

GOOD = {"bundle.json": b"{}", "predictions.parquet": b"PAR1", "samples/grid.png": b"\x89PNG"}


def packed(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Return a ZIP with these files."""
    with zipfile.ZipFile(path, "w", method) as out:
        for name, content in files.items():
            out.writestr(name, content)
    return path


def with_entry(path: Path, info: zipfile.ZipInfo, content: bytes = b"x") -> Path:
    """Return a ZIP of a bundle with one more entry."""
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("bundle.json", b"{}")
        out.writestr(info, content)
    return path


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Return everything below a folder with type and size."""
    return {
        str(p.relative_to(folder)): (stat.S_IFMT(p.lstat().st_mode), p.lstat().st_size)
        for p in folder.rglob("*")
    }


def refused(archive: Path, tmp_path: Path, words: str) -> None:
    """Assert that the archive is refused with this message, and that nothing is changed or left behind."""
    inner = tmp_path / "inner"
    inner.mkdir()
    before = listing(tmp_path)
    with pytest.raises(SubmissionError, match=words):
        extract(archive, inner / "row")
    assert listing(tmp_path) == before


@pytest.mark.parametrize("top", ["", "row/"])
def test_a_bundle_survives_packing(tmp_path: Path, top: str):
    """A bundle may lie in a folder of the ZIP, which has the row's name; otherwise the archive has it."""
    path = packed(tmp_path / "row.zip", {top + name: content for name, content in GOOD.items()})
    assert row_name(path) == "row"
    folder = extract(path, tmp_path / "out")
    assert {n: (folder / n).read_bytes() for n in validate_bundle_folder(folder)} == GOOD
    assert listing(tmp_path).keys() == {
        "row.zip", "out", "out/samples", *(f"out/{n}" for n in GOOD)
    }  # fmt: skip


def test_folders_of_an_archive_may_be_listed(tmp_path: Path):
    """ZIPs with entries for folders, as file managers write them, are accepted."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr("row/bundle.json", b"{}")
        out.mkdir("row")
        out.mkdir("row/samples")
    assert validate_bundle_folder(extract(tmp_path / "x.zip", tmp_path / "out")) == ["bundle.json"]


@pytest.mark.parametrize(
    "name",
    ["../bundle.json", "row/../../bundle.json", "samples/../../evil", "./bundle.json", "a//b", ".."],
)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str):
    """An entry that leads out of the folder (zip slip) is refused."""
    refused(with_entry(tmp_path / "x.zip", zipfile.ZipInfo(name)), tmp_path, "leads out")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "//host/share", "C:/bundle.json", "C:bundle.json", "..\\evil", "a\\b"]
)
def test_an_absolute_or_foreign_path_is_refused(tmp_path: Path, name: str):
    """Absolute paths, drive letters and backslashes are refused."""
    refused(with_entry(tmp_path / "x.zip", zipfile.ZipInfo(name)), tmp_path, "absolute path")


def test_a_name_that_is_cut_at_a_null_byte_is_refused(tmp_path: Path):
    """``bundle.json\0.sh`` is refused, since some programs read it as ``bundle.json``."""
    path = with_entry(tmp_path / "x.zip", zipfile.ZipInfo("curve.parquet_.sh"))
    path.write_bytes(path.read_bytes().replace(b"curve.parquet_.sh", b"curve.parquet\0.sh"))
    refused(path, tmp_path, "characters")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFSOCK])
def test_a_link_or_device_in_an_archive_is_refused(tmp_path: Path, kind: int):
    """Only the mode of a plain file is accepted."""
    info = zipfile.ZipInfo("curve.parquet")
    info.create_system, info.external_attr = 3, (kind | 0o644) << 16
    refused(with_entry(tmp_path / "x.zip", info, b"/etc/passwd"), tmp_path, "link or a device")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(tmp_path: Path):
    """A repeated name is refused, since programs differ in which entry they read."""
    refused(with_entry(tmp_path / "x.zip", zipfile.ZipInfo("bundle.json")), tmp_path, "twice")


def test_names_that_differ_in_case_alone_are_refused(tmp_path: Path):
    """On some disks one of the entries overwrites the other."""
    refused(with_entry(tmp_path / "x.zip", zipfile.ZipInfo("Bundle.json")), tmp_path, "two cases")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model.pkl", "could run code"),
        ("generator.py", "could run code"),
        ("samples/weights.pt", "could run code"),
        ("more.zip", "archive inside"),
        ("samples/more.tar.gz", "archive inside"),
        ("notes.txt", "not a file of a bundle"),
        (".bashrc", "not a file of a bundle"),
        ("samples/deep/grid.png", "not a file of a bundle"),
        ("<script>alert(1)</script>", "not a file of a bundle"),
    ],
)
def test_an_unknown_file_is_refused(tmp_path: Path, name: str, words: str):
    """Only a bundle's files are accepted: no code, pickles, archives or other files."""
    refused(with_entry(tmp_path / "x.zip", zipfile.ZipInfo(name)), tmp_path, words)


def test_a_record_of_verification_is_not_handed_in(tmp_path: Path):
    """A verification record in a submission is refused, since a submitter could write one."""
    refused(packed(tmp_path / "x.zip", {**GOOD, "verified.json": b"{}"}), tmp_path, "only by the verifier")


def test_an_encrypted_entry_is_refused(tmp_path: Path):
    """An encrypted entry cannot be checked."""
    path = packed(tmp_path / "x.zip", GOOD)
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag in the first local header, and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    refused(path, tmp_path, "encrypted")


def test_other_compression_methods_are_refused(tmp_path: Path):
    """Only deflated and stored entries are accepted."""
    refused(packed(tmp_path / "x.zip", GOOD, zipfile.ZIP_LZMA), tmp_path, "method 14")


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_a_tar_is_refused_with_the_remedy(tmp_path: Path, suffix: str):
    """A tar can have owners, links and devices; the error requests a ZIP."""
    path = tmp_path / f"x{suffix}"
    with tarfile.open(path, "w:gz" if suffix.endswith("gz") else "w") as out:
        (tmp_path / "bundle.json").write_text("{}")
        out.add(tmp_path / "bundle.json", "bundle.json")
    refused(path, tmp_path, "repack a tar")


def test_many_entries_are_refused_before_the_directory_is_read(tmp_path: Path):
    """The number of entries is read from the end of the file."""
    path = packed(tmp_path / "x.zip", {f"{i:05}": b"" for i in range(2000)})
    refused(path, tmp_path, "lists 2000 entries")


@pytest.mark.parametrize("change", ["comment", "prefix", "after"])
def test_bytes_around_an_archive_are_refused(tmp_path: Path, change: str):
    """A file that is also valid in another format is read differently by different programs."""
    path = packed(tmp_path / "x.zip", GOOD)
    content = path.read_bytes()
    changed = {
        "comment": content[:-2] + struct.pack("<H", 5) + b"hello",
        "prefix": b"#!/bin/sh\n" + content,
        "after": content + b"\0" * 10,
    }
    path.write_bytes(changed[change])
    refused(path, tmp_path, "ZIP")


def test_a_declared_size_above_the_limit_is_refused(tmp_path: Path):
    """A picture may have 8 MB; the entry declares 9."""
    path = packed(tmp_path / "x.zip", {**GOOD, "samples/grid.png": os.urandom(9_000_000)}, zipfile.ZIP_STORED)
    refused(path, tmp_path, "9000000 bytes; at most 8000000")


def test_a_bomb_that_is_honest_about_its_size_is_refused(tmp_path: Path):
    """Zeros compress a thousandfold; the limit is 250."""
    refused(
        packed(tmp_path / "x.zip", {**GOOD, "predictions.parquet": bytes(30_000_000)}), tmp_path, "times as"
    )


def test_files_that_are_too_large_together_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The total size has a limit even if each file is within its own."""
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 150_000)
    files = {"predictions.parquet": bytes(100_000), "curve.parquet": bytes(100_000)}
    refused(packed(tmp_path / "x.zip", files), tmp_path, "all files together: has 200000 bytes")


def hundred_gigabytes(name: bytes, says: int) -> bytes:
    """Return a ZIP whose one entry unpacks to 100 GB of zeros and declares another size.

    A full flush ends a deflate block at a byte boundary, so one compressed block of zeros can be written
    repeatedly; the checksum is that of the declared size.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(100_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    stream = block * 1000
    crc = zlib.crc32(bytes(says))
    common = struct.pack("<5H3L2H", 20, 0, 8, 0, 0x21, crc, len(stream), says, len(name), 0)
    local = b"PK\x03\x04" + common + name + stream
    directory = b"PK\x01\x02\x14\x00" + common + struct.pack("<3H2L", 0, 0, 0, 0o100644 << 16, 0) + name
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), len(local), 0)
    return local + directory + end


def test_a_hundred_gigabytes_of_zeros_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The header declares 4 MB: no more is unpacked, and nothing remains.

    The stream has 97 MB, of which the first are read. The checksum of the declared size agrees, so only the
    stream reveals the real size.
    """
    monkeypatch.setattr(archives, "RATIO_FREE_BYTES", 2_000_000)
    monkeypatch.setattr(archives, "MAX_RATIO", 0)
    read: list[int] = []
    copy = archives._copy

    def counted(source, sink, most, where):  # type: ignore[no-untyped-def]
        try:
            copy(source, sink, most, where)
        finally:
            read.append(sink.tell())

    monkeypatch.setattr(archives, "_copy", counted)
    monkeypatch.setattr(archives, "_validate_stated_size", lambda *_: None)  # skips the check of the header
    path = tmp_path / "x.zip"
    path.write_bytes(hundred_gigabytes(b"predictions.parquet", 4_000_000))
    refused(path, tmp_path, "unpacks to more than 2000000 bytes")
    assert read == [1_048_576]  # bytes written before the limit


def test_a_hundred_gigabytes_are_refused_by_the_declared_size(tmp_path: Path):
    """An entry that declares 4 GB, the maximum of a plain ZIP, is not unpacked."""
    path = tmp_path / "x.zip"
    content = bytearray(packed(path, GOOD).read_bytes())
    at = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4)  # of predictions.parquet
    content[at + 24 : at + 28] = struct.pack("<L", 0xFFFFFFF0)
    path.write_bytes(content)
    refused(path, tmp_path, "has 4294967280 bytes")


def test_a_wrong_checksum_is_refused(tmp_path: Path):
    """An entry whose unpacked bytes do not have the declared checksum is refused."""
    path = packed(tmp_path / "x.zip", GOOD, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"PAR1", b"PAR2", 1))
    refused(path, tmp_path, "cannot be unpacked")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), os.urandom(500)])
def test_files_that_are_not_archives_are_refused(tmp_path: Path, content: bytes):
    """An empty file, a truncated ZIP, one without entries and other files are refused."""
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    refused(path, tmp_path, "ZIP")


def test_a_target_that_is_there_is_never_overwritten(tmp_path: Path):
    """An existing target is refused, also a dangling link."""
    path = packed(tmp_path / "x.zip", GOOD)
    (tmp_path / "row").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("row", "link"):
        with pytest.raises(SubmissionError, match="already exists"):
            extract(path, tmp_path / name)
    assert not (tmp_path / "nowhere").exists()
    assert not list((tmp_path / "row").iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write the folder of a bundle."""
    return extract(packed(tmp_path / "x.zip", GOOD), tmp_path / "row")


def test_a_link_in_a_folder_is_refused(folder: Path):
    """A link is refused anywhere in the folder."""
    (folder / "curve.parquet").symlink_to("/etc/passwd")
    with pytest.raises(SubmissionError, match="is a link or a device"):
        validate_bundle_folder(folder)


def test_a_link_in_place_of_a_folder_is_refused(folder: Path, tmp_path: Path):
    """Neither the folder nor ``samples`` may be a link."""
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(SubmissionError, match="a link to one"):
        validate_bundle_folder(tmp_path / "link")
    (folder / "samples").rename(tmp_path / "samples")
    (folder / "samples").symlink_to(tmp_path / "samples")
    with pytest.raises(SubmissionError, match="samples"):
        validate_bundle_folder(folder)


def test_a_hard_link_is_refused(folder: Path, tmp_path: Path):
    """A hard link is refused, since a verified file could be changed by its other name."""
    os.link(folder / "bundle.json", tmp_path / "same.json")
    with pytest.raises(SubmissionError, match="hard link"):
        validate_bundle_folder(folder)


def test_a_pipe_in_a_folder_is_refused(folder: Path):
    """A pipe is refused, since reading it would block."""
    os.mkfifo(folder / "verified.json")
    with pytest.raises(SubmissionError, match="a device"):
        validate_bundle_folder(folder)


def test_a_hundred_gigabytes_in_a_folder_are_refused(folder: Path):
    """A sparse file of 100 GB is refused by its size."""
    with (folder / "predictions.parquet").open("wb") as out:
        out.truncate(100 * 10**9)
    with pytest.raises(SubmissionError, match="has 100000000000 bytes"):
        validate_bundle_folder(folder)


@pytest.mark.parametrize("name", ["extra.json", "samples/more.png", "evil.pkl", "BUNDLE.json", "deep"])
def test_an_unknown_file_in_a_folder_is_refused(folder: Path, name: str):
    """A folder may hold only a bundle's files."""
    if name == "deep":
        (folder / name).mkdir()
    else:
        (folder / name).write_bytes(b"x")
    with pytest.raises(SubmissionError, match=name):
        validate_bundle_folder(folder)
