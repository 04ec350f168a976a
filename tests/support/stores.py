"""Image sets with every column, and their stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.images import shards
from benchmark.images.image_set import ImageSet


def full_set(n: int = 20, *, multilabel: bool = False, size: int = 6) -> ImageSet:
    """Return a set with every column."""
    rng = np.random.default_rng(3)
    text = np.array([f"ä{i}" for i in range(n)])
    return ImageSet(
        image=rng.integers(0, 256, (n, size, size), np.uint8),
        label=rng.integers(0, 2, (n, 2)).astype(np.uint8) if multilabel else rng.integers(0, 2, n),
        classes=("a", "b"),
        image_id=text,
        patient_id=text,
        origin=np.full(n, "real:x"),
        site=text,
        view=text,
        age=np.where(rng.random(n) < 0.5, np.nan, 40.5),
        sex=text,
        prompt=text,
        license=text,
        clip=text,
        split=np.full(n, "train"),
        reported_labels=rng.integers(-2, 2, (n, 2)).astype(np.int8),
        soft=rng.random((n, 2), np.float32),
        mask=rng.integers(0, 2, (n, size, size)).astype(np.uint8) * 255,
        box=np.where(rng.random((n, 4)) < 0.5, np.nan, 1.5).astype(np.float32),
        card={"name": "all columns"},
    )


def store(folder: Path, images: ImageSet, shard: int = 7) -> Path:
    """Write a set as a store, without workers."""
    schema, parts = shards.schema_of(images), range(0, len(images), shard)
    records = [
        shards.write_shard(
            folder / shards.part_name(k, len(parts)),
            images.select(np.arange(start, min(start + shard, len(images)))),
            schema,
        )
        for k, start in enumerate(parts)
    ]
    height, width = images.image.shape[1:]
    about = {"classes": images.classes, "columns": schema.names, "height": height, "width": width}
    shards.seal(folder, {**about, "card": dict(images.card)}, records)
    return folder
