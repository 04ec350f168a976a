"""ImageSets on disk: an Arrow stream that the ``datasets`` library opens and that is read by memory map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.errors import DataError
from benchmark.images.image_set import PER_IMAGE, TABLES, ImageSet, Learning, Splits
from benchmark.images.lazy import LazyImages

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_BYTES = 2**28
_SHAPE = b"synththorax"
_TYPES = {"U": "string", "i": "int64", "f": "float64"}  # of columns that may be empty in one batch


def write_images(path: Path, images: ImageSet) -> None:
    """Write a set in batches of ``BATCH_BYTES``, so that unread images never fill the memory."""
    import pyarrow as pa

    n, h, w = images.image.shape
    about = {"classes": list(images.classes), "height": h, "width": w, "card": dict(images.card)}
    step = max(1, BATCH_BYTES // (h * w * (1 if images.mask is None else 2)))
    batch = _batch(images.select(np.arange(min(step, n))))
    schema = batch.schema.with_metadata({_SHAPE: json.dumps(about, sort_keys=True).encode()})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for start in range(0, n, step):
            if start:
                batch = _batch(images.select(np.arange(start, min(start + step, n))))
            writer.write_batch(batch.cast(schema) if batch.schema != schema else batch)


def _batch(images: ImageSet) -> pa.RecordBatch:
    import pyarrow as pa

    def flat(array: Any) -> pa.Array:
        """Rows of numbers of one length each."""
        whole = np.ascontiguousarray(array)
        return pa.FixedSizeListArray.from_arrays(pa.array(whole.reshape(-1)), int(np.prod(whole.shape[1:])))

    columns: dict[str, pa.Array] = {
        "image": flat(images.image),
        "label": flat(images.label) if images.multilabel else pa.array(images.label, pa.int64()),
    }
    for name in (*TABLES, "mask"):
        if getattr(images, name) is not None:
            columns[name] = flat(getattr(images, name))
    for name in PER_IMAGE:
        column = getattr(images, name)
        if column is not None:
            columns[name] = pa.array(column.tolist(), _TYPES.get(column.dtype.kind))
    return pa.RecordBatch.from_pydict(columns)


def read_images(path: Path) -> ImageSet:
    """Read a set; ``image`` and ``mask`` are views of the memory-mapped file.

    Raises:
        DataError: missing, or not written by ``write_images``.
    """
    import pyarrow as pa

    try:
        source = pa.memory_map(str(path), "r")
        table = pa.ipc.open_stream(source).read_all()
        about: dict[str, Any] = json.loads((table.schema.metadata or {})[_SHAPE])
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise DataError(str(path), f"is not an image set: {error}", "Remove it; it is made again.") from None
    picture = (about["height"], about["width"])

    def parts(name: str, shape: tuple[int, ...]) -> list[np.ndarray]:
        chunks = table[name].chunks
        return [c.flatten().to_numpy(zero_copy_only=True).reshape(len(c), *shape) for c in chunks]

    def pixels(name: str) -> np.ndarray | LazyImages | None:
        if name not in table.column_names:
            return None
        found = parts(name, picture) or [np.zeros((0, *picture), np.uint8)]
        return found[0] if len(found) == 1 else LazyImages.joined(found)

    def numbers(name: str) -> np.ndarray | None:
        if name not in table.column_names:
            return None
        kind = table.schema.field(name).type
        if not hasattr(kind, "list_size"):
            return table[name].to_numpy().astype(np.int64)
        found = parts(name, (kind.list_size,))
        return (
            np.concatenate(found)
            if found
            else np.zeros((0, kind.list_size), kind.value_type.to_pandas_dtype())
        )

    def column(name: str) -> np.ndarray | None:
        if name not in table.column_names:
            return None
        values = table[name].to_pylist()
        return np.array(values) if None not in values else np.array(values, dtype=object)

    return ImageSet(
        image=pixels("image"),
        label=numbers("label"),  # type: ignore[arg-type]
        classes=tuple(about["classes"]),
        mask=pixels("mask"),
        card=about["card"],
        **{name: column(name) for name in PER_IMAGE},  # type: ignore[arg-type]
        **{name: numbers(name) for name in TABLES},  # type: ignore[arg-type]
    )


def write_splits(folder: Path, splits: Splits) -> None:
    """One Arrow file per split, and the notes."""
    for name, images in splits.named().items():
        write_images(folder / f"{name}.arrow", images)
    (folder / "notes.json").write_text(json.dumps(list(splits.notes), indent=1) + "\n", encoding="utf-8")


def read_splits(folder: Path) -> Splits:
    """The splits that ``write_splits`` wrote."""
    more = sorted(folder.glob("test_*.arrow"))
    return Splits(
        **{name: read_images(folder / f"{name}.arrow") for name in ("train", "val", "test", "reserve")},
        more_tests={path.stem: read_images(path) for path in more},
        notes=tuple(json.loads((folder / "notes.json").read_text(encoding="utf-8"))),
    )


def read_learning(folder: Path, *, reserve: bool) -> Learning:
    """What a generator may see: ``train`` and ``val``, and ``reserve`` for the control ``oracle`` alone."""
    return Learning(
        train=read_images(folder / "train.arrow"),
        val=read_images(folder / "val.arrow"),
        reserve=read_images(folder / "reserve.arrow") if reserve else None,
    )
