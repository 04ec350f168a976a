"""Submitted synthetic images: read safely, and stored under the hash of their content."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from benchmark.errors import SubmissionError
from benchmark.images import arrow
from benchmark.images.color import TINTED, chroma
from benchmark.images.decoding import Fit, decode_bytes, to_square
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import LazyImages
from benchmark.intake.hub_listing import list_dataset, location_of
from benchmark.intake.listing import Sample, list_folder, list_table
from benchmark.intake.untrusted import as_submission_error
from benchmark.utils.files import disk_errors
from benchmark.utils.hashing import sha256_of

FORMATS = ("PNG", "JPEG")
MAX_EXAMPLES = 5  # in an error
FOLDER = "submissions"  # of the store


@dataclass(frozen=True)
class StoredSamples:
    """Samples in the store.

    Attributes:
        content: SHA-256 of their content, which names them.
        folds: the images for each fold, memory-mapped.
    """

    content: str
    folds: tuple[ImageSet, ...]

    def __len__(self) -> int:
        return sum(map(len, self.folds))


def list_samples(source: Path, classes: Sequence[str], folds: int, *, multilabel: bool) -> list[Sample]:
    """List the samples of a folder, of a Parquet file or of a data set of the Hub; decodes none.

    Args:
        source: a folder, a file, or ``owner/name@commit``, which is no path on this machine.
    Raises:
        SubmissionError: see ``list_folder``, ``list_table`` and ``list_dataset``.
    """
    location = location_of(source)
    if location is not None:
        return list_dataset(location, classes, folds, multilabel=multilabel)
    if source.suffix.lower() == ".parquet":
        return list_table(source, classes, folds, multilabel=multilabel)
    return list_folder(source, classes, folds)


def select_samples(
    samples: Sequence[Sample], required: Sequence[Mapping[str, int]], classes: Sequence[str]
) -> tuple[list[Sample], list[str]]:
    """Select the first samples of every class and fold, as many as the task's largest bracket adds.

    Args:
        required: for every fold, images by class.
    Returns:
        The samples, and a note on surplus ones.
    Raises:
        SubmissionError: a class has too few; names each with both numbers.
    """
    available = Counter((s.fold, s.label) for s in samples)
    short = [
        (f"fold {fold}: " if len(required) > 1 else "")
        + f"'{name}' has {available[fold, k]}, needs {counts[name]}"
        for fold, counts in enumerate(required)
        for k, name in enumerate(classes)
        if available[fold, k] < counts.get(name, 0)
    ]
    if short:
        more = f"; and {len(short) - MAX_EXAMPLES} more" if len(short) > MAX_EXAMPLES else ""
        problem = f"too few images for the largest bracket: class {'; '.join(short[:MAX_EXAMPLES])}{more}"
        raise SubmissionError("samples", problem, "Generate more; no image is used twice.")
    taken, used = Counter[tuple[int, int]](), []
    for sample in samples:
        key = sample.fold, sample.label
        if taken[key] < required[sample.fold].get(classes[sample.label], 0):
            taken[key] += 1
            used.append(sample)
    surplus = len(samples) - len(used)
    note = f"{surplus} of {len(samples)} images left out as not needed, the last of each class"
    return used, [note] if surplus else []


def color_note(samples: Sequence[Sample]) -> list[str]:
    """Return a note on samples in color: radiographs are gray, and only their luminance is used."""
    tinted = [sample.where for sample in samples if chroma(BytesIO(sample.read())) > TINTED]
    if not tinted:
        return []
    first = Path(tinted[0]).name
    return [
        f"{len(tinted)} of {len(samples)} images are in color, their luminance is used: the first is {first}"
    ]


def store_samples(
    samples: Sequence[Sample],
    classes: Sequence[str],
    *,
    folds: int,
    size: int,
    fit: Fit = "stretch",
    store: Path,
) -> StoredSamples:
    """Decode samples and write them to the store; equal pixels give equal content, whatever the encoding.

    Args:
        size: side in pixels of the stored images; ``fit`` resizes as for the task's real images.
        store: folder of the store.
    Raises:
        SubmissionError: a picture is not a PNG or JPEG by its first bytes, corrupt, too large, or of one gray
            value.
        StoreError: the store cannot be written.
    """
    folder = store / FOLDER
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as scratch:
            part = Path(scratch) / "samples"
            part.mkdir()
            for fold in range(folds):
                images = _image_set([s for s in samples if s.fold == fold], classes, size, fit)
                arrow.write_images(part / f"fold_{fold}.arrow", images)
            content = _content_hash(_read(part))
            final = folder / content
            if not (final.is_dir() and _content_hash(_read(final)) == content):
                shutil.rmtree(final, ignore_errors=True)
                os.replace(part, final)
    return StoredSamples(content, _read(final))


def read_samples(content: str, store: Path) -> StoredSamples:
    """Read the samples with this content hash from the store.

    Raises:
        SubmissionError: they are not in the store, or do not match their hash.
    """
    folder = store / FOLDER / content
    remedy = "Submit them again with submit --samples."
    if not folder.is_dir():
        raise SubmissionError(f"samples {content[:12]}", f"are not in the store {store}", remedy)
    folds = _read(folder)
    if _content_hash(folds) != content:
        raise SubmissionError(str(folder), "does not match its hash", remedy)
    return StoredSamples(content, folds)


def _content_hash(folds: Sequence[ImageSet]) -> str:
    return sha256_of([images.content_hash() for images in folds])


def _read(folder: Path) -> tuple[ImageSet, ...]:
    return tuple(arrow.read_images(folder / f"fold_{k}.arrow") for k in range(len(list(folder.iterdir()))))


def _image_set(samples: Sequence[Sample], classes: Sequence[str], size: int, fit: Fit) -> ImageSet:
    """Return a set whose pictures are decoded when they are written."""

    @as_submission_error()
    def read(row: int) -> np.ndarray:
        sample = samples[row]
        return to_square(decode_bytes(sample.read(), sample.where, FORMATS), size, fit=fit)

    ids = np.array([f"sample-{k:06d}" for k in range(len(samples))])
    reports = [s.report for s in samples if s.report is not None]
    return ImageSet(
        image=LazyImages.each(read, len(samples), size),
        label=np.array([s.label for s in samples], np.int64),
        classes=tuple(classes),
        image_id=ids,
        patient_id=ids,
        origin=np.full(len(samples), "synthetic:submission"),
        reported_labels=np.array(reports, np.int8) if reports else None,
    )
