"""Validate and unpack a third party's bundle, a ZIP or a folder, before any file of it is read.

A bundle is a fixed list of files. Every other file, a size over its limit and a path outside the target are
refused before any content is trusted.
"""

import os
import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from benchmark.errors import SubmissionError
from benchmark.intake.untrusted import validate_size
from benchmark.utils.files import atomic_folder
from benchmark.utils.naming import NAME

MAX_FILE_BYTES = {
    "bundle.json": 5_000_000,
    "predictions.parquet": 1_000_000_000,
    "curve.parquet": 1_000_000_000,
    "samples/grid.png": 8_000_000,
    "samples/training.png": 8_000_000,
    "samples/images.parquet": 50_000_000,
    "bundle.json.sig": 10_000,
    "verified.json": 1_000_000,
    "verified.json.sig": 10_000,
}  # of every file that a bundle may have
MAX_TOTAL_BYTES = 1_200_000_000
MAX_RATIO = 250  # unpacked to packed; zeros reach 1000, and Parquet and PNG are compressed already
RATIO_FREE_BYTES = 1_000_000  # allowed for a file at any ratio
MAX_DIRECTORY_BYTES = 65_536  # of a ZIP; a bundle's ten names need one
FOLDER = "samples"
RECORDS = ("verified.json", "verified.json.sig")  # a maintainer writes them; a submission may not
ROW = re.compile(NAME)
BLOCK = 2**20
ARCHIVES = (".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zip")
CODE = (".pkl", ".pickle", ".py", ".pyc", ".pt", ".pth", ".ckpt", ".npy", ".joblib", ".so", ".sh")
_END = struct.Struct("<4s4H2LH")  # the end of a ZIP's directory: APPNOTE 6.3.10, section 4.3.16


@contextmanager
def bundle_folder(source: Path) -> Iterator[Path]:
    """Yield a validated bundle's folder: ``source`` itself, or a temporary one to unpack its ZIP.

    Raises:
        SubmissionError: see ``validate_bundle_folder`` and ``extract``.
    """
    if source.is_dir():
        validate_bundle_folder(source)
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="synththorax-bundle-") as scratch:
        yield extract(source, Path(scratch) / row_name(source))


def row_name(archive: Path) -> str:
    """Return the row of an archive: its one top folder, else its file name without the suffix."""
    with _open_zip(archive) as bundle:
        return _top_folder(bundle, archive) or archive.stem


def extract(archive: Path, into: Path) -> Path:
    """Unpack a bundle's ZIP into a new folder, completely or not at all.

    Args:
        archive: a ZIP with the files of a bundle, or with one folder that has them.
        into: a path that does not exist, in a folder that does.
    Returns:
        ``into``.
    Raises:
        SubmissionError: not a ZIP, or one with anything but the files of a bundle: other or repeated names,
            paths outside the folder, links, devices, encryption, too many or too large files.
    """
    if os.path.lexists(into):
        raise SubmissionError(str(into), "already exists", "Name a new folder.")
    with _open_zip(archive) as bundle:
        entries = _validated_entries(bundle, archive)
        with atomic_folder(into) as part:
            _unpack(bundle, entries, part, archive)
            validate_bundle_folder(part)
    return into


def validate_bundle_folder(folder: Path) -> list[str]:
    """Return the names of a bundle's files after validating that the folder holds nothing else.

    Raises:
        SubmissionError: a link, a device, a pipe, an unknown or too large file, or a name in another case.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise SubmissionError(str(folder), "is not a folder, or a link to one", "Give the folder itself.")
    sizes: dict[str, int] = {}
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        where, info = f"{folder}: {name}", path.lstat()
        _validate_name(name, where)
        if not stat.S_ISREG(info.st_mode):
            raise SubmissionError(where, "is a link or a device, expected a plain file")
        if info.st_nlink > 1:
            raise SubmissionError(where, "is a hard link to another file", "Copy the file.")
        validate_size(info.st_size, MAX_FILE_BYTES[name], where)
        sizes[name] = info.st_size
    validate_size(sum(sizes.values()), MAX_TOTAL_BYTES, f"{folder}: all files together")
    return sorted(sizes)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield everything in a bundle's folder but ``samples`` itself; never follow a link."""
    for entry in os.scandir(folder):
        if entry.name == FOLDER and entry.is_dir(follow_symlinks=False):
            yield from (Path(inner.path) for inner in os.scandir(entry.path))
        else:
            yield Path(entry.path)


def _validate_name(name: str, where: str) -> None:
    """Refuse a file that no bundle has."""
    if name in MAX_FILE_BYTES:
        return
    if name.casefold() in MAX_FILE_BYTES:
        raise SubmissionError(where, "is written in another case", f"Name it {name.casefold()}.")
    if name.lower().endswith(CODE):
        raise SubmissionError(where, "could run code, and is not read", "A bundle holds only data.")
    if name.lower().endswith(ARCHIVES):
        raise SubmissionError(where, "is an archive inside the bundle", "Leave it out.")
    known = ", ".join(MAX_FILE_BYTES)
    raise SubmissionError(where, "is not a file of a bundle", f"Leave it out; the known files are {known}.")


def _open_zip(archive: Path) -> zipfile.ZipFile:
    """Open an archive once its directory is known to be small and in its place."""
    if not archive.is_file():
        raise SubmissionError(str(archive), "is not a file", "Give a bundle's folder, or its ZIP.")
    size = archive.stat().st_size
    validate_size(size, MAX_TOTAL_BYTES, str(archive))
    with archive.open("rb") as handle:
        start = handle.read(4)
        handle.seek(max(0, size - _END.size))
        _validate_ends(start, handle.read(), size, archive)
    try:
        return zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeError, ValueError, OSError) as error:
        raise SubmissionError(str(archive), f"is a damaged ZIP: {error}", "Pack it again.") from None


