"""Synthetic images that were made elsewhere: read safely, and kept in the store under a hash of them."""

from __future__ import annotations

import os
import shutil
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.errors import DataError, SubmissionError
from benchmark.images import arrow, duplicates
from benchmark.images.decoding import Fit, decode_bytes, to_square
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import LazyImages, join
from benchmark.intake import folder, table
from benchmark.intake.sample import Sample
from benchmark.utils.hashing import sha256_of

FORMATS = ("PNG", "JPEG")
SHOWN = 5  # examples in an error
LOOKED_AT = 5000  # training images
KEPT = "submissions"  # folder of the store


@dataclass(frozen=True)
class Kept:
    """Samples in the store.

    Attributes:
        content: SHA-256 of what they are, which names them.
        folds: the images for each fold, by memory map.
    """

    content: str
    folds: tuple[ImageSet, ...]

    def __len__(self) -> int:
        return sum(map(len, self.folds))


def listed(source: Path, classes: Sequence[str], folds: int, *, multilabel: bool) -> list[Sample]:
    """The samples of a folder or of a Parquet file; nothing is decoded yet.

    Raises:
        SubmissionError: see ``folder.listed`` and ``table.listed``.
    """
    if source.suffix.lower() == ".parquet":
        return table.listed(source, classes, folds, multilabel=multilabel)
    return folder.listed(source, classes, folds)


def chosen(
    samples: Sequence[Sample], wanted: Sequence[Mapping[str, int]], classes: Sequence[str]
) -> tuple[list[Sample], list[str]]:
    """The first samples of every class and fold, as many as the task's largest bracket adds.

    Args:
        wanted: for every fold, images by class.
    Returns:
        The samples, and a note on what is left over.
    Raises:
        SubmissionError: a class has fewer than it needs; names it, what there is and what is needed.
    """
    have = Counter((s.fold, s.label) for s in samples)
    short = [
        f"{f'fold {fold}: ' if len(wanted) > 1 else ''}'{name}' has {have[fold, k]}, needs {counts[name]}"
        for fold, counts in enumerate(wanted)
        for k, name in enumerate(classes)
        if have[fold, k] < counts.get(name, 0)
    ]
    if short:
        more = f"; and {len(short) - SHOWN} more" if len(short) > SHOWN else ""
        raise SubmissionError(
            "samples",
            f"too few images for the largest bracket: class {'; '.join(short[:SHOWN])}{more}",
            "Draw more; none is used twice.",
        )
    left, used = {key: wanted[key[0]].get(classes[key[1]], 0) for key in have}, []
    for sample in samples:
        if left[sample.fold, sample.label]:
            left[sample.fold, sample.label] -= 1
            used.append(sample)
    over = len(samples) - len(used)
    notes = [f"{over} of {len(samples)} images left out as not needed, the last of each class"]
    return used, notes if over else []


def keep(
    samples: Sequence[Sample],
    classes: Sequence[str],
    *,
    folds: int,
    size: int,
    fit: Fit = "stretch",
    store: Path,
) -> Kept:
    """Decode samples and keep them in the store; the same pictures are the same content, whoever saved them.

    Args:
        size: side in pixels to which every picture is brought, by ``fit``, as the task's real images are.
        store: folder of the store.
    Raises:
        SubmissionError: a picture that is no PNG or JPEG by its first bytes, corrupt, too large, or of one
            gray value throughout.
    """
    part = store / KEPT / f".{uuid.uuid4().hex}"
    part.mkdir(parents=True)
    try:
        for fold in range(folds):
            images = _as_images([s for s in samples if s.fold == fold], classes, size, fit)
            arrow.write_images(part / f"fold_{fold}.arrow", images)
        sets = _read(part)
        content, final = _content(sets), store / KEPT / _content(sets)
        if not (final.is_dir() and _content(_read(final)) == content):
            shutil.rmtree(final, ignore_errors=True)
            os.replace(part, final)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Kept(content, _read(final))


