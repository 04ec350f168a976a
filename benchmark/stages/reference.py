"""Real test images that synthetic ones are compared with, and what real images score against each other."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.images.image_set import ImageSet, Splits
from benchmark.plugins.metric import Value
from benchmark.protocol.halves import REPEATS, largest_half, patient_halves
from benchmark.stages.job import REFERENCE, Job
from benchmark.stages.metrics import LoadedMetric, MeasuredImages, MeasuringConfig, load_metrics, with_inputs
from benchmark.stages.records import Record, StageResult

INPUTS = "reference.npz"


class ReferenceConfig(MeasuringConfig, stage="reference", version="4", seconds=8.0):
    """Configuration of ``reference``."""


class Floor(Record):
    """A metric of real images; mean and standard deviation where it is of several pairs of halves."""

    floor: float
    floor_sd: float | None = None
    per_class: dict[str, float] = {}


class ReferenceResult(StageResult):
    """The real half that synthetic images are compared with, and the real-against-real floors.

    Attributes:
        n: images of the half; ``counts`` by class.
        floors: by name of the figure; a metric whose needs the real images do not meet is absent.
    """

    n: int
    counts: dict[str, int]
    floors: dict[str, Floor]


def reference(job: Job[ReferenceConfig]) -> ReferenceResult:
    """Write what metrics read of the real test images, and report the real-against-real floors."""
    splits = job.splits()
    counts = job.config.counts(splits.train)
    result, real, half = real_reference(splits, counts, job, job.node.seed)
    arrays: dict[str, Any] = {"half": half, "features": real.features, "predictions": real.predictions}
    np.savez(job.out / INPUTS, **{name: array for name, array in arrays.items() if array is not None})
    return result


def stored_reference(
    splits: Splits, job: Job[MeasuringConfig]
) -> tuple[ReferenceResult, MeasuredImages, np.ndarray]:
    """Return what ``reference`` reported and wrote, as ``real_reference`` does."""
    test = of_classes(splits.test.to_single_label(), job.config.counts(splits.train))
    with np.load(job.input(REFERENCE) / INPUTS) as stored:
        real = MeasuredImages(test, stored.get("features"), stored.get("predictions"))
        return job.read(REFERENCE, ReferenceResult), real, stored["half"]


def real_reference(
    splits: Splits, counts: Mapping[str, int], job: Job[MeasuringConfig], seed: int
) -> tuple[ReferenceResult, MeasuredImages, np.ndarray]:
    """Return the reference for synthetic images with these counts by class.

    Returns:
        The result, the real test images of these classes, and the positions of the half among them.
    Raises:
        MetricError: too few images of a class for a half with two images.
    """
    metrics = load_metrics(job.config)
    test = of_classes(splits.test.to_single_label(), counts)
    # No class may need more synthetic images than the bracket has.
    most = min(int(counts[c] * len(test) / n) for c, n in test.counts().items() if n)
    n = min(most, largest_half(test.patient_id, test.label, seed))
    half, _ = patient_halves(test.patient_id, test.label, n, np.random.default_rng([seed, 0]))
    real = with_inputs(test, metrics, job, splits)
    floors, notes = {}, []
    for metric in metrics:
        if missing := real.missing(metric.needs):
            notes.append(f"{metric.card.title} is not measured: the real test images have no {missing[0]}")
        elif metric.sides == "matched" and n < metric.fewest:
            size = f"{n} images on each side, at least {metric.fewest} are needed"
            notes.append(f"{metric.card.title} is not measured: {size}")
        else:
            floors[metric.name] = _floor(metric, real, n, seed)
    return ReferenceResult(n=n, counts=test.select(half).counts(), floors=floors, notes=notes), real, half


def _floor(metric: LoadedMetric, real: MeasuredImages, n: int, seed: int) -> Floor:
    """Return the metric between halves of n images, or of the real images in place of the synthetic ones."""
    if metric.sides == "all":
        whole = metric(real, real)
        return Floor(floor=whole.value, per_class=dict(whole.per_class))
    values: list[Value] = []
    for repeat in range(REPEATS):
        rng = np.random.default_rng([seed, repeat])
        a, b = patient_halves(real.images.patient_id, real.images.label, n, rng)
        values.append(metric(real.select(a), real.select(b)))
    each = [v.value for v in values]
    by_class = {c: [v.per_class[c] for v in values if c in v.per_class] for c in real.images.classes}
    return Floor(
        floor=float(np.mean(each)),
        floor_sd=float(np.std(each)),
        per_class={c: float(np.mean(own)) for c, own in by_class.items() if own},
    )


def of_classes(images: ImageSet, counts: Mapping[str, int]) -> ImageSet:
    """Return the images of the classes with a count above 0."""
    wanted = [k for k, name in enumerate(images.classes) if counts.get(name)]
    return images.select(np.flatnonzero(np.isin(images.label, wanted)))
