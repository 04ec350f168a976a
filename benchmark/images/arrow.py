"""Image sets on disk: Arrow streams that the ``datasets`` library opens, read by memory map."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet, Learning, Splits
from benchmark.images.lazy import LazyImages
from benchmark.utils.files import write_json

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features

BATCH_BYTES = 2**28
PIXELS = ("image", "mask")
DESCRIPTION = "synththorax"  # key of the schema's metadata, beside the features of ``datasets``
_TYPES = {"U": "string", "i": "int64", "f": "float64"}


def features_of(images: ImageSet, pixels: Any = None) -> Features:
    """Return the columns of a set as features of ``datasets``: image shapes, class names, types.

    Args:
        pixels: feature of an image or mask; by default ``Array2D``. With ``Image`` several labels are a list
            of their names, as the Hub shows them.
    """
    from datasets import Array2D, ClassLabel, Features, Image, List, Value

    def feature(name: str, column: Any) -> Any:
        if name in PIXELS:
            return pixels or Array2D(shape=column.shape[1:], dtype="uint8")
        if name == "label" and images.multilabel and isinstance(pixels, Image):
            return List(ClassLabel(names=list(images.classes)))
        if column.ndim == 2:
            return List(Value(column.dtype.name), length=column.shape[1])
        return ClassLabel(names=list(images.classes)) if name == "label" else Value(_type_of(column))

    return Features({name: feature(name, column) for name, column in images.columns().items()})


def _type_of(column: np.ndarray) -> str:
    """Return the type of all of a column's values, so that every batch has the same."""
    if column.dtype.kind in _TYPES:
        return _TYPES[column.dtype.kind]
    known = [value for value in column.tolist() if value is not None]
    return "float64" if known and not isinstance(known[0], str) else "string"


def schema_of(features: Features, about: Mapping[str, Any]) -> pa.Schema:
    """Return the Arrow schema of features, with a description (JSON values) in its metadata."""
    schema = features.arrow_schema
    description = json.dumps(dict(about), sort_keys=True).encode()
    return schema.with_metadata({**(schema.metadata or {}), DESCRIPTION.encode(): description})


def table_of(images: ImageSet, schema: pa.Schema) -> pa.Table:
    """Read a set into an Arrow table."""
    import pyarrow as pa

    def array(column: Any, kind: pa.DataType) -> pa.Array:
        if kind == pa.binary():
            return pa.array([pixels.tobytes() for pixels in column[:]], kind)
        if pa.types.is_struct(kind):
            return pa.array([{"bytes": _png(pixels), "path": None} for pixels in column[:]], kind)
        if column.ndim == 3:
            return pa.ExtensionArray.from_storage(kind, _nested(column[:]))
        if pa.types.is_list(kind):
            return pa.array([np.flatnonzero(present).tolist() for present in column], kind)
        if column.ndim == 2:
            return pa.FixedSizeListArray.from_arrays(np.ascontiguousarray(column).ravel(), column.shape[1])
        return pa.array(column.tolist(), kind)

    arrays = [array(column, schema.field(name).type) for name, column in images.columns().items()]
    return pa.table(arrays, schema=schema)


def _png(pixels: np.ndarray) -> bytes:
    """Return (H, W) pixels as a PNG, which keeps every gray value."""
    from PIL import Image

    sink = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(sink, "PNG")
    return sink.getvalue()


def _nested(block: np.ndarray) -> pa.ListArray:
    """Return (M, H, W) as lists of lists, without a copy of the pixels."""
    import pyarrow as pa

    values = pa.array(np.ascontiguousarray(block).reshape(-1))
    for length in block.shape[:0:-1]:
        values = pa.ListArray.from_arrays(np.arange(0, len(values) + 1, length, dtype=np.int32), values)
    return values


def columns_of(table: pa.Table, classes: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Return all columns but the pixels as arrays in memory; labels in lists need the classes."""
    import pyarrow as pa

    columns: dict[str, np.ndarray] = {}
    for name in table.column_names:
        column, kind = table[name].combine_chunks(), table.schema.field(name).type
        if hasattr(kind, "list_size"):
            columns[name] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, kind.list_size)
        elif name == "label" and pa.types.is_list(kind):
            columns[name] = _indicators(column, len(classes))
        elif name == "label":
            columns[name] = np.asarray(column.to_numpy(zero_copy_only=False), np.int64)
        elif name not in PIXELS:
            values = column.to_pylist()
            columns[name] = np.array(values, dtype=object if None in values else None)
    return columns


def _indicators(column: pa.ListArray, count: int) -> np.ndarray:
    """Return (N, K) uint8, 1 for every index of a row's list."""
    label = np.zeros((len(column), count), np.uint8)
    for row, present in enumerate(column.to_pylist()):
        label[row, present] = 1
    return label


def write_images(path: Path, images: ImageSet) -> None:
    """Write a set in batches of ``BATCH_BYTES``, so that lazy images never fill the memory."""
    import pyarrow as pa

    height, width = images.image.shape[1:]
    about = {"classes": images.classes, "height": height, "width": width, "card": dict(images.card)}
    schema = schema_of(features_of(images), about)
    step = max(1, BATCH_BYTES // (height * width * (1 if images.mask is None else 2)))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for start in range(0, max(1, len(images)), step):
            indices = np.arange(start, min(start + step, len(images)))
            batch = images if len(indices) == len(images) else images.select(indices)
            writer.write_table(table_of(batch, schema))


def read_images(path: Path) -> ImageSet:
    """Read a set; ``image`` and ``mask`` are views of the memory-mapped file.

    Raises:
        DataError: missing, or not written by ``write_images``.
    """
    import pyarrow as pa
    from datasets.table import MemoryMappedTable

    try:
        table = MemoryMappedTable.from_file(str(path)).table
        about: dict[str, Any] = json.loads((table.schema.metadata or {})[DESCRIPTION.encode()])
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise DataError(str(path), f"is not an image set: {error}", "Remove it; it is made again.") from None

    def pixels(name: str) -> np.ndarray | LazyImages:
        chunks = [chunk.to_numpy(zero_copy_only=True) for chunk in table[name].chunks if len(chunk)]
        if not chunks:
            return np.zeros((0, about["height"], about["width"]), np.uint8)
        return chunks[0] if len(chunks) == 1 else LazyImages.joined(chunks)

    columns: dict[str, Any] = {name: pixels(name) for name in PIXELS if name in table.column_names}
    return ImageSet(classes=tuple(about["classes"]), card=about["card"], **columns, **columns_of(table))


def write_splits(folder: Path, splits: Splits) -> None:
    """Write one Arrow file per split, and the notes."""
    for name, images in splits.named().items():
        write_images(folder / f"{name}.arrow", images)
    write_json(folder / "notes.json", list(splits.notes))


def read_splits(folder: Path) -> Splits:
    """Read the splits that ``write_splits`` wrote."""
    more = sorted(folder.glob("test_*.arrow"))
    return Splits(
        **{name: read_images(folder / f"{name}.arrow") for name in ("train", "val", "test", "reserve")},
        more_tests={path.stem: read_images(path) for path in more},
        notes=tuple(json.loads((folder / "notes.json").read_text(encoding="utf-8"))),
    )


def read_learning(folder: Path, *, reserve: bool) -> Learning:
    """Read the data that a fit may read: ``train``, ``val``, and ``reserve`` for the control ``oracle``."""
    return Learning(
        train=read_images(folder / "train.arrow"),
        val=read_images(folder / "val.arrow"),
        reserve=read_images(folder / "reserve.arrow") if reserve else None,
    )
