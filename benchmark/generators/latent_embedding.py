"""Embedded images: the GAN's image of the code of each real image, with the labels of the real one.

The baseline of latent class optimization. The critic is trained to predict the code of a synthetic image.

Source: Segal et al. 2021, arXiv:2010.03975, section 4.5.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from benchmark.generators import _latent_model as latent
from benchmark.generators._critic_retraining import Retraining
from benchmark.generators._image_bank import drawn_equally
from benchmark.generators._latent_optimization import BATCH, decoded, score
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import BuiltinContext, SampleContext
from benchmark.plugins.generator import SampleRequest, Samples

version = "1"

card = {
    "title": "Latent embedding",
    "role": "generator",
    "description": "A GAN learns from all images without labels, then its critic learns to predict codes. "
    "Real images go through both, and retain their labels.",
    "citation": "Segal et al. 2021, arXiv:2010.03975, section 4.5",
    "license": "Apache-2.0",
}

HELD_OUT = 64  # synthetic images that measure the encoder


class Params(latent.ModelParams):
    """The GAN, and the training of the encoder."""

    model: Literal["pggan"] = Field("pggan", description="the GAN; Segal et al. 2021, section 3.2")


def tiny() -> dict[str, Any]:
    """Return parameters of a fit of seconds."""
    return {"model_params": latent.pggan.tiny(), "retraining_steps": 4, "retraining_batch": 4}


def search_space(trial: Any) -> dict[str, Any]:
    """Suggest the parameters of the PGGAN, and the encoder's learning rate."""
    return {
        "model_params": latent.pggan.search_space(trial),
        "retraining_rate": trial.suggest_float("retraining_rate", 1e-4, 1e-2, log=True),
    }


class LatentEmbedding(latent.LatentModel):
    """Stores the code, the labels and the patient of every training image.

    Attributes:
        codes: (N, D) of the training images; None before they are computed.
        position: (N,) class of each; ``report`` (N, K) has all its classes, where they are known.
    """

    name = "latent_embedding"
    params_type = Params
    codes: np.ndarray | None = None
    report: np.ndarray | None = None

    @property
    def outputs(self) -> int:
        return int(self.params.model_params["latent"])

    def begin(self, train: ImageSet, context: BuiltinContext) -> None:
        self.report = train.reported_labels
        self.image_id, self.patient_id = train.image_id.astype(str), train.patient_id.astype(str)

    def retraining(self, context: BuiltinContext) -> Retraining:
        """Train the critic by the mean squared error of the codes of synthetic images."""
        model, size = self.model, self.params.retraining_batch
        held_out = model.latents(HELD_OUT, torch.Generator(model.device).manual_seed(context.seed))

        def error(codes: Tensor, random: torch.Generator) -> Tensor:
            with torch.no_grad():
                label = torch.zeros(len(codes), dtype=torch.int64, device=model.device)
                images = self.decode(codes, label, random)
            return (self.reused_critic(images) - codes).square().mean()

        def quality() -> float:
            random = torch.Generator(model.device).manual_seed(context.seed)
            return -float(torch.stack([error(part, random) for part in held_out.split(BATCH)]).mean())

        assert self.head is not None
        return Retraining(
            model, self.head, context, self.params,
            loss=lambda step, random: error(model.latents(size, random), random),
            quality=quality, changed=self._forget_codes, name="negative_code_error", epoch=len(self.train),
        )  # fmt: skip

    def _forget_codes(self) -> None:
        self.codes = None

    def embedded(self) -> np.ndarray:
        """Return the (N, D) codes of the training images; computed again after each change of the encoder."""
        if self.codes is None:
            self.codes = score(self.reused_critic, self.train.image, self.model.device).astype(np.float32)
        return self.codes

    def sample(self, request: SampleRequest, context: SampleContext) -> Samples:
        """Return the images of the codes of real images of the classes, all equally often.

        Raises:
            GeneratorError: a class or size that was not fitted.
        """
        drawn = drawn_equally(self.position, self.class_index(request), request.index, self.seed)
        self.model.use_average()
        codes = torch.from_numpy(self.embedded()[drawn]).to(self.model.device)
        image = decoded(
            self, codes, torch.zeros(len(codes), dtype=torch.int64, device=codes.device), self.seed
        )
        return Samples(
            image,
            patient_id=self.patient_id[drawn],
            source_id=self.image_id[drawn],
            labels=None if self.report is None else self.report[drawn],
        )

    def arrays(self) -> dict[str, np.ndarray]:
        report = {} if self.report is None else {"report": self.report}
        return {**super().arrays(), "codes": self.embedded(), "position": self.position, **report}

    def settings(self) -> dict[str, Any]:
        ids = {"image_id": self.image_id.tolist(), "patient_id": self.patient_id.tolist()}
        return {**super().settings(), **ids}

    def restore(
        self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], context: SampleContext
    ) -> None:
        super().restore(arrays, settings, context)
        self.codes, self.position, self.report = arrays["codes"], arrays["position"], arrays.get("report")
        self.image_id, self.patient_id = np.array(settings["image_id"]), np.array(settings["patient_id"])


Generator = LatentEmbedding