def _validate_ends(start: bytes, end: bytes, size: int, archive: Path) -> None:
    """Refuse anything but one plain ZIP from its first byte to its last."""
    where, again = str(archive), "Pack it again."
    if start != b"PK\x03\x04":
        raise SubmissionError(where, "is not a ZIP", "Give a bundle's folder, or a ZIP of it; repack a tar.")
    if len(end) < _END.size or end[:4] != b"PK\x05\x06":
        raise SubmissionError(where, "is a damaged ZIP, or has bytes after its end", again)
    _, disk, first, here, entries, length, offset, comment = _END.unpack(end)
    if comment or disk or first or here != entries or offset + length + _END.size != size:
        raise SubmissionError(where, "is not a plain ZIP of one part without a comment", again)
    if entries > len(MAX_FILE_BYTES) + 2 or length > MAX_DIRECTORY_BYTES:
        problem = f"lists {entries} entries; a bundle has at most {len(MAX_FILE_BYTES)} files"
        raise SubmissionError(where, problem, "Leave the others out.")


def _top_folder(bundle: zipfile.ZipFile, archive: Path) -> str:
    """Return the one folder that holds everything, or an empty text."""
    tops = {name.split("/", 1)[0] for name in bundle.namelist()}
    if len(tops) != 1 or not all("/" in name for name in bundle.namelist()) or tops == {FOLDER}:
        return ""
    top = tops.pop()
    if not ROW.fullmatch(top):
        remedy = "Use lower-case letters, digits and _, at most 64."
        raise SubmissionError(f"{archive}: {top!r}", "is not a row's name", remedy)
    return top


def _validated_entries(bundle: zipfile.ZipFile, archive: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the files to unpack by their names in the bundle's folder."""
    places = {id(entry): f"{archive}: {entry.orig_filename!r}" for entry in bundle.infolist()}
    for entry in bundle.infolist():
        _validate_entry(entry, places[id(entry)])
    top = _top_folder(bundle, archive)
    files: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    for entry in bundle.infolist():
        name, where = entry.filename.removeprefix(f"{top}/" if top else ""), places[id(entry)]
        if name.casefold() in seen:
            raise SubmissionError(where, "is there twice, or in two cases", "Remove one.")
        seen.add(name.casefold())
        if entry.is_dir():
            if name not in ("", f"{FOLDER}/") or entry.file_size or entry.compress_size:
                raise SubmissionError(where, "is not a folder of a bundle", "Leave it out.")
            continue
        _validate_name(name, where)
        if name in RECORDS:
            raise SubmissionError(where, "may be written only by the verifier", "Leave it out.")
        _validate_stated_size(entry, name, where)
        files[name] = entry
    validate_size(sum(e.file_size for e in files.values()), MAX_TOTAL_BYTES, f"{archive}: all files together")
    return files


def _validate_entry(entry: zipfile.ZipInfo, where: str) -> None:
    """Refuse a path outside the folder, and anything but plain files and folders."""
    name = entry.orig_filename
    if name.startswith("/") or "\\" in name or ":" in name:
        raise SubmissionError(where, "is an absolute path, or one of another system", "Use relative names.")
    if any(part in ("", ".", "..") for part in name.removesuffix("/").split("/")):
        raise SubmissionError(where, "leads out of the folder", "Use plain names.")
    if not name.isprintable() or not name.isascii():
        raise SubmissionError(where, "has characters that no file of a bundle has", "Use plain names.")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG):
        raise SubmissionError(where, "is a link or a device, expected a plain file")
    if entry.flag_bits & 0x2041:  # encrypted, strongly encrypted, or with a masked directory
        raise SubmissionError(where, "is encrypted", "Pack it without a password.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SubmissionError(where, f"uses compression method {entry.compress_type}", "Use deflate.")


def _max_unpacked(entry: zipfile.ZipInfo) -> int:
    return max(RATIO_FREE_BYTES, MAX_RATIO * entry.compress_size)


def _validate_stated_size(entry: zipfile.ZipInfo, name: str, where: str) -> None:
    """Refuse an entry whose header states too large a size, or the compression ratio of a bomb."""
    validate_size(entry.file_size, MAX_FILE_BYTES[name], where)
    if entry.file_size > _max_unpacked(entry):
        problem = f"unpacks {entry.compress_size} bytes to {entry.file_size}, over {MAX_RATIO} times as many"
        raise SubmissionError(where, problem, "Pack the files that the suite wrote.")


def _unpack(bundle: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], into: Path, archive: Path) -> None:
    """Write every entry, and count the bytes that really come out of it."""
    for name, entry in entries.items():
        target, where = into / name, f"{archive}: {entry.orig_filename!r}"
        target.parent.mkdir(exist_ok=True)
        try:
            with bundle.open(entry) as source, target.open("xb") as sink:
                _copy(source, sink, min(MAX_FILE_BYTES[name], _max_unpacked(entry)), where)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError) as error:
            raise SubmissionError(where, f"cannot be unpacked: {error}", "Pack it again.") from None


def _copy(source: IO[bytes], sink: IO[bytes], limit: int, where: str) -> None:
    """Copy at most ``limit`` bytes; more of them are a bomb, whatever the header states."""
    left = limit
    while block := source.read(min(BLOCK, left + 1)):
        left -= len(block)
        if left < 0:
            problem = f"unpacks to more than {limit} bytes"
            raise SubmissionError(where, problem, "Pack the files that the suite wrote.")
        sink.write(block)
