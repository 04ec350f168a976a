"""A bundle from somebody else, as a ZIP or as a folder: looked over before anything in it is read.

A bundle is a fixed list of files. Whatever else there is, however large it claims to be and wherever it
wants to be written, is refused before a byte of it is trusted.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from benchmark.errors import SubmissionError

MOST = {
    "bundle.json": 5_000_000,
    "predictions.parquet": 1_000_000_000,
    "curve.parquet": 1_000_000_000,
    "samples/grid.png": 8_000_000,
    "samples/images.parquet": 50_000_000,
    "bundle.json.sig": 10_000,
    "verified.json": 1_000_000,
}  # bytes of the files that a bundle may have
FOLDER = "samples"
RECORD = "verified.json"  # who verifies writes it beside the bundle; nobody hands it in
MOST_TOGETHER = 1_200_000_000  # bytes
MOST_RATIO = 250  # unpacked to packed; zeros have 1000, and Parquet and PNG are packed already
FREE = 1_000_000  # bytes that a file may have whatever its ratio
ROW = re.compile(r"[a-z0-9_]{1,64}")
BLOCK = 2**20
ARCHIVES = (".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zip")
CODE = (".pkl", ".pickle", ".py", ".pyc", ".pt", ".pth", ".ckpt", ".npy", ".joblib", ".so", ".sh")
_END = struct.Struct("<4s4H2LH")  # the end of a ZIP's directory: APPNOTE 6.3.10, section 4.3.16
_DIRECTORY_MOST = 65_536  # bytes; some ten names need one


def row_name(archive: Path) -> str:
    """The row that an archive is of: its one top folder, or else its file's name without the ending."""
    with _opened(archive) as bundle:
        return _prefix(bundle, archive) or archive.stem


def extract(archive: Path, into: Path) -> Path:
    """Unpack a bundle's ZIP into a new folder: completely, or not at all.

    It is unpacked into a temporary folder beside ``into``, looked over there, and renamed at the end.

    Args:
        archive: a ZIP with the files of a bundle, or with one folder that has them.
        into: does not exist; its parent does.
    Returns:
        ``into``.
    Raises:
        SubmissionError: not a ZIP, or one with anything but the files of a bundle: other or repeated names,
            paths that lead elsewhere, links, devices, encryption, too many or too large files.
    """
    if os.path.lexists(into):
        raise SubmissionError(str(into), "is there already", "Name a folder that is not there.")
    if not into.parent.is_dir():
        raise SubmissionError(str(into.parent), "is no folder", "Make it first.")
    with _opened(archive) as bundle:
        wanted = _checked(bundle, archive)
        part = Path(tempfile.mkdtemp(prefix=".incoming-", dir=into.parent))
        try:
            _unpack(bundle, wanted, part, archive)
            look_over(part)
            part.chmod(0o755)  # it was made for its owner alone
            part.rename(into)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return into


def look_over(folder: Path) -> list[str]:
    """Names of the files of a bundle's folder, after making sure that there is nothing else in it.

    Raises:
        SubmissionError: a link, a device, a pipe, an unknown or too large file, or two names that differ in
            nothing but case.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise SubmissionError(str(folder), "is no folder, or a link to one", "Give the folder itself.")
    sizes: dict[str, int] = {}
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        _check_known(name, f"{folder}: {name}")
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode):
            raise SubmissionError(f"{folder}: {name}", "is a link or a device, expected a plain file")
        if about.st_nlink > 1:
            raise SubmissionError(f"{folder}: {name}", "is a hard link to another file", "Copy the file.")
        sizes[name] = about.st_size
        _check_size(name, about.st_size, f"{folder}: {name}")
    _check_together(sum(sizes.values()), str(folder))
    return sorted(sizes)


def _walk(folder: Path) -> Iterator[Path]:
    """Everything in a bundle's folder but ``samples`` itself; links are never followed."""
    for entry in os.scandir(folder):
        if entry.name == FOLDER and entry.is_dir(follow_symlinks=False):
            yield from (Path(inner.path) for inner in os.scandir(entry.path))
        else:
            yield Path(entry.path)


def _check_known(name: str, where: str) -> None:
    """Refuse what is not one of the files of a bundle."""
    if name in MOST:
        return
    if name.casefold() in MOST:
        raise SubmissionError(where, "is written in another case", f"Name it {name.casefold()}.")
    low = name.lower()
    if low.endswith(CODE):
        raise SubmissionError(where, "could run code, and is not read", "A bundle holds data alone.")
    if low.endswith(ARCHIVES):
        raise SubmissionError(where, "is an archive within the bundle", "Leave it out.")
    raise SubmissionError(where, "is no file of a bundle", f"Leave it out; known are {', '.join(MOST)}.")


def _check_size(name: str, size: int, where: str) -> None:
    if size > MOST[name]:
        raise SubmissionError(where, f"has {size} bytes, at most {MOST[name]} are read")


def _check_together(size: int, where: str) -> None:
    if size > MOST_TOGETHER:
        raise SubmissionError(where, f"has {size} bytes in all, at most {MOST_TOGETHER} are read")


def _opened(archive: Path) -> zipfile.ZipFile:
    """The archive with its directory read, once that is known to be small and where it should be."""
    if not archive.is_file():
        raise SubmissionError(str(archive), "is no file", "Give a bundle's folder, or its ZIP.")
    size = archive.stat().st_size
    if size > MOST_TOGETHER:
        raise SubmissionError(str(archive), f"has {size} bytes, at most {MOST_TOGETHER} are read")
    with archive.open("rb") as handle:
        begin = handle.read(4)
        handle.seek(max(0, size - _END.size))
        _check_end(handle.read(), size, begin, archive)
    try:
        return zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeError, ValueError, OSError) as error:
        raise SubmissionError(str(archive), f"is a damaged ZIP: {error}", "Make it again.") from None


