"""Proof that splits share neither a patient nor an image."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet, Splits
from benchmark.images.symmetries import Change, changes_of


def prove_disjoint(splits: Splits) -> dict[str, Any]:
    """Show that no patient and no pixel-identical image is in two splits, nor a mirrored, turned or
    inverted form of one.

    Images are compared by the SHA-256 of their pixels, read block by block, and their changed forms where
    the gray values occur equally often.

    Returns:
        JSON record: patients and images per split, and the pairs compared.
    Raises:
        DataError: two splits share a patient or an image; names the first.
    """
    sets = splits.named()
    ids_by_pixels: dict[str, dict[str, str]] = {name: {} for name in sets}
    by_values: dict[str, dict[bytes, list[int]]] = {name: defaultdict(list) for name in sets}
    for name, images in sets.items():
        for k, image in enumerate(images.image):
            ids_by_pixels[name][hashlib.sha256(image.tobytes()).hexdigest()] = str(images.image_id[k])
            by_values[name][_value_counts(image)].append(k)
    pairs = list(combinations(sets, 2))
    for a, b in pairs:
        if shared := sorted(sets[a].patients() & sets[b].patients()):
            problem = f"share {len(shared)} patients, the first is '{shared[0]}'"
            remedy = "Split by patient, or map the ids of one person to one id."
            raise DataError(f"splits {a} and {b}", problem, remedy)
        if same := sorted(ids_by_pixels[a].keys() & ids_by_pixels[b].keys()):
            one, other = ids_by_pixels[a][same[0]], ids_by_pixels[b][same[0]]
            remedy = "Remove the duplicate, or give both images one patient id."
            raise DataError(f"splits {a} and {b}", f"hold the same picture: '{one}' and '{other}'", remedy)
        _refuse_changed(sets[a], sets[b], by_values[a], by_values[b], f"splits {a} and {b}")
    return {
        "patients": {n: len(s.patients()) for n, s in sets.items()},
        "images": {n: len(s) for n, s in sets.items()},
        "disjoint_by_patient": [list(p) for p in pairs],
        "disjoint_by_pixels": [list(p) for p in pairs],
    }


def _value_counts(image: np.ndarray) -> bytes:
    """Return a digest of the counts of gray values, equal for the changed forms of an image.

    Empty for an image of one gray value, whose inverted form is only another one.
    """
    counts = np.bincount(image.ravel(), minlength=256)
    if counts.max() == image.size:
        return b""
    return hashlib.sha256(min(counts.tobytes(), counts[::-1].tobytes())).digest()


def _refuse_changed(
    one: ImageSet,
    other: ImageSet,
    mine: Mapping[bytes, list[int]],
    theirs: Mapping[bytes, list[int]],
    where: str,
) -> None:
    """Raise DataError if an image of one split is a changed form of one of the other."""
    for key in sorted(mine.keys() & theirs.keys() - {b""}):
        for i in mine[key]:
            for j in theirs[key]:
                if change := _change_between(one.image[i], other.image[j]):
                    problem = (
                        f"hold the same picture, {change}: '{one.image_id[i]}' and '{other.image_id[j]}'"
                    )
                    remedy = "Remove one of the two, or give both images one patient id."
                    raise DataError(where, problem, remedy)


def _change_between(image: np.ndarray, other: np.ndarray) -> Change | None:
    """Return the change that makes an image the other, or None."""
    if image.shape != other.shape:
        return None
    changes = (change for change in changes_of(*image.shape) if np.array_equal(change(image[None])[0], other))
    return next(changes, None)