def kept(content: str, store: Path) -> Kept:
    """The samples of this content.

    Raises:
        SubmissionError: they are not in the store, or are not what their hash says.
    """
    where = store / KEPT / content
    remedy = "Hand them in again, with submit --samples."
    if not where.is_dir():
        raise SubmissionError(f"samples {content[:12]}", f"are not in the store {store}", remedy)
    sets = _read(where)
    if _content(sets) != content:
        raise SubmissionError(str(where), "is not what its hash says", remedy)
    return Kept(content, sets)


def _content(sets: Sequence[ImageSet]) -> str:
    return sha256_of([images.content_hash() for images in sets])


def _read(where: Path) -> tuple[ImageSet, ...]:
    return tuple(arrow.read_images(where / f"fold_{k}.arrow") for k in range(len(list(where.iterdir()))))


def _as_images(samples: Sequence[Sample], classes: Sequence[str], size: int, fit: Fit) -> ImageSet:
    """A set whose pictures are decoded when they are written."""

    def read(row: int) -> np.ndarray:
        return _square(samples[row], size, fit)

    label = np.array([s.label for s in samples], np.int64)
    ids = np.array([f"sample-{k:06d}" for k in range(len(samples))])
    reports = [s.report for s in samples if s.report is not None]
    return ImageSet(
        image=LazyImages.each(read, len(samples), size),
        label=label,
        classes=tuple(classes),
        image_id=ids,
        patient_id=ids,
        origin=np.full(len(samples), "synthetic:submission"),
        reported_labels=np.array(reports, np.int8) if reports else None,
    )


def _square(sample: Sample, size: int, fit: Fit) -> np.ndarray:
    try:
        return to_square(decode_bytes(sample.read(), sample.where, FORMATS), size, fit=fit)
    except DataError as error:
        raise SubmissionError(*error.args) from None


def repeats(images: ImageSet) -> dict[str, int]:
    """How many of the images show what another one of them shows: ``exact`` by pixels, ``near`` by details.

    Of a group of equal pictures all but one count; a near copy is one of another picture, see ``duplicates``.
    """
    seen = duplicates.scan(images.image)
    exact = sum(len(group) - 1 for group in duplicates.same_bytes(seen))
    pairs = duplicates.same_picture(images.image, seen, np.arange(len(images)))
    return {"exact": exact, "near": len({p.second for p in pairs})}


def refuse_copies(
    images: ImageSet, where: Sequence[str], real: ImageSet, name: str, learned: ImageSet
) -> None:
    """Refuse samples that are copies, exact or near, of real images that no generator may see.

    A near copy is one whose details agree with those of a real image more than any training image's do: at
    few pixels two patients may look alike by chance, and so may a sample.

    Args:
        where: of every sample, for the error.
        real: the images of ``test``, or of ``reserve``; of the size of the samples.
        name: of that split.
        learned: the training images, of other patients than ``real``; some thousands of them are looked at.
    Raises:
        SubmissionError: how many there are, and one of them with the real image that it shows.
    """
    some = learned.select(
        np.unique(np.linspace(0, len(learned) - 1, min(LOOKED_AT, len(learned))).astype(int))
    )
    floor = max((p.similarity for p in _alike(some, real)), default=0.0)
    found = {p.first: p for p in _alike(images, real) if p.similarity > floor}
    if found:
        pair = found[min(found)]
        raise SubmissionError(
            where[pair.first],
            f"is a copy of the real image '{real.image_id[pair.second]}' of {name}, as are "
            f"{len(found) - 1} more of {len(images)} samples",
            "No generator may learn from these patients: fit it on what `data export` writes.",
        )


def _alike(images: ImageSet, real: ImageSet) -> list[duplicates.Pair]:
    """Pairs of an image and a real one that show the same; 2 stands for equal pixels, others are below 1."""
    pixels, apart = join([images.image, real.image]), np.repeat([0, 1], [len(images), len(real)])
    seen, n = duplicates.scan(pixels), len(images)
    near = duplicates.same_picture(pixels, seen, apart)
    equal = [(int(a), int(g[-1])) for g in duplicates.same_bytes(seen) for a in g if a < n <= g[-1]]
    return [
        *(duplicates.Pair(p.first, p.second - n, min(p.similarity, 1.0)) for p in near),
        *(duplicates.Pair(a, b - n, 2.0) for a, b in equal),
    ]
