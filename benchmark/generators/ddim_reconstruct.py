"""Training images, noised and denoised by DDIM: what the paired SSIM and PSNR of Lan 2023 measure.

Such images are near-copies of training images. The memorization gate judges them.
"""

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from torch.nn import functional as F

from benchmark.generators import _network_training as training
from benchmark.generators import ddim
from benchmark.generators._base import NoParams
from benchmark.generators._image_bank import ImageBank
from benchmark.generators.ddpm import search_space
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext, SampleContext
from benchmark.plugins.generator import SampleRequest, Samples

__all__ = ["Generator", "Params", "card", "search_space", "tiny", "version"]

version = "1"

OWN = "own choice; Lan 2023 gives none"
BANK = "images"  # folder of the stored training images

card = {
    "title": "DDIM reconstruction",
    "role": "generator",
    "description": "Training images of the class, noised to a time and denoised by DDIM. They are near-"
    "copies of training images, no new patients: high SSIM and PSNR with their sources are no merit, and the "
    "memorization gate judges them.",
    "citation": "Song et al. 2020, arXiv:2010.02502; use: Lan 2023, Tables 13 and 14",
    "license": "Apache-2.0",
}


class Params(ddim.Params, extra="forbid", frozen=True):
    """Parameters of ``ddim``, and the time to which images are noised."""

    noised_to: float = Field(0.25, gt=0, le=1, description=f"share of the times; {OWN}")
    sources: int = Field(1000, ge=1, description=f"training images of a class that are stored; {OWN}")


def tiny() -> dict[str, Any]:
    """Return parameters of a fit of seconds."""
    return ddim.tiny()


class Bank(ImageBank):
    """The stored training images."""

    name = "ddim_reconstruct"


class Reconstruction(ddim.DDIM):
    """Noise a training image to a time and denoise it; each sample names its source."""

    name = "ddim_reconstruct"
    params_type = Params
    formats: ClassVar[frozenset[str]] = frozenset()  # training images lie beside the pipeline

    bank: Bank

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Store up to ``sources`` images of each class, and train as ``ddim``.

        Raises:
            GeneratorError: as ``ddim``.
        """
        rng = np.random.default_rng([context.seed, 4])
        members = [np.flatnonzero(train.label == k) for k in np.unique(train.label)]
        most = self.params.sources
        stored = [m if len(m) <= most else np.sort(rng.choice(m, most, replace=False)) for m in members]
        self.bank = Bank(NoParams())
        if len(train):
            self.bank.store(train.select(np.concatenate(stored)), context)
        super().fit(train, context)

    @torch.no_grad()
    def sample(self, request: SampleRequest, context: SampleContext) -> Samples:
        """Reconstruct stored images of the requested classes, all equally often.

        Raises:
            GeneratorError: a class or size that was not fitted, or more steps than times of the diffusion.
        """
        if self.average is not None:
            self.average.copy_to(self.network.parameters())
        originals = self.bank.sample(request, context)
        label = torch.from_numpy(self.class_index(request)).to(self.device)
        scheduler = self.prepared_sampler(context.sampler_steps)
        limit = self.params.noised_to * self.params.noise_steps
        times = scheduler.timesteps[scheduler.timesteps < limit]
        if not len(times):
            times = scheduler.timesteps[-1:]  # the earliest time of a coarse sampler
        random = torch.Generator(self.device).manual_seed(context.seed)
        clean = F.pixel_unshuffle(training.to_network(originals.image, self.device), self.params.unshuffle)
        noise = torch.randn(clean.shape, generator=random, device=self.device)
        x = scheduler.add_noise(clean, noise, times[0].expand(len(clean)).to(self.device))
        images = self.denoise(x, label, scheduler, times, random)
        return Samples(training.to_pixels(images), source_id=originals.source_id, labels=originals.labels)

    def save(self, folder: Path) -> None:
        """Write the pipeline folder, and the stored images beside it."""
        super().save(folder)
        self.bank.save(folder / BANK)

    @classmethod
    def load(cls, folder: Path, context: SampleContext) -> Self:
        """Read what ``save`` wrote.

        Raises:
            GeneratorError: a file is missing or broken.
        """
        generator = super().load(folder, context)
        generator.bank = Bank.load(folder / BANK, context)
        return generator


Generator = Reconstruction
