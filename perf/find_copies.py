"""Measure sensitivity and speed of the duplicate search on copies planted into a built folder.

    python perf/find_copies.py FOLDER [--planted 200]

Prints seconds, peak memory, the detected share of the planted copies of each kind, and the false pairs of
different images.
"""

from __future__ import annotations

import argparse
import io
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.images import duplicates, shards
from benchmark.images.lazy import LazyImages


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """Save as JPEG and read the result."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def scaled(picture: np.ndarray, factor: float) -> np.ndarray:
    """Resize, and resize back."""
    side = round(picture.shape[0] * factor)
    other = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(other.resize(picture.shape[::-1], Image.Resampling.BICUBIC))


def zoomed(picture: np.ndarray, cut: int) -> np.ndarray:
    """Crop this number of pixels at every border, and enlarge to the original size."""
    inner = Image.fromarray(picture[cut:-cut, cut:-cut])
    return np.asarray(inner.resize(picture.shape[::-1], Image.Resampling.LANCZOS))


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "brightness x 0.8 + 25": lambda p: (p * 0.8 + 25).astype(np.uint8),
    "gamma 1.3": lambda p: (255 * (p / 255) ** 1.3).astype(np.uint8),
    "JPEG quality 75": lambda p: jpeg(p, 75),
    "JPEG quality 40": lambda p: jpeg(p, 40),
    "resized to 3/4 and back": lambda p: scaled(p, 0.75),
    "resized to double and back": lambda p: scaled(p, 2),
    "moved by (1, 1) pixel": lambda p: np.pad(p, 1, mode="edge")[: p.shape[0], : p.shape[1]],
    "border of 1 pixel cut, enlarged": lambda p: zoomed(p, 1),
}


def main() -> None:
    """Plant copies, search for them, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--planted", type=int, default=200, help="copies of each kind")
    options = parser.parse_args()
    image = shards.open(options.folder).image
    count = len(image)
    rows = np.sort(np.random.default_rng(0).choice(count, options.planted, replace=False))
    copies = [np.stack([change(image[row]) for row in rows]) for change in COPIES.values()]
    together = LazyImages.joined([image, *copies])
    began = time.perf_counter()
    result = duplicates.scan(together)
    scanned = time.perf_counter()
    pairs = duplicates.same_picture(together, result, np.arange(len(together)))
    ended = time.perf_counter()
    source = np.concatenate([np.arange(count), *(rows for _ in copies)])
    detected = {(p.first, p.second) for p in pairs}
    print(f"{len(together)} pictures: scan {scanned - began:.0f} s, pairs {ended - scanned:.0f} s")
    print(
        f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB, mapped pages too"
    )
    for k, name in enumerate(COPIES):
        places = count + k * len(rows) + np.arange(len(rows))
        exact = result.digest[places] == result.digest[rows]
        near = [(int(a), int(b)) in detected for a, b in zip(rows, places, strict=True)]
        print(f"{name}: {np.mean(np.logical_or(near, exact)):.3f} detected")
    wrong = [p for p in pairs if source[p.first] != source[p.second]]
    print(f"false pairs of different images: {len(wrong)} of {count * (count - 1) // 2} pairs")
    for pair in wrong[:10]:
        print(f"  {pair.first} and {pair.second}: {pair.similarity:.3f}")


if __name__ == "__main__":
    main()
