"""Image sets of any size on disk: Parquet shards, and one Arrow file made of them for the memory map.

A folder holds ``part-00000-of-00098.parquet`` and so on, a manifest for each, and ``dataset.json``, which is
written last, says what the set is and has the hash of every shard. ``images.arrow`` is made of the shards.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.errors import DataError, StoreError
from benchmark.images import arrow
from benchmark.images.image_set import PER_IMAGE, TABLES, ImageSet
from benchmark.images.lazy import LazyImages
from benchmark.utils.files import write_json
from benchmark.utils.hashing import sha256_file, sha256_of

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "synththorax-images/1"
DATASET = "dataset.json"
MAPPED = "images.arrow"
GROUP_BYTES = 2**24  # of pixels in a row group, which is what a writer or reader holds at once
COMPRESSION, LEVEL = "zstd", 1  # measured in docs/data_store.md
_PIXELS = ("image", "mask")
_LISTS = {"label": "uint8", "reported_labels": "int8", "soft": "float32", "box": "float32"}
_TYPES = {"U": "string", "i": "int64", "f": "float64"}


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into one clear line.

    Raises:
        StoreError: instead of every ``OSError``.
    """
    try:
        yield
    except OSError as error:
        remedy = "Free some space, or build on another disk; the same command goes on where it stopped."
        if error.errno in (1, 13, 20, 30):  # not permitted, denied, not a directory, read-only
            remedy = "Give a folder that can be written."
        raise StoreError(str(path), f"cannot be written: {error.strerror or error}", remedy) from error


def part_name(index: int, count: int) -> str:
    """File name of a shard."""
    return f"part-{index:05d}-of-{count:05d}.parquet"


def schema_of(images: ImageSet) -> pa.Schema:
    """The columns of a set: pixels as raw bytes, row by row, everything else in types of its own."""
    import pyarrow as pa

    fields = [pa.field(name, pa.binary()) for name in _PIXELS if getattr(images, name) is not None]
    for name, kind in _LISTS.items():
        column = getattr(images, name)
        if column is not None:
            fields.append(pa.field(name, pa.list_(getattr(pa, kind)()) if column.ndim == 2 else pa.int64()))
    fields += [
        pa.field(name, _type_of(getattr(images, name)))
        for name in PER_IMAGE
        if getattr(images, name) is not None
    ]
    height, width = images.image.shape[1:]
    about = {"format": FORMAT, "height": height, "width": width, "classes": list(images.classes)}
    return pa.schema(fields, {"synththorax": json.dumps(about, sort_keys=True)})


def _type_of(column: np.ndarray) -> pa.DataType:
    """Arrow type of a column, told by all of its rows, so that every shard has the same."""
    import pyarrow as pa

    if column.dtype.kind in _TYPES:
        return pa.type_for_alias(_TYPES[column.dtype.kind])
    known = [value for value in column.tolist() if value is not None]
    return pa.float64() if known and not isinstance(known[0], str) else pa.string()


def write_shard(path: Path, images: ImageSet, schema: pa.Schema) -> dict[str, Any]:
    """Write one shard under a temporary name, move it into place, and write its manifest beside it.

    Args:
        path: of the Parquet file; the manifest gets the suffix ``.json``.
        images: the rows of the shard, read some at a time.
        schema: of the whole set, see ``schema_of``.
    Returns:
        The manifest: file, rows, bytes, sha256.
    Raises:
        StoreError: the disk is full or refuses; nothing half-written is left.
    """
    part = path.with_name(path.name + ".part")
    try:
        with told(path.parent):
            _write_parquet(part, images, schema)
            record = {
                "file": path.name,
                "rows": len(images),
                "bytes": part.stat().st_size,
                "sha256": sha256_file(part),
            }
            part.replace(path)
            write_json(path.with_suffix(".json"), record)
    finally:
        part.unlink(missing_ok=True)
    return record


