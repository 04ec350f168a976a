"""Shared parts of the phantom sources: checks, fingerprints, data cards, images drawn on demand."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from benchmark.errors import unknown_name
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import LazyImages
from benchmark.phantoms.canvas.fields import check_size
from benchmark.phantoms.radiograph.thorax import Radiograph
from benchmark.utils.hashing import canonical_json

LICENSE = "Apache-2.0"


@dataclass(frozen=True, eq=False)
class Phantom:
    """One image with its ground truth.

    Attributes:
        image: (S, S) uint8.
        mask: (S, S) uint8, 255 inside the finding, all 0 when healthy.
        site: site or scanner; sex: ``male`` or ``female``; age in years.
        view: ``AP`` or ``PA`` of a radiograph.
    """

    image: np.ndarray
    mask: np.ndarray
    site: str
    sex: str
    age: int
    prompt: str
    view: str = ""


def check_request(names: Sequence[str], known: Sequence[str], size: int, source: str) -> None:
    """Raise a BenchmarkError for a class that the source lacks, or a size that cannot be drawn."""
    check_size(size, source)
    for name in names:
        if name not in known:
            raise unknown_name("class", name, list(known), source)


def fingerprint(source: str, version: str | list[str], params: BaseModel) -> str:
    """Hash of everything that decides the pixels: versions of cohort and simulator, and parameters."""
    content = {"source": source, "version": version, "params": params.model_dump()}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def data_card(source: str, version: str, seed: int, **more: Any) -> dict[str, Any]:
    """The ``card`` of an image set, which names the page in ``docs/data_cards``."""
    see = f"docs/data_cards/{source.replace('.', '_')}.md"
    return {"source": source, "version": version, "seed": seed, "license": LICENSE, "see": see, **more}


def draw_on_demand(
    draw: Callable[[int], Phantom | Radiograph], count: int, size: int
) -> tuple[LazyImages, LazyImages]:  # fmt: skip
    """Images and masks that are drawn when they are read."""

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        drawn = draw(index)
        return drawn.image, drawn.mask

    return LazyImages.pair(read, count, size)


def image_set(
    parts: Mapping[str, Sequence[Any]], draw: Callable[[Any], Phantom], size: int, *,
    classes: tuple[str, ...], prompts: Mapping[str, str], card: dict[str, Any], **columns: Sequence[Any],
) -> ImageSet:  # fmt: skip
    """Single-label image set whose records are drawn on demand.

    Args:
        parts: records by split; a record has a ``finding``, the name of its class.
        prompts: sentence of each class.
        columns: other columns of the image set, one entry per record.
    """
    records = [record for part in parts.values() for record in part]
    image, mask = draw_on_demand(lambda index: draw(records[index]), len(records), size)
    return ImageSet(
        image=image,
        mask=mask,
        label=np.array([classes.index(r.finding) for r in records], dtype=np.int64),
        classes=classes,
        prompt=np.array([prompts[r.finding] for r in records], dtype=str),
        origin=np.full(len(records), f"real:{card['source']}"),
        license=np.full(len(records), LICENSE),
        split=np.array([name for name, part in parts.items() for _ in part], dtype=str),
        card=card,
        **{name: np.array(values) for name, values in columns.items()},
    )
