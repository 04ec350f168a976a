"""The nearness of faint copies on real images, beside that of new patients.

    python -m perf.trust.near [--packs FOLDER] [--divisions 10]

A third of the patients is known, a third unseen, a third new. A faint copy is an image whose detail finer
than a blur is replaced by that of a new patient: what a reconstruction leaves of its source.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmark.images.copies.proximity import Proximity
from benchmark.images.image_set import ImageSet
from perf.trust.detect import packs
from perf.trust.rows import Row

DIVISIONS = 10  # of the patients
BLURS = (0.6, 1.0, 1.4, 2.0)  # standard deviations in px at a side of 32


def faint(images: np.ndarray, others: np.ndarray, blur: float) -> np.ndarray:
    """Return (N, H, W) images with the detail of others; ``blur`` is the scale at a side of 32 px."""
    from scipy.ndimage import gaussian_filter

    sigma = blur * images.shape[1] / 32
    own, strange = images.astype(np.float32), others[np.arange(len(images)) % len(others)].astype(np.float32)
    coarse = np.stack([gaussian_filter(x, sigma) for x in own])
    detail = strange - np.stack([gaussian_filter(x, sigma) for x in strange])
    return np.clip(coarse + detail, 0, 255).round().astype(np.uint8)


def of_pack(name: str, images: ImageSet, divisions: int) -> Iterator[Row]:
    """Measure the share of each kind and how often the gate holds, over divisions of the patients."""
    patients, rng = np.unique(images.patient_id), np.random.default_rng(0)
    shares: dict[str, list[tuple[float, float, bool]]] = {"new patients": []}
    shares |= {f"blur {blur}": [] for blur in BLURS}
    for _ in range(divisions):
        parts = np.array_split(rng.permutation(patients), 3)
        known, unseen, new = (images.select(np.isin(images.patient_id, part)) for part in parts)
        search = Proximity.of(known, unseen, new.image)
        if search is None:
            yield Row(f"{name}: faint copies", "stated", "too few patients to compare", True)
            return
        made = {"new patients": np.asarray(new.image)}
        made |= {f"blur {blur}": faint(known.image, new.image, blur) for blur in BLURS}
        for kind, given in made.items():
            near = search.nearness(given)
            shares[kind].append((near.share, near.error, near.excess))
    texts = []
    for kind, values in shares.items():
        share, error, gated = np.mean(np.array(values, float), axis=0)
        texts.append(f"{kind} {share:.2f} (error {error:.2f}), gated in {100 * gated:.0f} %")
    held = sum(gated for *_, gated in shares["new patients"]) <= 0.05 * divisions
    yield Row(f"{name}: nearness in {divisions} divisions", "new patients pass", "; ".join(texts), held)


def measure(folder: Path | None, divisions: int = DIVISIONS) -> Iterator[Row]:
    """Measure every real data set below a folder."""
    for name, images in packs(folder) if folder else ():
        yield from of_pack(name, images, divisions)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--packs", type=Path, default=os.environ.get("SYNTHTHORAX_PACKS"))
    parser.add_argument("--divisions", type=int, default=DIVISIONS)
    given = parser.parse_args()
    for row in measure(given.packs, given.divisions):
        print(row, flush=True)


if __name__ == "__main__":
    main()