def _write_parquet(path: Path, images: ImageSet, schema: pa.Schema) -> None:
    import pyarrow.parquet as pq

    step = rows_per_group(images.image.shape[1:])
    with path.open("wb") as sink:
        with pq.ParquetWriter(
            sink, schema, compression=COMPRESSION, compression_level=LEVEL, use_dictionary=False,
            write_statistics=False, store_schema=True,
        ) as writer:  # fmt: skip
            for start in range(0, len(images), step):
                rows = images.select(np.arange(start, min(start + step, len(images))))
                writer.write_table(_table(rows, schema), row_group_size=step)
        sink.flush()
        os.fsync(sink.fileno())


def rows_per_group(picture: Sequence[int]) -> int:
    """Rows of (H, W) pixels that are held at once."""
    return max(1, GROUP_BYTES // (picture[0] * picture[1]))


def _table(images: ImageSet, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    columns = []
    for field in schema:
        column = getattr(images, field.name)
        pixels = field.name in _PIXELS
        values = [picture.tobytes() for picture in column[:]] if pixels else column.tolist()
        columns.append(pa.array(values, field.type))
    return pa.table(columns, schema=schema)


def seal(folder: Path, about: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Write ``dataset.json``, which makes the shards a dataset.

    Args:
        about: ``card``, ``classes``, ``height``, ``width``, ``columns``, and how it was built.
        records: the manifest of every shard, in order.
    """
    value = {
        **about,
        "format": FORMAT,
        "rows": sum(record["rows"] for record in records),
        "shards": list(records),
        "content": sha256_of([[r["rows"], r["sha256"]] for r in records]),
    }
    with told(folder):
        write_json(folder / DATASET, value)
    return value


def is_store(folder: Path) -> bool:
    """Whether a folder holds a finished dataset of shards."""
    return (folder / DATASET).is_file()


def describe(folder: Path) -> dict[str, Any]:
    """What ``dataset.json`` says.

    Raises:
        DataError: no finished dataset, of another format, or a shard is missing or has another size.
    """
    path = folder / DATASET
    if not path.is_file():
        raise DataError(
            str(folder),
            f"has no {DATASET}, so it is no finished dataset",
            "Build one with `data build --out`; an interrupted build goes on with the same command.",
        )
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = about["format"] == FORMAT
        sizes = {record["file"]: record["bytes"] for record in about["shards"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            str(path), f"cannot be read: {type(error).__name__}: {error}", "Build it again."
        ) from None
    if not known:
        raise DataError(
            f"{path}: format", f"is '{about['format']}', expected '{FORMAT}'", "Build the dataset again."
        )
    for name, size in sizes.items():
        shard = folder / name
        if Path(name).name != name or not shard.is_file():
            raise DataError(str(shard), "is listed but not there", "Copy it again, or build again.")
        if shard.stat().st_size != size:
            raise DataError(
                str(shard),
                f"has {shard.stat().st_size} bytes, expected {size}",
                "Copy it again, or build again.",
            )
    return about


class _Reader:
    """Reads one column of pixels from Parquet, a row group at a time; the last one is kept."""

    def __init__(self, paths: Sequence[Path], column: str, picture: tuple[int, int]) -> None:
        import pyarrow.parquet as pq

        self._column, self._picture = column, picture
        self._groups: list[tuple[Path, int]] = []
        rows = [0]
        for path in paths:
            footer = pq.read_metadata(path)
            for k in range(footer.num_row_groups):
                self._groups.append((path, k))
                rows.append(footer.row_group(k).num_rows)
        self._first = np.cumsum(rows)
        self._last: tuple[int, np.ndarray] = (-1, np.empty(0, np.uint8))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """The (M, H, W) uint8 pictures at (M,) rows of the whole set."""
        block = np.empty((len(rows), *self._picture), np.uint8)
        group = np.searchsorted(self._first, rows, side="right") - 1
        for k in np.unique(group).tolist():
            block[group == k] = self._read(k)[rows[group == k] - self._first[k]]
        return block

    def _read(self, k: int) -> np.ndarray:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._last[0] != k:
            path, group = self._groups[k]
            try:
                with pq.ParquetFile(path) as file:
                    table = file.read_row_group(group, columns=[self._column], use_threads=False)
                pictures = b"".join(table[self._column].to_pylist())
                shaped = np.frombuffer(pictures, np.uint8).reshape(table.num_rows, *self._picture)
            except (OSError, ValueError, TypeError, pa.ArrowException) as error:
                raise damaged(path, error) from None
            self._last = (k, shaped)
        return self._last[1]


def damaged(path: Path, error: Exception) -> DataError:
    """The error for a shard that cannot be read."""
    return DataError(str(path), f"cannot be read: {error}", "Copy it again, or remove it and build again.")


def read_shards(folder: Path) -> ImageSet:
    """The set as the shards have it: the table in memory, pixels read a row group at a time.

    Good for going through all of it in order; for anything else use ``open``.

    Raises:
        DataError: see ``describe``; or a shard is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    about = describe(folder)
    paths = [folder / record["file"] for record in about["shards"]]
    picture = (about["height"], about["width"])
    names = [name for name in about["columns"] if name not in _PIXELS]
    tables = []
    for path in paths:
        try:
            tables.append(pq.read_table(path, columns=names, use_threads=False, partitioning=None))
        except (OSError, pa.ArrowException) as error:
            raise damaged(path, error) from None
    table = pa.concat_tables(tables)
    columns: dict[str, Any] = {name: _column(table, name) for name in names}
    for name in _PIXELS:
        if name in about["columns"]:
            columns[name] = LazyImages(_Reader(paths, name, picture), (table.num_rows, *picture))
    return ImageSet(classes=tuple(about["classes"]), card=card_of(about), **columns)


def card_of(about: Mapping[str, Any]) -> dict[str, Any]:
    """The source's card, and from which dataset of shards the images come."""
    return {**about["card"], "store": {"content": about["content"], "rows": about["rows"]}}


def _column(table: pa.Table, name: str) -> np.ndarray:
    column = table[name].combine_chunks()
    if name in (*TABLES, "label"):
        if not hasattr(column, "flatten") or not hasattr(column.type, "value_type"):
            return np.asarray(column.to_numpy(), np.int64)
        flat = column.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat.reshape(len(column), -1))
    values = column.to_pylist()
    return np.array(values, dtype=object if None in values else None)


def open(folder: Path) -> ImageSet:
    """The set by memory map: ``image`` and ``mask`` stay on disk, the table is in memory.

    The first call makes ``images.arrow`` of the shards; later ones take it as it is.

    Raises:
        DataError: see ``read_shards``.
        StoreError: the Arrow file is not there yet and cannot be written.
    """
    about = describe(folder)
    if mapped_record(folder, about) is None:
        _make_mapped(folder, about)
    return replace(arrow.read_images(folder / MAPPED), card=card_of(about))


def mapped_record(folder: Path, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is recorded of ``images.arrow``, or None where it is not made of these shards."""
    try:
        record: dict[str, Any] = json.loads((folder / MAPPED).with_suffix(".json").read_text())
        same = record["content"] == about["content"]
        return record if same and (folder / MAPPED).stat().st_size == record["bytes"] else None
    except (OSError, ValueError, KeyError):
        return None


def _make_mapped(folder: Path, about: Mapping[str, Any]) -> None:
    from filelock import FileLock

    path = folder / MAPPED
    part = path.with_name(path.name + ".part")
    with told(folder), FileLock(folder / f".{MAPPED}.lock"):
        if mapped_record(folder, about) is not None:
            return  # another process was quicker
        try:
            arrow.write_images(part, replace(read_shards(folder), card={}))
            record = {
                "content": about["content"],
                "bytes": part.stat().st_size,
                "sha256": sha256_file(part),
            }
            part.replace(path)
            write_json(path.with_suffix(".json"), record)
        finally:
            part.unlink(missing_ok=True)
