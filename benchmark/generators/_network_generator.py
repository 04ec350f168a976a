"""Base of the generators that train networks: averaged weights, reports, sampling, saving."""

import copy
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.errors import GeneratorError
from benchmark.generators._base import BaseGenerator
from benchmark.generators._network_training import Batches, to_pixels
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext, SampleContext
from benchmark.plugins.generator import SampleRequest, Samples
from benchmark.utils.training_state import autocast

LOGGED = 50  # approximate number of entries in the curves of a fit


class NetworkGenerator(BaseGenerator):
    """Train a network and sample from the moving average of its weights.

    A subclass implements ``build`` and ``draw``; its ``params`` have ``balance``, ``average`` and, unless it
    overrides that, ``steps``.

    Attributes:
        network: the network that is sampled from and saved.
        average: the moving average during a fit (diffusers' ``EMAModel``), else None.
    """

    network: nn.Module
    average: Any = None

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.device, self.precision = "cpu", "float32"

    def build(self) -> nn.Module:
        """Build the network with random weights, on the device."""
        raise NotImplementedError

    def draw(self, label: Tensor, random: torch.Generator, steps: int | None) -> Tensor:
        """Draw (N, 1, S, S) images in about [-1, 1] of (N,) classes.

        Args:
            steps: of the sampler, where it has any; None for the generator's own.
        """
        raise NotImplementedError

    @property
    def steps(self) -> int:
        """Number of steps of a fit."""
        return int(self.params.steps)

    def is_logged(self, step: int) -> bool:
        """Return whether a step is logged, about fifty times along the fit: it makes the device wait."""
        return step % max(1, self.steps // LOGGED) == 0 or step == self.steps

    def autocast(self) -> AbstractContextManager[None]:
        """Return a context that computes in the precision of the fit."""
        return autocast(self.device, self.precision)

    def start(self, train: ImageSet, context: FitContext) -> Batches:
        """Record the classes, the device and the precision of a fit; return its batches.

        Raises:
            GeneratorError: there are no images, or they are not square.
        """
        self.device, self.precision = context.device, context.precision
        return Batches(train, self.record(train, context), context, self.params.balance)

    def start_average(self, live: nn.Module) -> None:
        """Average the weights of ``live`` from here on; the average moves faster at first.

        With ``params.average`` 0 there is no average: ``live`` itself is sampled from and saved.
        """
        from diffusers.training_utils import EMAModel

        if not self.params.average:
            self.network = live
            return
        self.network = copy.deepcopy(live)
        self.average = EMAModel(live.parameters(), decay=self.params.average, foreach=True)

    def update_average(self, live: nn.Module, since: int | None = None) -> None:
        """Move the average towards ``live``.

        Args:
            since: steps since the average began, if it began anew.
        """
        if self.average is None:
            return
        if since is not None:
            self.average.optimization_step = since
        self.average.step(live.parameters())

    def use_average(self) -> None:
        """Give ``network`` the averaged weights of a fit that goes on."""
        if self.average is not None:
            self.average.copy_to(self.network.parameters())

    def averages(self) -> dict[str, Any]:
        """Return the average as a part of a fit's state; nothing without one."""
        return {} if self.average is None else {"average": self.average}

    def log(self, step: int, losses: Mapping[str, Tensor], context: FitContext, **scalars: float) -> None:
        """Log a step that is to be logged.

        Raises:
            GeneratorError: a loss is NaN or infinite.
        """
        if self.is_logged(step):
            context.log(step, **{name: float(loss) for name, loss in losses.items()}, **scalars)

    def has_failed(self, step: int, loss: Tensor, context: FitContext) -> bool:
        """End the fit if the loss of a logged step is not finite; return whether it ended.

        Raises:
            GeneratorError: there is no earlier preview, which would stand.
        """
        failed = self.is_logged(step) and not bool(torch.isfinite(loss))
        if failed:
            context.stop(step, f"loss is {loss.item()} at step {step}")
        return failed

    def refuse_steps(self, steps: int | None, noise_steps: int) -> None:
        """Refuse more steps of a sampler than the diffusion has times.

        Raises:
            GeneratorError: names both.
        """
        if steps is not None and steps > noise_steps:
            raise GeneratorError(
                f"generator '{self.name}': sampler_steps",
                f"is {steps}, but the diffusion has {noise_steps} times",
                f"Use at most {noise_steps}.",
            )

    @torch.no_grad()
    def sample(self, request: SampleRequest, context: SampleContext) -> Samples:
        """Draw images from the averaged weights; the same seed gives the same bytes.

        Raises:
            GeneratorError: a class or size that was not fitted, or NaN.
        """
        self.use_average()
        random = torch.Generator(self.device).manual_seed(context.seed)
        label = torch.from_numpy(self.class_index(request)).to(self.device)
        return Samples(to_pixels(self.draw(label, random, context.sampler_steps)))

    def save(self, folder: Path) -> None:
        """Write the averaged weights as safetensors, and everything else as JSON."""
        self.use_average()
        super().save(folder)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights by name."""
        state = self.network.state_dict()
        return {k: v.detach().cpu().contiguous().numpy() for k, v in state.items()}

    def settings(self) -> dict[str, Any]:
        """Return the precision of the fit, and the version of the code."""
        return {"precision": self.precision, "version": self.code_version()}

    @classmethod
    def code_version(cls) -> str:
        """Return the version of the plug-in."""
        return str(getattr(sys.modules[cls.__module__], "version", ""))

    def restore(
        self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], context: SampleContext
    ) -> None:
        """Build the network with stored weights, on the device.

        Raises:
            GeneratorError: the version of the code, names or shapes differ.
        """
        saved = settings.get("version", self.code_version())
        if saved != self.code_version():
            raise GeneratorError(
                f"generator '{self.name}'",
                f"was saved by its version {saved}, this is version {self.code_version()}",
                "Fit it again.",
            )
        self.device, self.precision = context.device, settings["precision"]
        self.network = self.build()
        self.load_weights(self.network, arrays)

    def load_weights(self, network: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
        """Load stored weights by name.

        Raises:
            GeneratorError: names or shapes differ.
        """
        try:
            network.load_state_dict({k: torch.from_numpy(v) for k, v in arrays.items()})
        except RuntimeError as error:
            first = str(error).splitlines()[-1].strip()
            raise GeneratorError(
                f"generator '{self.name}'", f"the stored weights do not fit: {first}", "Fit it again."
            ) from error
