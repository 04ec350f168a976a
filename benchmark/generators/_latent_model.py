"""Base of the rows that search the latent space of a GAN, which learns from all images without their labels.

The GAN is trained first. Then its critic may be trained for another purpose, with another last layer
(Segal et al. 2021, arXiv:2010.03975, sections 3.3 and 4.5). Both are one fit, with one count of steps.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
import torch
from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator
from torch import Tensor

from benchmark.generators import pggan, stylegan
from benchmark.generators._base import BaseGenerator
from benchmark.generators._critic_retraining import Retraining, new_head
from benchmark.generators._gan_layers import Linear
from benchmark.generators._growing_gan import GrowingGan
from benchmark.generators._network_training import seeded_weights
from benchmark.images.image_set import POSITIVE, ImageSet
from benchmark.plugins.contexts import BuiltinContext, FitContext, SampleContext

MODELS: dict[str, Any] = {"pggan": pggan, "stylegan": stylegan}
EVERYTHING = "all"  # the one class that the GAN learns
SEGAL = "Segal et al. 2021"


class ModelParams(BaseModel, extra="forbid", frozen=True):
    """The GAN, and the further training of its critic."""

    model: Literal["pggan", "stylegan"] = Field("pggan", description=f"the GAN; {SEGAL}, section 3.2")
    model_params: dict[str, Any] = Field(
        {}, validate_default=True, description="parameters of the GAN; its own defaults name their sources"
    )
    retraining_steps: int = Field(
        100_000, ge=2, description="of the critic with a new last layer; the paper gives none"
    )
    retraining_batch: int = Field(16, ge=1, description="images of such a step; the paper gives none")
    retraining_rate: float = Field(1e-3, gt=0, description=f"initial learning rate; {SEGAL}, section 3.3")

    @field_validator("model_params")
    @classmethod
    def _complete(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "model" not in info.data:  # which is the fault that is reported
            return value
        try:
            complete: dict[str, Any] = MODELS[info.data["model"]].Params(**value).model_dump(mode="json")
        except ValidationError as error:  # in one line, as every fault of a parameter
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        return complete


class LatentModel(BaseGenerator):
    """A GAN without classes, and its latent space; a subclass draws images of a class from it.

    Attributes:
        model: the GAN.
        head: the critic's new last layer; None where the critic is not trained further.
        context: of the running fit; None after loading.
    """

    model: GrowingGan
    head: Linear | None = None
    context: BuiltinContext | None = None

    @property
    def outputs(self) -> int:
        """Number of outputs of the critic's new last layer; 0 where the critic is not trained further."""
        raise NotImplementedError

    def begin(self, train: ImageSet, context: BuiltinContext) -> None:
        """Record what is to be learned from the images."""

    def retraining(self, context: BuiltinContext) -> Retraining:
        """Return how the critic is trained further."""
        raise NotImplementedError

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Train the GAN on all images, then its critic for its new purpose.

        Raises:
            GeneratorError: see ``_gan_training.GanGenerator.fit``.
        """
        self.position = self.record(train, context)
        self.train, self.context = train, cast(BuiltinContext, context)
        self.begin(train, self.context)
        self.model = self._new_model()
        state = context.load_state() or {}
        if "head" in state:
            self.model.record(unlabeled(train), context)
            self._restore_model(state["model"]["arrays"], state["model"]["settings"], context)
        else:
            further = self.params.retraining_steps if self.outputs else 0
            self.model.fit(unlabeled(train), cast(FitContext, ModelContext(context, further)))
            self.model.use_average()
            self._add_head()
        if self.outputs and not context.should_stop:
            self.retraining(self.context).run(state)

    def _new_model(self) -> GrowingGan:
        module = MODELS[self.params.model]
        model: GrowingGan = module.Generator(module.Params(**self.params.model_params))
        return model

    def _add_head(self) -> None:
        if self.outputs:
            with seeded_weights(self.seed + 1):
                self.head = new_head(self.model, self.outputs)

    def _restore_model(self, arrays: Mapping[str, Any], settings: Mapping[str, Any], context: Any) -> None:
        given = {name: np.asarray(array) for name, array in arrays.items()}
        self.model.restore(given, settings, context)
        self._add_head()

    def reused_critic(self, images: Tensor) -> Tensor:
        """Return the new outputs of the critic for (N, 1, S, S) images in [0, 1], each for itself."""
        assert self.head is not None
        outputs: Tensor = self.head(self.model.critic_features(images, alone=True))  # type: ignore[attr-defined]
        return outputs

    @property
    def latent_size(self) -> int:
        """See benchmark.plugins.latent_space.LatentSpace."""
        return self.model.latent_size

    def decode(self, latents: Tensor, label: Tensor, random: torch.Generator) -> Tensor:
        """See benchmark.plugins.latent_space.LatentSpace; the class does not count."""
        return self.model.decode(latents, torch.zeros_like(label), random)

    def arrays(self) -> dict[str, np.ndarray]:
        self.model.use_average()
        arrays = {f"model.{name}": array for name, array in self.model.arrays().items()}
        head = {} if self.head is None else self.head.state_dict()
        return arrays | {f"head.{name}": value.detach().cpu().numpy() for name, value in head.items()}

    def settings(self) -> dict[str, Any]:
        return {"model": self.model.settings()}

    def restore(
        self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], context: SampleContext
    ) -> None:
        self.model = self._new_model()
        self.model.classes, self.model.image_size = (EVERYTHING,), self.image_size
        self.model.seed, self.model.base = self.seed, self.base
        self._restore_model(part_of(arrays, "model."), settings["model"], context)
        if self.head is not None:
            head = part_of(arrays, "head.")
            self.head.load_state_dict({name: torch.from_numpy(array) for name, array in head.items()})


def part_of(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays whose names have a prefix, without it."""
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def unlabeled(images: ImageSet) -> ImageSet:
    """Return the images as a single class."""
    label = np.zeros(len(images), np.int64)
    return replace(images, label=label, classes=(EVERYTHING,), reported_labels=None, soft=None)


def memberships(images: ImageSet, classes: tuple[str, ...]) -> np.ndarray:
    """Return (N, K) uint8, 1 for every class that an image has, of single-label images."""
    has = np.eye(len(images.classes), dtype=bool)[images.label]
    if images.reported_labels is not None:
        has = has | (images.reported_labels == POSITIVE)
    return has[:, [images.classes.index(name) for name in classes]].astype(np.uint8)


class ModelContext:
    """Context of the GAN's part of a fit, which further steps follow: previews wait for these."""

    def __init__(self, context: FitContext, further: int) -> None:
        self._context, self._further = context, further

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def checkpoint(self, step: int, total: int, *, first: int = 0) -> None:
        """See benchmark.plugins.contexts.FitContext.checkpoint."""
        self._context.checkpoint(step, total + self._further, first=total if self._further else first)
