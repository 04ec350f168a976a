"""Measure images: fidelity, diversity, memorization, and what real images score against each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.images.image_set import ImageSet
from benchmark.protocol.mixing import added_counts
from benchmark.stages.job import Job
from benchmark.tasks.rules import Mix

MEASURED = 4  # images of a class, below which a filtered class is left out of the distances


def reference(job: Job) -> dict[str, Any]:
    """A half of the real test images, the yardstick of synthetic ones, and the real-against-real floor."""
    config, splits = job.config, job.splits()
    counts = added_counts(splits.train, Mix(**config["mix"]), config["bracket"], tuple(config["classes"]))
    said, found = yardstick(splits.test.to_single_label(), counts, config, job.node.seed)
    np.savez(job.out / "reference.npz", features=found)
    return said


def yardstick(
    test: ImageSet, counts: Mapping[str, int], config: Mapping[str, Any], seed: int
) -> tuple[dict[str, Any], np.ndarray]:
    """What ``reference`` says of so many synthetic images by class, and the features of the real half.

    Raises:
        MetricError: too few images of a class for a half with two images.
    """
    from benchmark.metrics.features import features
    from benchmark.metrics.floor import largest_half, patient_halves, real_floor

    extractor = config["extractor"]
    test = of_classes(test, counts)
    # No class may ask for more synthetic images than the bracket has.
    most = min(int(counts[c] * len(test) / n) for c, n in test.counts().items() if n)
    n = min(most, largest_half(test.patient_id, test.label, seed))
    half, _ = patient_halves(test.patient_id, test.label, n, np.random.default_rng([seed, 0]))
    found = features(test.image, extractor, config["device"])
    floor = real_floor(found, test.patient_id, n, seed, labels=test.label)
    said = {
        "n": n,
        "counts": test.select(half).counts(),
        f"fid_{extractor}": {"floor": floor["fid"], "floor_sd": floor["fid_sd"]},
        f"kid_{extractor}": {"floor": floor["kid"], "floor_sd": floor["kid_sd"]},
        **_ms_ssim(test, config["ms_ssim_images"], config["device"]),
    }
    return said, found[half]


def of_classes(images: ImageSet, counts: Mapping[str, int]) -> ImageSet:
    """The images of the classes that get synthetic ones."""
    wanted = [k for k, name in enumerate(images.classes) if counts.get(name)]
    return images.select(np.flatnonzero(np.isin(images.label, wanted)))


def _ms_ssim(images: ImageSet, per_class: int, device: str) -> dict[str, Any]:
    from benchmark.metrics.ms_ssim import ms_ssim_within_classes

    return {"ms_ssim": ms_ssim_within_classes(images.image, images.label, images.classes, per_class, device)}


def measure(job: Job) -> dict[str, Any]:
    """Fidelity, diversity and memorization of a row's images."""
    from benchmark.metrics.features import features
    from benchmark.metrics.fid import fid
    from benchmark.metrics.kid import kid
    from benchmark.metrics.memorization import memorization

    splits, extractor, device = job.splits(), job.config["extractor"], job.config["device"]
    drawn = job.added()
    assert drawn is not None
    train, test = splits.train.to_single_label(), splits.test.to_single_label()
    floor, real = _yardstick_for(job, drawn, test)
    fake = features(in_proportion(drawn, floor["counts"]).image, extractor, device)
    n = len(fake)
    diversity = _ms_ssim(of_classes(drawn, floor["counts"]), job.config["ms_ssim_images"], device)["ms_ssim"]
    metrics = {f"fid_{extractor}": fid(real, fake), f"kid_{extractor}": kid(real, fake)}
    return {
        "measures": {
            **{k: {"value": v, "n": n, "direction": "minimize", **floor[k]} for k, v in metrics.items()},
            "ms_ssim": {
                "value": diversity["mean"],
                "floor": floor["ms_ssim"]["mean"],
                "n": diversity["n"],
                "scales": diversity["scales"],
                "direction": "minimize",
            },
        },
        "notes": floor.get("notes", []),
        "ms_ssim_per_class": diversity,
        "memorization": memorization(drawn, train, test, extractor, device, job.node.seed),
    }


def _yardstick_for(job: Job, drawn: ImageSet, test: ImageSet) -> tuple[dict[str, Any], np.ndarray]:
    """The shared yardstick; one of the size of what is left where a filter has left too few for it.

    Raises:
        MetricError: a class has so few images left that nothing can be held against them.
    """
    folder = job.input("reference")
    assert folder is not None
    floor = json.loads((folder / "result.json").read_text())
    have, wanted = drawn.counts(), {name: n for name, n in floor["counts"].items() if n}
    if all(have[name] >= n for name, n in wanted.items()):
        with np.load(folder / "reference.npz") as stored:
            return floor, stored["features"]
    left = {name: have[name] for name in wanted if have[name] >= MEASURED}
    if not left:
        raise MetricError(
            f"row '{job.node.row}'",
            f"the filter leaves at most {max(have.values())} images of a class, measuring needs {MEASURED}",
            "Mend the generator, raise mix.surplus, or run without the filter.",
        )
    floor, real = yardstick(test, left, job.config, 0)
    gone = [name for name in wanted if name not in left]
    if gone:
        floor["notes"] = [
            f"{job.node.row}: FID, KID and MS-SSIM are of {', '.join(left)} alone, since the filter leaves "
            f"fewer than {MEASURED} images of {', '.join(gone)}"
        ]
    return floor, real


def in_proportion(images: ImageSet, counts: Mapping[str, int]) -> ImageSet:
    """The first images of each class, so many as the counts by name say."""
    rows = [np.flatnonzero(images.label == k)[: counts.get(name, 0)] for k, name in enumerate(images.classes)]
    return images.select(np.concatenate(rows))
