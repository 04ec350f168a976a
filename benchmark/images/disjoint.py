"""Proof that splits share neither a patient nor an image."""

import hashlib
from itertools import combinations
from typing import Any

from benchmark.errors import DataError
from benchmark.images.image_set import Splits


def prove_disjoint(splits: Splits) -> dict[str, Any]:
    """Show that no patient and no pixel-identical image is in two splits.

    Images are compared by the SHA-256 of their pixels, read block by block.

    Returns:
        JSON record: patients and images per split, and the pairs compared.
    Raises:
        DataError: two splits share a patient or an image; names the first.
    """
    sets = splits.named()
    ids_by_pixels = {
        n: {hashlib.sha256(i.tobytes()).hexdigest(): k for i, k in zip(s.image, s.image_id, strict=True)}
        for n, s in sets.items()
    }
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
    return {
        "patients": {n: len(s.patients()) for n, s in sets.items()},
        "images": {n: len(s) for n, s in sets.items()},
        "disjoint_by_patient": [list(p) for p in pairs],
        "disjoint_by_pixels": [list(p) for p in pairs],
    }
