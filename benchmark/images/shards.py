"""Built datasets of any size: Parquet shards, and one Arrow file made of them for the memory map.

A folder contains ``part-00000-of-00098.parquet`` and so on, a manifest of each, and ``dataset.json``, which
is written last, describes the set and has the hash of every shard. ``images.arrow`` is made of the shards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.errors import DataError
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import LazyImages
from benchmark.utils.files import atomic_path, disk_errors, write_json
from benchmark.utils.hashing import sha256_file, sha256_of

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "synththorax-images/2"  # raw pixels
PICTURES = "synththorax-pictures/1"  # PNG, which the ``datasets`` library shows as images
DATASET = "dataset.json"
MAPPED = "images.arrow"
GROUP_BYTES = 2**24  # of pixels in a row group, which a writer or reader holds at once
COMPRESSION, LEVEL = "zstd", 1  # fastest to read: perf/build_store.py --compressions


def build_errors(path: Path) -> AbstractContextManager[None]:
    """Turn an ``OSError`` of a build into a StoreError with a remedy."""
    remedy = "Free some space, or build on another disk; the same command resumes where it stopped."
    return disk_errors(path, free_space=remedy)


def part_name(index: int, count: int, part: str = "part") -> str:
    """Return the file name of a shard."""
    return f"{part}-{index:05d}-of-{count:05d}.parquet"


def schema_of(images: ImageSet, format: str = FORMAT) -> pa.Schema:
    """Return the columns of a set: pixels as raw bytes or as PNG, the others as in the Arrow file."""
    from datasets import Image, Value

    height, width = images.image.shape[1:]
    about = {"format": format, "height": height, "width": width, "classes": images.classes}
    return arrow.schema_of(arrow.features_of(images, Value("binary") if format == FORMAT else Image()), about)


def write_shard(path: Path, images: ImageSet, schema: pa.Schema) -> dict[str, Any]:
    """Write one shard atomically, and its manifest beside it.

    Args:
        path: of the Parquet file; the manifest gets the suffix ``.json``.
        images: of the shard, read some at a time.
        schema: of the whole set, see ``schema_of``.
    Returns:
        The manifest: file, rows, bytes, sha256.
    Raises:
        StoreError: the disk is full or read-only; nothing partial is left.
    """
    with build_errors(path.parent):
        with atomic_path(path) as part:
            _write_parquet(part, images, schema)
        record = {"file": path.name, "rows": len(images), **_size_and_hash(path)}
        write_json(path.with_suffix(".json"), record)
    return record


def _size_and_hash(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def _write_parquet(path: Path, images: ImageSet, schema: pa.Schema) -> None:
    import pyarrow.parquet as pq

    step = images_per_group(images.image.shape[1:])
    with pq.ParquetWriter(
        path, schema, compression=COMPRESSION, compression_level=LEVEL, use_dictionary=False,
        write_statistics=False, store_schema=True,
    ) as writer:  # fmt: skip
        for start in range(0, len(images), step):
            group = images.select(np.arange(start, min(start + step, len(images))))
            writer.write_table(arrow.table_of(group, schema), row_group_size=step)


def images_per_group(shape: Sequence[int]) -> int:
    """Return the number of (H, W) images that are held at once."""
    return max(1, GROUP_BYTES // (shape[0] * shape[1]))


def seal(folder: Path, about: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Write ``dataset.json``, which makes the shards a dataset.

    Args:
        about: ``card``, ``classes``, ``height``, ``width``, ``columns``, the configuration of the build, and
            ``format`` unless the pixels are raw.
        records: the manifest of every shard, in order.
    """
    value = {
        "format": FORMAT,
        **about,
        "rows": sum(record["rows"] for record in records),
        "shards": list(records),
        "content": sha256_of([[r["rows"], r["sha256"]] for r in records]),
    }
    with build_errors(folder):
        write_json(folder / DATASET, value)
    return value


def is_store(folder: Path) -> bool:
    """Return whether a folder contains a finished dataset of shards."""
    return (folder / DATASET).is_file()


def describe(folder: Path) -> dict[str, Any]:
    """Read and check ``dataset.json``.

    Raises:
        DataError: not a finished dataset, of another format, or a shard is missing or has another size.
    """
    path = folder / DATASET
    if not path.is_file():
        remedy = "Build one with `data build --out`; the same command resumes an interrupted build."
        raise DataError(str(folder), f"has no {DATASET}, so it is not a finished dataset", remedy)
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = about["format"] in (FORMAT, PICTURES)
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
            raise DataError(str(shard), "is listed but missing", "Copy it again, or build again.")
        if shard.stat().st_size != size:
            problem = f"has {shard.stat().st_size} bytes, expected {size}"
            raise DataError(str(shard), problem, "Copy it again, or build again.")
    return about


