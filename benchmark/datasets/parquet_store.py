"""A folder that ``data build`` made, as a source of tasks: patients, splits and labels as they were built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from benchmark.errors import DataError, unknown_name
from benchmark.images import shards
from benchmark.images.image_set import ImageSet

version = "1"


class Params(BaseModel, extra="forbid", frozen=True):
    """Where the built folder lies.

    Attributes:
        root: folder with ``dataset.json`` and the shards.
    """

    root: Path


def fingerprint(params: Params) -> str:
    """Hash of the hashes of all shards, as recorded when they were built; ``data verify`` compares them.

    Raises:
        DataError: no finished dataset, or a shard is missing or has another size.
    """
    return str(shards.describe(params.root)["content"])


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """The images by memory map.

    Args:
        classes: of the task; images of other classes are left out with a note, unless the dataset names
            several findings per image, which are handed over as they are.
        image_size: must be the size that was built.
    Raises:
        DataError: not a built folder, or of another size.
        UnknownNameError: a class that the dataset does not have.
    """
    stored = shards.open(params.root)
    if stored.image.shape[1:] != (image_size, image_size):
        height, width = stored.image.shape[1:]
        raise DataError(
            f"{params.root}",
            f"holds images of {width} x {height} pixels, the task asks for {image_size}",
            f"Build another one with --size {image_size}.",
        )
    return stored if stored.multilabel else of_classes(stored, classes)


def of_classes(images: ImageSet, classes: tuple[str, ...]) -> ImageSet:
    """The images of these classes, labels in the order of these; the card notes how many are left out."""
    for name in classes:
        if name not in images.classes:
            raise unknown_name("class", name, list(images.classes), "source parquet_store")
    if classes == images.classes:
        return images
    number = np.array([classes.index(name) if name in classes else -1 for name in images.classes])
    kept = images.select(np.flatnonzero(number[images.label] >= 0))
    counts = {name: n for name, n in images.counts().items() if name not in classes and n}
    left = [f"images of other classes left out: {', '.join(f'{k} {n}' for k, n in counts.items())}"]
    notes = [*images.card.get("notes", ()), *(left if counts else [])]
    return replace(kept, label=number[kept.label], classes=classes, card={**images.card, "notes": notes})