def _check_end(end: bytes, size: int, begin: bytes, archive: Path) -> None:
    """Refuse what is not one plain ZIP from its first byte to its last."""
    if begin != b"PK\x03\x04":
        raise SubmissionError(
            str(archive), "is no ZIP", "Give a bundle's folder, or a ZIP of it; of a tar make a ZIP."
        )
    if len(end) < _END.size or end[:4] != b"PK\x05\x06":
        raise SubmissionError(str(archive), "is a damaged ZIP, or has bytes after its end", "Make it again.")
    _, disk, first, here, entries, length, offset, comment = _END.unpack(end)
    if comment or disk or first or here != entries or offset + length + _END.size != size:
        raise SubmissionError(str(archive), "is no plain ZIP of one part without a comment", "Make it again.")
    if entries > len(MOST) + 2 or length > _DIRECTORY_MOST:
        raise SubmissionError(
            str(archive),
            f"lists {entries} entries, a bundle has at most {len(MOST)} files",
            "Leave them out.",
        )


def _prefix(bundle: zipfile.ZipFile, archive: Path) -> str:
    """The one folder that everything lies in, or nothing."""
    tops = {name.split("/", 1)[0] for name in bundle.namelist()}
    if len(tops) != 1 or not all("/" in name for name in bundle.namelist()) or tops == {FOLDER}:
        return ""
    top = tops.pop()
    if not ROW.fullmatch(top):
        raise SubmissionError(
            f"{archive}: {top!r}", "is no name of a row", "Use small letters, digits and _, at most 64."
        )
    return top


def _checked(bundle: zipfile.ZipFile, archive: Path) -> dict[str, zipfile.ZipInfo]:
    """The entries to unpack, by the names that they will have."""
    entries = bundle.infolist()
    for entry in entries:
        _check_entry(entry, f"{archive}: {entry.orig_filename!r}")
    prefix = _prefix(bundle, archive)
    wanted: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    for entry in entries:
        name, where = _within(entry.filename, prefix), f"{archive}: {entry.orig_filename!r}"
        if name.casefold() in seen:
            raise SubmissionError(where, "is there twice, or in two cases", "Keep one.")
        seen.add(name.casefold())
        if entry.is_dir():
            _check_folder(entry, name, where)
            continue
        _check_known(name, where)
        if name == RECORD:
            raise SubmissionError(where, "is written by whoever verifies, and not handed in", "Leave it out.")
        _check_claim(entry, name, where)
        wanted[name] = entry
    _check_together(sum(e.file_size for e in wanted.values()), str(archive))
    return wanted


def _within(name: str, prefix: str) -> str:
    """The name inside the one top folder."""
    return name.removeprefix(f"{prefix}/") if prefix else name


def _check_entry(entry: zipfile.ZipInfo, where: str) -> None:
    """Refuse a name that leads elsewhere, and anything but plain files and folders."""
    name = entry.orig_filename
    if name.startswith("/") or "\\" in name or ":" in name:
        raise SubmissionError(where, "is an absolute path, or one of another system", "Use relative names.")
    parts = name.removesuffix("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise SubmissionError(where, "leads out of the folder", "Use plain names.")
    if not name.isprintable() or not name.isascii():
        raise SubmissionError(where, "has characters that no file of a bundle has", "Use plain names.")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG):
        raise SubmissionError(where, "is a link or a device, expected a plain file")
    if entry.flag_bits & 0x2041:  # encrypted, strongly encrypted, or with a masked directory
        raise SubmissionError(where, "is encrypted", "Pack it without a password.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SubmissionError(where, f"is packed by method {entry.compress_type}", "Use deflate.")


def _check_folder(entry: zipfile.ZipInfo, name: str, where: str) -> None:
    if name not in ("", f"{FOLDER}/") or entry.file_size or entry.compress_size:
        raise SubmissionError(where, "is no folder of a bundle", "Leave it out.")


def _check_claim(entry: zipfile.ZipInfo, name: str, where: str) -> None:
    """Refuse what says itself that it is too large, or packed as only a bomb is."""
    _check_size(name, entry.file_size, where)
    if entry.file_size > max(FREE, MOST_RATIO * entry.compress_size):
        raise SubmissionError(
            where,
            f"unpacks {entry.compress_size} bytes to {entry.file_size}, at most {MOST_RATIO} times as many "
            "are read",
            "Pack what the suite wrote.",
        )


def _unpack(bundle: zipfile.ZipFile, wanted: dict[str, zipfile.ZipInfo], into: Path, archive: Path) -> None:
    """Write every entry, counting what really comes out of it."""
    for name, entry in wanted.items():
        target, where = into / name, f"{archive}: {entry.orig_filename!r}"
        target.parent.mkdir(exist_ok=True)
        try:
            with bundle.open(entry) as source, target.open("xb") as sink:
                _pour(source, sink, min(MOST[name], max(FREE, MOST_RATIO * entry.compress_size)), where)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError) as error:
            raise SubmissionError(where, f"cannot be unpacked: {error}", "Pack it again.") from None


def _pour(source: IO[bytes], sink: IO[bytes], most: int, where: str) -> None:
    """Copy at most so many bytes; what has more is a bomb, whatever its header says."""
    left = most
    while block := source.read(min(BLOCK, left + 1)):
        left -= len(block)
        if left < 0:
            raise SubmissionError(where, f"unpacks to more than {most} bytes", "Pack what the suite wrote.")
        sink.write(block)
