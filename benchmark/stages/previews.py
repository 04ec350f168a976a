"""Previews of a fit, and the FID by which its checkpoint is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmark.errors import BenchmarkError, DataError, MetricError
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import Generator, positions
from benchmark.stages.job import first_line
from benchmark.stages.requests import Conditions
from benchmark.stages.samples import check_samples
from benchmark.tasks.profile import Previews

PREVIEW_SEED = 77


@dataclass
class PreviewFid:
    """Draws previews of a generator and measures them.

    Attributes:
        name: of the row.
        train, val: real images at the generator's size.
        settings: number of images, and whether one FID or that of each class chooses.
        conditions: draws what is requested beside the class.
        chunk: images per call of ``sample``.
        extractor: of the features.

    Source of ``per_class``: Schaudt et al. 2023, section 4.1 (50 against 50 images of a class).
    """

    name: str
    train: ImageSet
    val: ImageSet
    settings: Previews
    conditions: Conditions
    chunk: int
    extractor: str
    device: str
    _real: list[np.ndarray] = field(default_factory=list)

    def __call__(self, generator: Generator, context: SampleContext) -> float:
        """Draw a preview and return its FID; features of the real images are computed once."""
        labels, real = self._sides()
        drawn = [self._draw(generator, label, context) for label in labels]
        try:
            if not self._real:
                self._real = [self._features(images) for images in real]
            return self._mean_fid([self._features(images) for images in drawn])
        except BenchmarkError:
            raise
        except Exception as error:  # a fault of the suite itself, not of the generator
            raise MetricError("preview FID", f"{type(error).__name__}: {first_line(error)}") from error

    def _sides(self) -> tuple[list[np.ndarray], list[Any]]:
        """Return the labels to draw, and the real images to compare with, one of each per FID."""
        count, rng = self.settings.images, np.random.default_rng(PREVIEW_SEED)
        assert count is not None
        if self.settings.choice == "val":
            if not len(self.val):
                problem = "val has no image of the fitted classes to compare a preview with"
                raise DataError(f"generator '{self.name}'", problem, "Raise split.val, or fit jointly.")
            # the classes of val in its proportions, each present
            return [np.resize(self.val.label[rng.permutation(len(self.val))], count)], [self.val.image]
        labels, real = [], []
        for k in np.unique(self.train.label):
            rows = rng.permutation(np.flatnonzero(self.train.label == k))[:count]
            labels.append(np.full(count, k))
            real.append(self.train.image[np.sort(rows)])
        return labels, real

    def _draw(self, generator: Generator, label: np.ndarray, context: SampleContext) -> np.ndarray:
        """Draw images in chunks, each with a separate seed."""
        parts: list[np.ndarray] = []
        number = positions(label)
        for start in range(0, len(label), self.chunk):
            rows = slice(start, start + self.chunk)
            request = self.conditions.request(label[rows], number[rows], self.val.classes, self.val.size)
            own = SampleContext(
                context.device,
                context.precision,
                PREVIEW_SEED + start,
                context.assets,
                context.asset_hashes,
                self.settings.sampler_steps,
            )
            parts.append(check_samples(generator.sample(request, own), request, self.name).image)
        return np.concatenate(parts)

    def _features(self, images: Any) -> np.ndarray:
        from benchmark.metrics.extractor.features import features

        return features(images, self.extractor, self.device)

    def _mean_fid(self, drawn: Sequence[np.ndarray]) -> float:
        from benchmark.metrics.fid import fid

        return float(np.mean([fid(real, fake) for real, fake in zip(self._real, drawn, strict=True)]))
