"""Measure images: fidelity, diversity, memorization, and what real images score against each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.classify.sampling import added_counts
from benchmark.records import ImageSet
from benchmark.rules import Mix
from benchmark.stages.job import Job


def reference(job: Job) -> dict[str, Any]:
    """A half of the real test images, the yardstick of synthetic ones, and the real-against-real floor."""
    from benchmark.metrics.features import features
    from benchmark.metrics.floor import largest_half, patient_halves, real_floor

    config, splits = job.config, job.splits()
    extractor, seed = config["extractor"], job.node.seed
    counts = added_counts(splits.train, Mix(**config["mix"]), config["bracket"], tuple(config["classes"]))
    test = of_classes(splits.test.one_label_each(), counts)
    # No class may ask for more synthetic images than the bracket has.
    most = min(int(counts[c] * len(test) / n) for c, n in test.counts().items() if n)
    n = min(most, largest_half(test.patient_id, test.label, seed))
    half, _ = patient_halves(test.patient_id, test.label, n, np.random.default_rng([seed, 0]))
    found = features(test.image, extractor, config["device"])
    floor = real_floor(found, test.patient_id, n, seed, labels=test.label)
    np.savez(job.out / "reference.npz", features=found[half])
    return {
        "n": n,
        "counts": test.select(half).counts(),
        f"fid_{extractor}": {"floor": floor["fid"], "floor_sd": floor["fid_sd"]},
        f"kid_{extractor}": {"floor": floor["kid"], "floor_sd": floor["kid_sd"]},
        **_ms_ssim(test, config["ms_ssim_images"], config["device"]),
    }


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
    drawn, yardstick = job.added(), job.input("reference")
    assert drawn is not None
    assert yardstick is not None
    floor = json.loads((yardstick / "result.json").read_text())
    with np.load(yardstick / "reference.npz") as stored:
        real = stored["features"]
    fake = features(in_proportion(drawn, floor["counts"]).image, extractor, device)
    n = len(fake)
    diversity = _ms_ssim(drawn, job.config["ms_ssim_images"], device)["ms_ssim"]
    metrics = {f"fid_{extractor}": fid(real, fake), f"kid_{extractor}": kid(real, fake)}
    train, test = splits.train.one_label_each(), splits.test.one_label_each()
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
        "ms_ssim_per_class": diversity,
        "memorization": memorization(drawn, train, test, extractor, device, job.node.seed),
    }


def in_proportion(images: ImageSet, counts: Mapping[str, int]) -> ImageSet:
    """The first images of each class, so many as the counts by name say."""
    rows = [np.flatnonzero(images.label == k)[: counts.get(name, 0)] for k, name in enumerate(images.classes)]
    return images.select(np.concatenate(rows))