def _lazy_pixels(paths: Sequence[Path], column: str, shape: tuple[int, int]) -> LazyImages:
    """Return a column of (H, W) pixels, read a row group at a time; the last group stays in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    @lru_cache(maxsize=1)
    def read(path: Path, group: int) -> np.ndarray:
        try:
            with pq.ParquetFile(path) as file:
                table = file.read_row_group(group, columns=[column], use_threads=False)
            cells = table[column].to_pylist()
            pixels = b"".join(cells if isinstance(cells[0], bytes) else map(_decoded, cells))
            return np.frombuffer(pixels, np.uint8).reshape(table.num_rows, *shape)
        except (OSError, ValueError, TypeError, pa.ArrowException) as error:
            raise damaged(path, error) from None

    def group_of(path: Path, group: int, count: int) -> LazyImages:
        return LazyImages(lambda indices: read(path, group)[indices], (count, *shape))

    footers = [(path, pq.read_metadata(path)) for path in paths]
    return LazyImages.joined(
        [
            group_of(path, k, footer.row_group(k).num_rows)
            for path, footer in footers
            for k in range(footer.num_row_groups)
        ]
    )


def _decoded(cell: Mapping[str, Any]) -> bytes:
    """Return the pixels of a PNG."""
    from PIL import Image

    with Image.open(BytesIO(cell["bytes"]), formats=("PNG",)) as opened:
        return np.asarray(opened, np.uint8).tobytes()


def damaged(path: Path, error: Exception) -> DataError:
    """Return the error for a shard that cannot be read."""
    return DataError(str(path), f"cannot be read: {error}", "Copy it again, or remove it and build again.")


def read_shards(folder: Path) -> ImageSet:
    """Read the shards: the table into memory, pixels lazily, a row group at a time.

    Good for reading all images in order; otherwise use ``open``.

    Raises:
        DataError: see ``describe``; or a shard is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    about = describe(folder)
    paths = [folder / record["file"] for record in about["shards"]]
    names = [name for name in about["columns"] if name not in arrow.PIXELS]
    tables = []
    for path in paths:
        try:
            tables.append(pq.read_table(path, columns=names, use_threads=False, partitioning=None))
        except (OSError, pa.ArrowException) as error:
            raise damaged(path, error) from None
    table, shape = pa.concat_tables(tables), (about["height"], about["width"])
    pixels: dict[str, Any] = {
        name: _lazy_pixels(paths, name, shape) for name in arrow.PIXELS if name in about["columns"]
    }
    columns = arrow.columns_of(table, about["classes"])
    return ImageSet(classes=tuple(about["classes"]), card=card_of(about), **pixels, **columns)


def card_of(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the source's card, with the identity of the dataset of shards."""
    return {**about["card"], "store": {"content": about["content"], "rows": about["rows"]}}


def open(folder: Path) -> ImageSet:
    """Open the set by memory map: ``image`` and ``mask`` stay on disk, the table is in memory.

    The first call makes ``images.arrow`` of the shards; later calls use it.

    Raises:
        DataError: see ``read_shards``.
        StoreError: the Arrow file does not exist yet and cannot be written.
    """
    about = describe(folder)
    if mapped_record(folder, about) is None:
        _make_mapped(folder, about)
    return replace(arrow.read_images(folder / MAPPED), card=card_of(about))


def mapped_record(folder: Path, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the manifest of ``images.arrow``, or None unless it was made of these shards."""
    try:
        record: dict[str, Any] = json.loads((folder / MAPPED).with_suffix(".json").read_text())
        same = record["content"] == about["content"]
        return record if same and (folder / MAPPED).stat().st_size == record["bytes"] else None
    except (OSError, ValueError, KeyError):
        return None


def _make_mapped(folder: Path, about: Mapping[str, Any]) -> None:
    from filelock import FileLock

    path = folder / MAPPED
    with build_errors(folder), FileLock(folder / f".{MAPPED}.lock"):
        if mapped_record(folder, about) is not None:
            return  # another process was faster
        with atomic_path(path) as part:
            arrow.write_images(part, replace(read_shards(folder), card={}))
        write_json(path.with_suffix(".json"), {"content": about["content"], **_size_and_hash(path)})
