"""A folder written by ``data build`` as a source: patients, splits and labels stay as they were built."""

from pathlib import Path

from pydantic import BaseModel

from benchmark.datasets._readers.listing import check_classes
from benchmark.errors import DataError
from benchmark.images import shards
from benchmark.images.image_set import ImageSet
from benchmark.plugins.source import CONDITIONS

version = "1"
conditions = CONDITIONS  # those of the source that it was built from


class Params(BaseModel, extra="forbid", frozen=True):
    """Location of the built folder.

    Attributes:
        root: folder with ``dataset.json`` and the shards.
    """

    root: Path


def fingerprint(params: Params) -> str:
    """Return the hash of the hashes of all shards, recorded by the build; ``data verify`` compares them.

    Raises:
        DataError: not a finished dataset, or a shard is missing or has another size.
    """
    return str(shards.describe(params.root)["content"])


def conditions_of(params: Params) -> frozenset[str]:
    """Return the columns of the built dataset that are conditions.

    Raises:
        DataError: as ``fingerprint``.
    """
    return conditions & set(shards.describe(params.root)["columns"])


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """Read the images by memory map.

    Args:
        classes: of the task; images of other classes are left out with a note. A multi-label dataset is
            returned as it is.
        image_size: must be the size of the build.
    Raises:
        DataError: not a built folder, or of another size.
        UnknownNameError: a class that the dataset does not have.
    """
    stored = shards.open(params.root)
    if stored.image.shape[1:] != (image_size, image_size):
        height, width = stored.image.shape[1:]
        problem = f"contains images of {width} x {height} pixels, the task requests {image_size}"
        raise DataError(f"{params.root}", problem, f"Build another one with --size {image_size}.")
    return stored if stored.multilabel else of_classes(stored, classes)


def of_classes(images: ImageSet, classes: tuple[str, ...]) -> ImageSet:
    """Return the images of these classes, in this order of classes; the card notes the others."""
    check_classes(classes, images.classes, "parquet_store")
    if classes == images.classes:
        return images
    counts = {name: n for name, n in images.counts().items() if name not in classes and n}
    left = f"images of other classes left out: {', '.join(f'{k} {n}' for k, n in counts.items())}"
    chosen = images.restrict([images.classes.index(name) for name in classes])
    return chosen.noted(*([left] if counts else []))
