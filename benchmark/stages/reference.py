"""Features of real test images, and what real images score against each other."""

from collections.abc import Mapping

import numpy as np

from benchmark.images.image_set import ImageSet
from benchmark.stages.job import Job
from benchmark.stages.records import Record, StageResult
from benchmark.stages.training import AddedImages

FEATURES = "reference.npz"


class MeasuringConfig(AddedImages):
    """Configuration of the stages that measure images; ``ms_ssim_images`` is per class."""

    extractor: str
    extractor_hash: str
    ms_ssim_images: int
    device: str


class ReferenceConfig(MeasuringConfig, stage="reference", version="2", seconds=8.0):
    """Configuration of ``reference``."""


class Floor(Record):
    """Mean and standard deviation of a distance between two halves of the real images."""

    floor: float
    floor_sd: float


class Diversity(Record):
    """MS-SSIM within classes; see ``metrics.ms_ssim``."""

    mean: float
    per_class: dict[str, float]
    scales: int
    n: int


class ReferenceResult(StageResult):
    """The real half that synthetic images are compared with, and the real-against-real floor.

    Attributes:
        n: images of the half; ``counts`` by class.
        fid, kid: between two halves.
        ms_ssim: of the real images.
    """

    n: int
    counts: dict[str, int]
    fid: Floor
    kid: Floor
    ms_ssim: Diversity


def reference(job: Job[ReferenceConfig]) -> ReferenceResult:
    """Write the features of a half of the real test images, and report the real-against-real floor."""
    config, splits = job.config, job.splits()
    counts = config.counts(splits.train)
    result, features = real_reference(splits.test.to_single_label(), counts, config, job.node.seed)
    np.savez(job.out / FEATURES, features=features)
    return result


def real_reference(
    test: ImageSet, counts: Mapping[str, int], config: MeasuringConfig, seed: int
) -> tuple[ReferenceResult, np.ndarray]:
    """Return the reference for synthetic images with these counts by class, and its features (n, D).

    Raises:
        MetricError: too few images of a class for a half with two images.
    """
    from benchmark.metrics.features import features
    from benchmark.metrics.floor import largest_half, patient_halves, real_floor

    test = of_classes(test, counts)
    # No class may need more synthetic images than the bracket has.
    most = min(int(counts[c] * len(test) / n) for c, n in test.counts().items() if n)
    n = min(most, largest_half(test.patient_id, test.label, seed))
    half, _ = patient_halves(test.patient_id, test.label, n, np.random.default_rng([seed, 0]))
    real = features(test.image, config.extractor, config.device)
    floor = real_floor(real, test.patient_id, n, seed, labels=test.label)
    result = ReferenceResult(
        n=n,
        counts=test.select(half).counts(),
        fid=Floor(floor=floor["fid"], floor_sd=floor["fid_sd"]),
        kid=Floor(floor=floor["kid"], floor_sd=floor["kid_sd"]),
        ms_ssim=diversity(test, config),
    )
    return result, real[half]


def of_classes(images: ImageSet, counts: Mapping[str, int]) -> ImageSet:
    """Return the images of the classes with a count above 0."""
    wanted = [k for k, name in enumerate(images.classes) if counts.get(name)]
    return images.select(np.flatnonzero(np.isin(images.label, wanted)))


def diversity(images: ImageSet, config: MeasuringConfig) -> Diversity:
    """Return the MS-SSIM within classes."""
    from benchmark.metrics.ms_ssim import ms_ssim_within_classes

    return Diversity(
        **ms_ssim_within_classes(
            images.image, images.label, images.classes, config.ms_ssim_images, config.device
        )
    )
