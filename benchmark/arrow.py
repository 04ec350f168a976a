"""ImageSets on disk: an Arrow stream that the ``datasets`` library opens and that is read by memory map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import DataError
from benchmark.records import PER_IMAGE, ImageSet, Learning, Splits

_SHAPE = b"synththorax"


def write_images(path: Path, images: ImageSet) -> None:
    """Write a set as one record batch, so that its pixels read back without a copy."""
    import pyarrow as pa

    n, h, w = images.image.shape

    def pixels(array: np.ndarray) -> pa.Array:
        flat = pa.array(np.ascontiguousarray(array).reshape(-1), pa.uint8())
        return pa.FixedSizeListArray.from_arrays(flat, h * w)

    columns: dict[str, pa.Array] = {
        "image": pixels(images.image),
        "label": pa.array(images.label, pa.int64()),
    }
    for name in PER_IMAGE:
        column = getattr(images, name)
        if column is not None:
            columns[name] = pa.array(column.tolist())
    if images.mask is not None:
        columns["mask"] = pixels(images.mask)
    about = {"classes": list(images.classes), "height": h, "width": w, "card": dict(images.card)}
    batch = pa.RecordBatch.from_pydict(columns)
    batch = batch.replace_schema_metadata({_SHAPE: json.dumps(about, sort_keys=True).encode()})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, batch.schema) as writer:
        if n:
            writer.write_batch(batch)


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
    shape = (table.num_rows, about["height"], about["width"])

    def pixels(name: str) -> np.ndarray:
        chunks = table[name].chunks
        flat = chunks[0].flatten().to_numpy(zero_copy_only=True) if chunks else np.zeros(0, np.uint8)
        return flat.reshape(shape)

    def column(name: str) -> np.ndarray | None:
        if name not in table.column_names:
            return None
        values = table[name].to_pylist()
        return np.array(values) if None not in values else np.array(values, dtype=object)

    return ImageSet(
        image=pixels("image"),
        label=table["label"].to_numpy().astype(np.int64),
        classes=tuple(about["classes"]),
        mask=pixels("mask") if "mask" in table.column_names else None,
        card=about["card"],
        **{name: column(name) for name in PER_IMAGE},  # type: ignore[arg-type]
    )


def write_splits(folder: Path, splits: Splits) -> None:
    """One Arrow file per split, and the notes."""
    for name, images in splits.named().items():
        write_images(folder / f"{name}.arrow", images)
    (folder / "notes.json").write_text(json.dumps(list(splits.notes), indent=1) + "\n", encoding="utf-8")


def read_splits(folder: Path) -> Splits:
    """The splits that ``write_splits`` wrote."""
    paper = folder / "test_paper.arrow"
    return Splits(
        **{name: read_images(folder / f"{name}.arrow") for name in ("train", "val", "test", "reserve")},
        test_paper=read_images(paper) if paper.exists() else None,
        notes=tuple(json.loads((folder / "notes.json").read_text(encoding="utf-8"))),
    )


def read_learning(folder: Path, *, reserve: bool) -> Learning:
    """What a generator may see: ``train`` and ``val``, and ``reserve`` for the control ``oracle`` alone."""
    return Learning(
        train=read_images(folder / "train.arrow"),
        val=read_images(folder / "val.arrow"),
        reserve=read_images(folder / "reserve.arrow") if reserve else None,
    )
