"""Small inputs that several tests share."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmark.images.image_set import ImageSet, Splits
from benchmark.plugins.generator import SampleRequest, Samples
from benchmark.stages.samples import check_samples, image_set

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = ROOT / "tests" / "tasks" / "tiny.yaml"


def blobs(
    counts: dict[str, int], *, size: int = 16, seed: int = 0, prefix: str = "p", per_patient: int = 1
) -> ImageSet:
    """Return noise with a bright square whose position is the class: easy to learn, cheap to draw."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(counts)), list(counts.values()))
    image = rng.integers(0, 120, (len(label), size, size), dtype=np.uint8)
    side = size // 4
    for i, k in enumerate(label):
        row, column = divmod(int(k) * side, size)
        image[i, row * 4 : row * 4 + side, column : column + side] += 100
    n = len(label)
    return ImageSet(
        image=image,
        label=label.astype(np.int64),
        classes=tuple(counts),
        image_id=np.array([f"{prefix}-{i:05d}" for i in range(n)]),
        patient_id=np.array([f"{prefix}-{i // per_patient:05d}" for i in range(n)]),
        origin=np.full(n, "real:blobs"),
    )


def synthetic(image: np.ndarray, request: SampleRequest, name: str = "g") -> ImageSet:
    """Return drawn pixels as the suite does: checked, and as an image set of the requested size."""
    return image_set(check_samples(Samples(image), request, name), request, name, request.image_size)


def heed_signals() -> None:
    """Let a process end by signals that its parent ignores, such as a shell's background job."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def without_notes_on_small_tests(splits: Splits) -> Splits:
    """Return splits without the notes on classes of few test patients, which tiny inputs always have."""
    return replace(splits, notes=tuple(n for n in splits.notes if "no interval" not in n))
