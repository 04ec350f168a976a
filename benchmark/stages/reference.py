"""Real test images that synthetic ones are compared with, and what real images score against each other."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.images.image_set import ImageSet, Splits
from benchmark.plugins.metric import Matrix, Unmeasured, Value
from benchmark.protocol.halves import REPEATS, largest_half, patient_halves
from benchmark.stages.job import REFERENCE, Job
from benchmark.stages.measured_images import MeasuredImages, other_patients
from benchmark.stages.metrics import LoadedMetric, MeasuringConfig, load_metrics, maps_of, with_inputs
from benchmark.stages.records import Record, StageResult, mean_matrix

INPUTS = "reference.npz"
COPIES = "copies.npz"
STORED = (
    "features",
    "predictions",
    "predicted_labels",
    "found_masks",
    "segmented_classes",
)  # arrays in it beside the positions of the half


class ReferenceConfig(MeasuringConfig, stage="reference", version="8", seconds=8.0):
    """Configuration of ``reference``."""


class Floor(Record):
    """A metric of real images; mean and standard deviation where it is of several pairs of halves.

    The bounds of ``intervals`` are means too.
    """

    floor: float
    floor_sd: float | None = None
    per_class: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    matrix: Matrix | None = None


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
    from benchmark.metrics.memorization.real_copies import RealCopies

    result, real, half = real_reference(splits, counts, job, job.node.seed)
    copies = RealCopies.of(splits, job.node.seed)
    copies.save(job.out / COPIES)
    result = result.model_copy(update={"notes": [*result.notes, *copies.doubtful_splits(splits)]})
    arrays: dict[str, Any] = {"half": half} | {name: getattr(real, name) for name in STORED}
    np.savez(job.out / INPUTS, **{name: array for name, array in arrays.items() if array is not None})
    return result


def stored_reference(
    splits: Splits, job: Job[MeasuringConfig]
) -> tuple[ReferenceResult, MeasuredImages, np.ndarray]:
    """Return what ``reference`` reported and wrote, as ``real_reference`` does."""
    test = of_classes(splits.test.to_single_label(), job.config.counts(splits.train))
    needs = {need for metric in job.config.metrics for need in metric.inputs}
    with np.load(job.input(REFERENCE) / INPUTS) as stored:
        real = MeasuredImages(
            test,
            splits.test.multilabel,
            feature_maps=maps_of(job.config),
            sources=other_patients(test) if "sources" in needs else None,
            **{name: stored.get(name) for name in STORED},
        )
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
    real = with_inputs(test, metrics, job, splits, other_patients)
    floors, notes = {}, []
    for metric in metrics:
        if missing := real.missing(metric.needs):
            notes.append(f"{metric.card.title} is not measured: the real test images have no {missing[0]}")
        elif metric.sides == "matched" and n < metric.fewest:
            size = f"{n} images on each side, at least {metric.fewest} are needed"
            notes.append(f"{metric.card.title} is not measured: {size}")
        elif isinstance(floor := _floor(metric, real, n, seed), Unmeasured):
            notes.append(f"{metric.card.title} is not measured between real test images: {floor.reason}")
        else:
            floors[metric.name] = floor
    return ReferenceResult(n=n, counts=test.select(half).counts(), floors=floors, notes=notes), real, half


def _floor(metric: LoadedMetric, real: MeasuredImages, n: int, seed: int) -> Floor | Unmeasured:
    """Return the metric between halves of n images, or of the real images in place of the synthetic ones."""
    values: list[Value] = []
    for repeat in range(1 if metric.sides == "all" else REPEATS):
        sides = (real, real)
        if metric.sides == "matched":
            rng = np.random.default_rng([seed, repeat])
            a, b = patient_halves(real.images.patient_id, real.images.label, n, rng)
            sides = (real.select(a), real.select(b))
        value = metric(*sides)
        if isinstance(value, Unmeasured):
            return value
        values.append(value)
    by_class = {c: [v.per_class[c] for v in values if c in v.per_class] for c in real.images.classes}
    bounds = {c: [v.intervals[c] for v in values if c in v.intervals] for c in real.images.classes}
    return Floor(
        floor=float(np.mean([v.value for v in values])),
        floor_sd=None if metric.sides == "all" else float(np.std([v.value for v in values])),
        per_class={c: float(np.mean(own)) for c, own in by_class.items() if own},
        intervals={c: tuple(np.mean(own, axis=0).tolist()) for c, own in bounds.items() if own},
        matrix=mean_matrix([v.matrix for v in values]),
    )


def of_classes(images: ImageSet, counts: Mapping[str, int]) -> ImageSet:
    """Return the images of the classes with a count above 0."""
    wanted = [k for k, name in enumerate(images.classes) if counts.get(name)]
    return images.select(np.flatnonzero(np.isin(images.label, wanted)))
