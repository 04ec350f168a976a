"""Previews of a fit: the FID by which its checkpoint is chosen, and the figures and images of each class."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmark.errors import BenchmarkError, DataError, MetricError
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import Generator, positions
from benchmark.plugins.metric import FEWEST_IMAGES
from benchmark.stages.job import first_line
from benchmark.stages.records import FID_OF, MS_SSIM_OF
from benchmark.stages.requests import Conditions
from benchmark.stages.samples import check_samples
from benchmark.tasks.profile import Previews

PREVIEW_SEED = 77
COMPARED = 50  # images of a class in its MS-SSIM; Schaudt et al. 2023, section 4.1
COMPARED_ON_VAL = 20  # of a preview that is not measured class by class: a sixth of the pairs
SHOWN = 4  # images of a class in a figure; Schaudt et al. 2023, Figure 3


@dataclass(frozen=True, eq=False)
class Preview:
    """A measured preview.

    Attributes:
        fid: decides on the checkpoint.
        scalars: FID and MS-SSIM of each class, by name.
        image: (M, S, S) uint8, the first images of each class.
        label: (M,) class index.
    """

    fid: float
    scalars: dict[str, float] = field(default_factory=dict)
    image: np.ndarray | None = None
    label: np.ndarray | None = None


@dataclass
class PreviewFid:
    """Draws previews of a generator and measures them.

    A class has a FID with at least 20 images on both sides, and an MS-SSIM with two images; with ``choice``
    ``per_class`` they are the points of Figures 2 and 4 of Schaudt et al. 2023.

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

    def __call__(self, generator: Generator, context: SampleContext) -> Preview:
        """Draw a preview and measure it; features of the real images are computed once."""
        labels, real, real_labels = self._sides()
        drawn = [self._draw(generator, label, context) for label in labels]
        try:
            if not self._real:
                self._real = [self._features(images) for images in real]
            fakes = [self._features(images) for images in drawn]
            return self._measured(fakes, np.concatenate(drawn), np.concatenate(labels), real_labels)
        except BenchmarkError:
            raise
        except Exception as error:  # a fault of the suite itself, not of the generator
            raise MetricError("preview FID", f"{type(error).__name__}: {first_line(error)}") from error

    def _measured(
        self, fakes: list[np.ndarray], image: np.ndarray, label: np.ndarray, real_labels: list[np.ndarray]
    ) -> Preview:
        """Return the mean FID over the sides, the figures of each class, and some images of each."""
        from benchmark.metrics.fid import fid

        real, known = np.concatenate(self._real), np.concatenate(real_labels)
        fake, scalars = np.concatenate(fakes), dict(self._diversity(image, label))
        for k in np.unique(label):
            a, b = real[known == k], fake[label == k]
            if min(len(a), len(b)) >= FEWEST_IMAGES:
                scalars[f"{FID_OF}{self.val.classes[k]}"] = fid(a, b)
        shown = np.concatenate([np.flatnonzero(label == k)[:SHOWN] for k in np.unique(label)])
        mean = float(np.mean([fid(a, b) for a, b in zip(self._real, fakes, strict=True)]))
        return Preview(mean, scalars, image[shown], label[shown])

    def _diversity(self, image: np.ndarray, label: np.ndarray) -> Iterator[tuple[str, float]]:
        """Yield the MS-SSIM of each class that has two images, by name."""
        from benchmark.metrics.ms_ssim import KERNEL, pairwise, scales_that_fit

        most = COMPARED_ON_VAL if self.settings.choice == "val" else COMPARED
        if image.shape[1] < KERNEL:
            return
        for k in np.unique(label):
            own = image[label == k][:most]
            if len(own) > 1:
                mean = pairwise(own, scales_that_fit(image.shape[1]), self.device).mean()
                yield f"{MS_SSIM_OF}{self.val.classes[k]}", float(mean)

    def _sides(self) -> tuple[list[np.ndarray], list[Any], list[np.ndarray]]:
        """Return labels to draw, real images to compare with and their labels, one of each per FID."""
        count, rng = self.settings.images, np.random.default_rng(PREVIEW_SEED)
        assert count is not None
        if self.settings.choice == "val":
            if not len(self.val):
                problem = "val has no image of the fitted classes to compare a preview with"
                raise DataError(f"generator '{self.name}'", problem, "Raise split.val, or fit jointly.")
            # the classes of val in its proportions, each present
            drawn = np.resize(self.val.label[rng.permutation(len(self.val))], count)
            return [drawn], [self.val.image], [self.val.label]
        labels, real, known = [], [], []
        for k in np.unique(self.train.label):
            rows = rng.permutation(np.flatnonzero(self.train.label == k))[:count]
            labels.append(np.full(count, k))
            real.append(self.train.image[np.sort(rows)])
            known.append(np.full(len(rows), k))
        return labels, real, known

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
                context.classifier,
            )
            parts.append(check_samples(generator.sample(request, own), request, self.name).image)
        return np.concatenate(parts)

    def _features(self, images: Any) -> np.ndarray:
        from benchmark.metrics.extractor.features import features

        return features(images, self.extractor, self.device)
