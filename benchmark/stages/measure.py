"""Measure a row's synthetic images: fidelity, diversity, memorization."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from benchmark.errors import MetricError
from benchmark.images.image_set import ImageSet, Splits
from benchmark.plugins.metric import Unmeasured, Value
from benchmark.stages.job import REFERENCE, Job
from benchmark.stages.measured_images import MeasuredImages, source_images
from benchmark.stages.metrics import LoadedMetric, MeasuringConfig, load_metrics, with_inputs
from benchmark.stages.records import ClassValue, Measure, Record, StageResult
from benchmark.stages.reference import (
    COPIES,
    Floor,
    ReferenceResult,
    of_classes,
    real_reference,
    stored_reference,
)

MEASURED = 4  # images of a class, below which a filtered class is left out of the distances


class MeasureConfig(MeasuringConfig, stage="measure", version="8", seconds=10.0):
    """Configuration of ``measure``."""


class CopyShare(Record):
    """The share of images that count as copies; see ``metrics.memorization.rates.CopyRate``."""

    rate: float
    expected: float
    n: int
    interval: tuple[float, float]
    excess: bool


class Nearness(Record):
    """The share of images that are nearest to a training patient; see ``images.copies.rates``."""

    share: float
    error: float
    n: int
    excess: bool


class Memorization(Record):
    """The memorization gate; see ``metrics.memorization.gate``. ``folds`` where it is of several.

    Of several fits it is the gate of the worst, ``fit``; ``by_fit`` has the rates of all by seed.
    """

    rate: float
    expected: float
    threshold: float
    n: int
    interval: tuple[float, float]
    planted_recall: float
    tolerance: float
    gated: bool
    blind: bool
    left_out: dict[str, int]
    recall: dict[str, float]
    blind_to: list[str]
    copies: dict[str, CopyShare]
    nearness: Nearness | None
    folds: int | None = None
    fit: int | None = None
    by_fit: dict[int, float] | None = None


class MeasureResult(StageResult):
    """The figures of the metrics as ``measures``, and the memorization gate."""

    memorization: Memorization

    def scalars(self) -> dict[str, float]:
        """Return every figure to show beside the run."""
        return super().scalars() | {"memorization_rate": self.memorization.rate}


def measure(job: Job[MeasureConfig]) -> MeasureResult:
    """Compute every metric of a row's images, and the memorization gate."""
    from benchmark.metrics.memorization.gate import memorization
    from benchmark.metrics.memorization.real_copies import RealCopies

    config, splits, synthetic = job.config, job.splits(), job.synthetic()
    reference, real, half = _reference_for(job, synthetic, splits)
    metrics = [m for m in load_metrics(config) if m.name in reference.floors]
    matched, every = in_proportion(synthetic, reference.counts), of_classes(synthetic, reference.counts)
    reals = {"matched": real.select(half), "all": real}
    sources = partial(source_images, train=splits.train)
    fakes = {
        sides: with_inputs(images, [m for m in metrics if m.sides == sides], job, splits, sources)
        for sides, images in (("matched", matched), ("all", every))
    }
    measures, notes = {}, list(reference.notes)
    for metric in metrics:
        fake = fakes[metric.sides]
        if missing := fake.missing(metric.needs):
            notes.append(
                f"{job.node.row}: {metric.card.title} is not measured, since its images have no {missing[0]}"
            )
            continue
        value = metric(reals[metric.sides], fake)
        if isinstance(value, Unmeasured):
            notes.append(f"{job.node.row}: {metric.card.title} is not measured: {value.reason}")
            continue
        measures[metric.name] = _measure(metric, value, reference.floors[metric.name], fake)
    gate = memorization(
        synthetic,
        splits.test.to_single_label(),
        RealCopies.load(job.input(REFERENCE) / COPIES, splits),
    )
    return MeasureResult(measures=measures, notes=notes, memorization=Memorization(**gate))


def _measure(metric: LoadedMetric, value: Value, floor: Floor, fake: MeasuredImages) -> Measure:
    """Return the figure of a row beside its floor, with the classes that both have."""
    per_class = {
        name: ClassValue(
            value=own,
            floor=floor.per_class[name],
            interval=value.intervals.get(name),
            floor_interval=floor.intervals.get(name),
        )
        for name, own in value.per_class.items()
        if name in floor.per_class
    }
    return Measure(
        value=value.value,
        floor=floor.floor,
        floor_sd=floor.floor_sd,
        n=len(fake.images) if value.n is None else value.n,
        direction=metric.direction,
        per_class=per_class or None,
        details=dict(value.details) or None,
        matrix=value.matrix,
        floor_matrix=floor.matrix,
        card=metric.card,
    )


def _reference_for(
    job: Job[MeasureConfig], synthetic: ImageSet, splits: Splits
) -> tuple[ReferenceResult, MeasuredImages, np.ndarray]:
    """Return the shared reference, or a smaller one where a filter has left too few images for it.

    Raises:
        MetricError: no class has enough images to be measured.
    """
    reference, real, half = stored_reference(splits, job)
    counts, wanted = synthetic.counts(), {name: n for name, n in reference.counts.items() if n}
    if all(counts[name] >= n for name, n in wanted.items()):
        return reference, real, half
    left = {name: counts[name] for name in wanted if counts[name] >= MEASURED}
    if not left:
        raise MetricError(
            f"row '{job.node.row}'",
            f"the filter leaves at most {max(counts.values())} images of a class, measuring needs {MEASURED}",
            "Fix the generator, raise mix.surplus, or run without the filter.",
        )
    reference, real, half = real_reference(splits, left, job, 0)
    if lost := [name for name in wanted if name not in left]:
        note = (
            f"{job.node.row}: the measures are of {', '.join(left)} alone, since the filter leaves "
            f"fewer than {MEASURED} images of {', '.join(lost)}"
        )
        reference = reference.model_copy(update={"notes": [*reference.notes, note]})
    return reference, real, half


def in_proportion(images: ImageSet, counts: Mapping[str, int]) -> ImageSet:
    """Return the first images of each class, as many as the counts by name."""
    rows = [np.flatnonzero(images.label == k)[: counts.get(name, 0)] for k, name in enumerate(images.classes)]
    return images.select(np.concatenate(rows))
