"""Measure a row's synthetic images: fidelity, diversity, memorization."""

from collections.abc import Mapping

import numpy as np

from benchmark.errors import MetricError
from benchmark.images.image_set import ImageSet
from benchmark.stages.job import REFERENCE, Job
from benchmark.stages.records import Measure, Record, StageResult
from benchmark.stages.reference import (
    FEATURES,
    Diversity,
    Floor,
    MeasuringConfig,
    ReferenceResult,
    diversity,
    of_classes,
    real_reference,
)

MEASURED = 4  # images of a class, below which a filtered class is left out of the distances


class MeasureConfig(MeasuringConfig, stage="measure", version="3", seconds=10.0):
    """Configuration of ``measure``."""


class Memorization(Record):
    """The memorization gate; see ``metrics.memorization``. ``folds`` where it is of several.

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
    folds: int | None = None
    fit: int | None = None
    by_fit: dict[int, float] | None = None


class MeasureResult(StageResult):
    """FID, KID and MS-SSIM as ``measures``, and the memorization gate."""

    ms_ssim_per_class: Diversity
    memorization: Memorization

    def scalars(self) -> dict[str, float]:
        """Return every figure to show beside the run."""
        return super().scalars() | {"memorization_rate": self.memorization.rate}


def measure(job: Job[MeasureConfig]) -> MeasureResult:
    """Measure fidelity, diversity and memorization of a row's images."""
    from benchmark.metrics.features import features
    from benchmark.metrics.fid import fid
    from benchmark.metrics.kid import kid
    from benchmark.metrics.memorization import memorization

    config, splits, synthetic = job.config, job.splits(), job.synthetic()
    train, test = splits.train.to_single_label(), splits.test.to_single_label()
    reference, real = _reference_for(job, synthetic, test)
    fake = features(in_proportion(synthetic, reference.counts).image, config.extractor, config.device)
    own = diversity(of_classes(synthetic, reference.counts), config)

    def distance(value: float, floor: Floor) -> Measure:
        return Measure(
            value=value, n=len(fake), direction="minimize", floor=floor.floor, floor_sd=floor.floor_sd
        )

    gate = memorization(synthetic, train, test, config.extractor, config.device, job.node.seed)
    return MeasureResult(
        measures={
            f"fid_{config.extractor}": distance(fid(real, fake), reference.fid),
            f"kid_{config.extractor}": distance(kid(real, fake), reference.kid),
            "ms_ssim": Measure(
                value=own.mean, floor=reference.ms_ssim.mean, n=own.n, scales=own.scales, direction="minimize"
            ),
        },
        notes=reference.notes,
        ms_ssim_per_class=own,
        memorization=Memorization(**gate),
    )


def _reference_for(
    job: Job[MeasureConfig], synthetic: ImageSet, test: ImageSet
) -> tuple[ReferenceResult, np.ndarray]:
    """Return the shared reference, or a smaller one where a filter has left too few images for it.

    Raises:
        MetricError: no class has enough images to be measured.
    """
    reference = job.read(REFERENCE, ReferenceResult)
    counts, wanted = synthetic.counts(), {name: n for name, n in reference.counts.items() if n}
    if all(counts[name] >= n for name, n in wanted.items()):
        with np.load(job.input(REFERENCE) / FEATURES) as stored:
            return reference, stored["features"]
    left = {name: counts[name] for name in wanted if counts[name] >= MEASURED}
    if not left:
        raise MetricError(
            f"row '{job.node.row}'",
            f"the filter leaves at most {max(counts.values())} images of a class, measuring needs {MEASURED}",
            "Fix the generator, raise mix.surplus, or run without the filter.",
        )
    smaller, real = real_reference(test, left, job.config, 0)
    lost = [name for name in wanted if name not in left]
    if lost:
        note = (
            f"{job.node.row}: FID, KID and MS-SSIM are of {', '.join(left)} alone, since the filter leaves "
            f"fewer than {MEASURED} images of {', '.join(lost)}"
        )
        smaller = smaller.model_copy(update={"notes": [note]})
    return smaller, real


def in_proportion(images: ImageSet, counts: Mapping[str, int]) -> ImageSet:
    """Return the first images of each class, as many as the counts by name."""
    rows = [np.flatnonzero(images.label == k)[: counts.get(name, 0)] for k, name in enumerate(images.classes)]
    return images.select(np.concatenate(rows))
