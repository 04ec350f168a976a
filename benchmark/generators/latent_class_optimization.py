"""Latent class optimization: a GAN without classes, whose codes are optimized until a scorer sees a class.

Source: Segal et al. 2021, arXiv:2010.03975, sections 3.4, 4.3 and 4.5.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmark.errors import GeneratorError
from benchmark.generators import _latent_model as latent
from benchmark.generators import _network_training as training
from benchmark.generators._critic_retraining import Retraining, augmented
from benchmark.generators._latent_optimization import (
    ClassSampler,
    LatentOptimization,
    Scorer,
    score,
    thresholds,
)
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import BuiltinContext, SampleContext
from benchmark.plugins.generator import SampleRequest, Samples

version = "1"

card = {
    "title": "Latent class optimization",
    "role": "generator",
    "description": "A GAN learns from all images without labels. Its latent codes are optimized until a "
    "classifier of real images sees the requested class; 3 to 6 neighbors of a code are a patient.",
    "citation": "Segal et al. 2021, arXiv:2010.03975, Algorithm 1",
    "license": "Apache-2.0",
}

CONVERGED = "optimized codes that reach the threshold of their class"


class Params(latent.ModelParams, LatentOptimization):
    """The GAN, the scorer, and the optimization."""

    scorer: Literal["critic", "classifier"] = Field(
        "critic",
        description="the GAN's critic, trained to classify, or the classifier of the run; "
        "Segal et al. 2021, 4.3, where the critic is the better one",
    )

    @model_validator(mode="after")
    def _critic_exists(self) -> Self:
        if self.scorer == "critic" and not hasattr(latent.MODELS[self.model].Generator, "critic_features"):
            raise ValueError(f"scorer 'critic' is not retained by {self.model}; use scorer 'classifier'")
        return self


def tiny() -> dict[str, Any]:
    """Return parameters of a fit of seconds."""
    return {
        "model_params": latent.pggan.tiny(), "retraining_steps": 4, "retraining_batch": 4, "most_steps": 3,
        "attempts": 1,
    }  # fmt: skip


def search_space(trial: Any) -> dict[str, Any]:
    """Suggest the steps of the optimization, and those of a default PGGAN."""
    return {
        "model_params": latent.pggan.search_space(trial),
        "step_size": trial.suggest_float("step_size", 0.05, 5.0, log=True),
        "most_steps": trial.suggest_int("most_steps", 50, 500),
    }


def requires(params: Params) -> set[str]:
    """Return what these parameters need of the run."""
    return {"classifier"} if params.scorer == "classifier" else set()


class LatentClassOptimization(latent.LatentModel):
    """Draws synthetic patients of a class, each around a code that was optimized for it.

    Attributes:
        limits: threshold of each class's logit, None where *val* gives none; None before they are computed.
        columns: output of the classifier for each class; empty where the critic scores.
    """

    name = "latent_class_optimization"
    params_type = Params
    limits: tuple[float | None, ...] | None = None
    columns: list[int]
    classifier: Any = None

    @property
    def outputs(self) -> int:
        return len(self.classes) if self.params.scorer == "critic" else 0

    def begin(self, train: ImageSet, context: BuiltinContext) -> None:
        by_classifier = self.params.scorer == "classifier"
        self.columns = [train.classes.index(name) for name in self.classes] if by_classifier else []
        self.use_classifier(context.classifier)

    def use_classifier(self, classifier: Any) -> None:
        """Take the classifier of the run, if it is the scorer.

        Raises:
            GeneratorError: the run has none.
        """
        if self.params.scorer == "classifier" and classifier is None:
            raise GeneratorError(
                f"generator '{self.name}': scorer",
                "is 'classifier', which this run does not have",
                "Run it in a task, whose stage guide trains one; or use scorer: critic.",
            )
        self.classifier = classifier

    @property
    def scorer(self) -> Scorer:
        """The function from images to a logit of each class."""
        if self.params.scorer == "critic":
            return self.reused_critic
        return lambda images: self.classifier(images)[:, self.columns]

    def retraining(self, context: BuiltinContext) -> Retraining:
        """Train the critic as the classifier of section 3.3: weighted cross-entropy, AUROC of *val*."""
        truth = latent.memberships(self.train, self.classes)
        positive = truth.sum(0)
        # equation 3: every class has as much weight with the finding as without
        with_it, without = (
            torch.from_numpy(len(truth) / np.maximum(n, 1)).float().to(self.model.device)
            for n in (positive, len(truth) - positive)
        )
        label = torch.from_numpy(truth).to(self.model.device)
        images = np.ascontiguousarray(self.train.image)
        size = self.params.retraining_batch

        def loss(step: int, random: torch.Generator) -> Tensor:
            rows = training.draw_batch(self.position, size, step, context.seed, balance=0.0)
            pixels = training.to_network(images[rows], self.model.device).add(1).div(2)
            has = label[torch.from_numpy(rows).to(label.device)]
            weight = torch.where(has == 1, with_it, without)
            logits = self.reused_critic(augmented(pixels, random))
            return binary_cross_entropy_with_logits(logits, has.float(), weight=weight)

        assert self.head is not None
        return Retraining(
            self.model, self.head, context, self.params,
            loss=loss, quality=self._val_auroc, changed=self._forget_limits, name="val_auroc",
            epoch=len(self.train),
        )  # fmt: skip

    def _forget_limits(self) -> None:
        self.limits = None

    def _val_auroc(self) -> float:
        """Return the mean AUROC over the classes that *val* has with and without; 0.5 where it has none."""
        from sklearn.metrics import roc_auc_score

        assert self.context is not None
        val = self.context.val
        truth = latent.memberships(val, self.classes)
        logits = score(self.reused_critic, val.image, self.model.device)
        both = [k for k in range(len(self.classes)) if 0 < truth[:, k].sum() < len(truth)]
        return float(np.mean([roc_auc_score(truth[:, k], logits[:, k]) for k in both])) if both else 0.5

    def thresholds(self) -> tuple[float | None, ...]:
        """Return Youden's threshold of each class on *val*, computed again after each change."""
        if self.limits is None:
            assert self.context is not None
            val = self.context.val
            truth = latent.memberships(val, self.classes)
            self.limits = thresholds(self.scorer, val.image, truth, self.model.device)
        return self.limits

    def sample(self, request: SampleRequest, context: SampleContext) -> Samples:
        """Draw patients of the requested classes; an image depends on its class and number.

        Raises:
            GeneratorError: a class or size that was not fitted, or a class without a threshold.
        """
        label = self.class_index(request)
        self.model.use_average()
        sampler = ClassSampler(
            self, self.scorer, self.thresholds(), self.params, self.seed, self.model.device
        )
        image = np.empty((len(label), self.image_size, self.image_size), np.float32)
        patient, converged, patients = np.empty(len(label), object), 0, 0
        for k in np.unique(label):
            rows = label == k
            series = sampler.draw(int(k), request.index[rows], self.classes[k])
            image[rows], record = series.image, series.record()
            patient[rows] = [f"{self.classes[k]}-{number:06d}" for number in series.patient]
            converged, patients = converged + record["converged"], patients + record["patients"]
        return Samples(image, patient.astype(str), card={"shares": {CONVERGED: [converged, patients]}})

    def arrays(self) -> dict[str, np.ndarray]:
        limits = [np.nan if limit is None else limit for limit in self.thresholds()]
        return {**super().arrays(), "limits": np.array(limits, np.float64)}

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "columns": self.columns}

    def restore(
        self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], context: SampleContext
    ) -> None:
        super().restore(arrays, settings, context)
        self.columns = settings["columns"]
        self.limits = tuple(None if np.isnan(limit) else float(limit) for limit in arrays["limits"])
        self.use_classifier(context.classifier)


Generator = LatentClassOptimization
