"""Arrays of an ``.npz`` file, read without trust in their headers and without pickle."""

from __future__ import annotations

import shutil
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from benchmark.errors import DataError
from benchmark.utils.files import atomic_path, disk_errors

BROKEN = (  # errors of zipfile and NumPy on damaged files
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, KeyError, RuntimeError,
    OverflowError, MemoryError,
)  # fmt: skip
COPY = "Download the file again from https://medmnist.com."


class Archive:
    """An ``.npz`` file.

    Args:
        path: of the file.
        unpack: folder for an unpacked copy of compressed arrays, which is then mapped; written once.
        most_memory: bytes of images that may be held in memory.
    Raises:
        DataError: not an ``.npz`` file.
    """

    def __init__(self, path: Path, unpack: Path | None, most_memory: int) -> None:
        self.path, self._unpack, self._most_memory = path, unpack, most_memory
        try:
            self._zip = zipfile.ZipFile(path)
        except BROKEN as error:
            raise DataError(str(path), f"is not an .npz file: {error}", COPY) from None

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def header(self, member: str) -> tuple[tuple[int, ...], np.dtype, int]:
        """Return the shape, the type and the header's length in bytes of an array.

        Raises:
            DataError: missing, not an array of whole numbers, not in C order, or not of the declared size.
        """
        where = f"{self.path}: {member.removesuffix('.npy')}"
        try:
            size = self._zip.getinfo(member).file_size
        except KeyError:
            have = ", ".join(name.removesuffix(".npy") for name in self._zip.namelist()[:8])
            raise DataError(where, f"is missing, the file contains {have}", COPY) from None
        try:
            with self._zip.open(member) as stream:
                shape, fortran, dtype = _read_header(stream)
                length = stream.tell()
        except BROKEN as error:
            raise DataError(where, f"is not an array: {error}", COPY) from None
        if dtype.hasobject or dtype.kind not in "uib" or fortran:
            raise DataError(where, f"is {dtype}, expected whole numbers in C order", COPY)
        if size != length + int(np.prod(shape, dtype=object)) * dtype.itemsize:
            raise DataError(where, f"has {size} bytes, which does not match its shape {shape}", COPY)
        return shape, dtype, length

    def array(self, member: str, *, mapped: bool = False) -> np.ndarray:
        """Return an array, in memory or mapped: if ``mapped`` and it is uncompressed or unpacked.

        Raises:
            DataError: a ``mapped`` array is compressed and larger than ``most_memory``, or one is broken.
        """
        shape, dtype, length = self.header(member)
        info = self._zip.getinfo(member)
        where = f"{self.path}: {member.removesuffix('.npy')}"
        if mapped and info.compress_type == zipfile.ZIP_STORED:
            start = self._data_start(info) + length
            if start + info.file_size - length > self.path.stat().st_size:
                raise DataError(where, "ends before its last image", COPY)
            return np.memmap(self.path, dtype, mode="r", offset=start, shape=shape)
        if mapped and self._unpack is not None:
            return np.load(self._unpacked(member, self._unpack), mmap_mode="r", allow_pickle=False)
        if mapped and info.file_size > self._most_memory:
            problem = f"takes {info.file_size} bytes unpacked, more than max_memory {self._most_memory}"
            remedy = "Unpack a copy by --set unpack=FOLDER, or allow more by --set max_memory=BYTES."
            raise DataError(where, problem, remedy)
        try:
            with self._zip.open(member) as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)
        except BROKEN as error:
            raise DataError(where, f"cannot be read: {error}", COPY) from None

    def _data_start(self, info: zipfile.ZipInfo) -> int:
        """Return the offset of a member's bytes, behind its local header."""
        with open(self.path, "rb") as handle:
            handle.seek(info.header_offset + 26)
            name, extra = np.frombuffer(handle.read(4), "<u2").tolist()
        return int(info.header_offset + 30 + name + extra)

    def _unpacked(self, member: str, folder: Path) -> Path:
        """Return the path of a copy of a member, named after its content."""
        path = folder / f"{self.path.stem}-{self._zip.getinfo(member).CRC:08x}-{member}"
        if not path.is_file():
            with disk_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            try:
                with self._zip.open(member) as stream, atomic_path(path) as part, open(part, "wb") as copy:
                    shutil.copyfileobj(stream, copy, 2**20)
            except BROKEN as error:
                raise DataError(f"{self.path}: {member}", f"cannot be unpacked: {error}", COPY) from None
        return path


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    major = np.lib.format.read_magic(stream)
    if major not in ((1, 0), (2, 0)):
        raise ValueError(f"array format {major} is not known")
    read = np.lib.format.read_array_header_1_0 if major == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)
