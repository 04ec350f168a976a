"""Base of the generators that train networks: averaged weights, reports, sampling, saving."""

import copy
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.errors import GeneratorError
from benchmark.generators._base import BaseGenerator
from benchmark.generators._network_training import Batches, place, to_pixels
from benchmark.images.image_set import ImageSet
from benchmark.plugins.generator import FitContext, SampleRequest, synthetic_set
from benchmark.utils.training_state import autocast

SAMPLE_BATCH = 64  # fixed, so that the same seed gives the same bytes


class NetworkGenerator(BaseGenerator):
    """Train a network and sample from the moving average of its weights.

    A subclass implements ``build`` and ``draw``; its ``params`` have ``steps``, ``previews``, ``balance`` and
    ``average``.

    Attributes:
        network: the network that is sampled from and saved.
        average: the moving average during a fit (diffusers' ``EMAModel``).
    """

    network: nn.Module
    average: Any

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.device, self.precision = "cpu", "float32"

    def build(self) -> nn.Module:
        """Build the network with random weights, on the device."""
        raise NotImplementedError

    def draw(self, label: Tensor, random: torch.Generator) -> Tensor:
        """Draw (N, 1, S, S) images in about [-1, 1] of (N,) classes."""
        raise NotImplementedError

    def autocast(self) -> AbstractContextManager[None]:
        """Return a context that computes in the precision of the fit."""
        return autocast(torch.device(self.device).type, self.precision)

    def start(self, train: ImageSet, context: FitContext) -> Batches:
        """Record the classes, the device and the precision of a fit; return its batches.

        Raises:
            GeneratorError: there are no images, or they are not square.
        """
        self.device, self.precision = context.device, context.precision
        return Batches(train, self.record_classes(train), context, self.params.balance)

    def start_average(self, live: nn.Module) -> None:
        """Average the weights of ``live`` from here on; the average moves faster at first."""
        from diffusers.training_utils import EMAModel

        self.network = copy.deepcopy(live)
        self.average = EMAModel(live.parameters(), decay=self.params.average, foreach=True)

    def use_average(self) -> None:
        """Copy the averaged weights into the network that is sampled from."""
        self.average.copy_to(self.network.parameters())

    def report(
        self, step: int, losses: Mapping[str, Tensor], context: FitContext, first: int = 0, **scalars: float
    ) -> bool:
        """Report about fifty times, with a preview ``params.previews`` times after step ``first``.

        Returns:
            True when the fit should stop.
        Raises:
            GeneratorError: a loss is NaN or infinite.
        """
        p, since = self.params, step - first
        preview = since > 0 and since % math.ceil((p.steps - first) / p.previews) == 0
        preview = preview or step == p.steps
        if not preview and step % max(1, p.steps // 50):
            return False
        values = {name: float(loss) for name, loss in losses.items()}
        check_finite(values, self.name, step)
        self.use_average()
        sampler = (lambda request, seed: self.sample(request, seed=seed)) if preview else None
        return context.report(step, p.steps, sampler, **values, **scalars)

    @torch.no_grad()
    def sample(self, request: SampleRequest, *, seed: int) -> ImageSet:
        """Draw images; the same seed gives the same bytes.

        Raises:
            GeneratorError: a class or size that was not fitted, or NaN.
        """
        random = torch.Generator(self.device).manual_seed(seed)
        labels = torch.from_numpy(self.class_index(request)).to(self.device).split(SAMPLE_BATCH)
        images = [to_pixels(self.draw(label, random)) for label in labels]
        return synthetic_set(np.concatenate(images), request, generator=self.name)

    def to(self, device: str) -> Self:
        """Move to a device; a loaded generator starts on the CPU."""
        self.device, self.network = device, place(self.network, device)
        return self

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights by name."""
        state = self.network.state_dict()
        return {k: v.detach().cpu().contiguous().numpy() for k, v in state.items()}

    def settings(self) -> dict[str, Any]:
        """Return the precision of the fit."""
        return {"precision": self.precision}

    def restore(self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> None:
        """Build the network with stored weights.

        Raises:
            GeneratorError: names or shapes differ.
        """
        self.precision, self.network = settings["precision"], self.build()
        try:
            self.network.load_state_dict({k: torch.from_numpy(v) for k, v in arrays.items()})
        except RuntimeError as error:
            first = str(error).splitlines()[-1].strip()
            raise GeneratorError(
                f"generator '{self.name}'", f"the stored weights do not fit: {first}", "Fit it again."
            ) from error


def check_finite(losses: Mapping[str, float], name: str, step: int) -> None:
    """Raise if a loss is NaN or infinite.

    Raises:
        GeneratorError: names the step and the remedy.
    """
    for loss in losses.values():
        if not math.isfinite(loss):
            raise GeneratorError(
                f"generator '{name}'",
                f"the loss is {loss} at step {step}",
                "Lower learning_rate, or use precision float32.",
            )
