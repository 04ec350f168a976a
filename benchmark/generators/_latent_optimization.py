"""Latent class optimization: codes of an unconditional generator whose images show a class.

The generator is anything that decodes codes differentiably. The scorer is anything that gives logits: a
classifier of real images, or a critic whose last layer was replaced.

Source: Segal et al. 2021, arXiv:2010.03975, sections 3.4 (Algorithm 1), 4.3 and 4.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor

from benchmark.errors import GeneratorError
from benchmark.statistics.youden import youden_threshold

Scorer = Callable[[Tensor], Tensor]  # (N, 1, S, S) images in [0, 1] to (N, K) logits
BATCH = 16  # codes that are optimized together, and images that are decoded together
SIZES, START, MEMBER, RISE = 0, 1, 2, 3  # what a random number is for


class LatentOptimization(BaseModel, extra="forbid", frozen=True):
    """Settings; every default cites its source."""

    truncation: float = Field(
        0.7, gt=0, description="of the normal law of first codes; Segal et al. 2021, 4.3"
    )
    step_size: float = Field(0.5, gt=0, description="alpha of Algorithm 1; the paper gives none")
    most_steps: int = Field(200, ge=1, description="limit of the steps; the paper gives none")
    attempts: int = Field(
        3,
        ge=1,
        description="first codes of a patient, until one reaches the threshold; "
        "the paper gives no number, but success rests on the first code (4.3)",
    )
    severity: tuple[float, float] | None = Field(
        (1.0, 1.0),
        description="mean and standard deviation of the normal law whose absolute value raises a threshold, "
        "in logits; None for no raise; Segal et al. 2021, 4.3",
    )
    neighbors: tuple[int, int] = Field(
        (3, 6), description="fewest and most images of a synthetic patient; Segal et al. 2021, 4.5"
    )
    spread: float = Field(0.2, ge=0, description="standard deviation around a code; Segal et al. 2021, 4.3")


class Decoder(Protocol):
    """A fitted generator with a latent space; ``decode`` gives (N, 1, S, S) images in about [0, 1]."""

    @property
    def latent_size(self) -> int: ...
    def decode(self, latents: Tensor, label: Tensor, random: torch.Generator) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Optimized:
    """Codes after optimization.

    Attributes:
        latents: (N, D).
        score: (N,) logit of the class.
        steps: (N,) steps taken, on the CPU; of all attempts.
        converged: (N,) bool, True where the score reaches the threshold.
    """

    latents: Tensor
    score: Tensor
    steps: Tensor
    converged: Tensor


@dataclass(frozen=True, eq=False)
class Series:
    """Images of synthetic patients, one entry per image.

    Attributes:
        image: (N, S, S) float32 in [0, 1].
        patient: (N,) number of the patient within the class.
        member: (N,) number of the image within the patient.
        threshold, steps, converged: (N,) of the patient's code.
    """

    image: np.ndarray
    patient: np.ndarray
    member: np.ndarray
    threshold: np.ndarray
    steps: np.ndarray
    converged: np.ndarray

    def record(self) -> dict[str, Any]:
        """Return patients, those that converged, and steps of all; a patient counts by its first image."""
        first = self.member == 0
        return {
            "patients": int(first.sum()),
            "converged": int(self.converged[first].sum()),
            "steps": int(self.steps[first].sum()),
        }


def score(scorer: Scorer, images: Any, device: str) -> np.ndarray:
    """Return the (N, K) float64 outputs of a scorer for (N, H, W) uint8 images, batch by batch."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(images), BATCH):
            pixels = torch.from_numpy(np.array(images[start : start + BATCH])).to(device)
            parts.append(scorer(pixels.float().div(255).unsqueeze(1)).double().cpu().numpy())
    return np.concatenate(parts)


def decoded(decoder: Decoder, latents: Tensor, label: Tensor, seed: int) -> np.ndarray:
    """Return the (N, S, S) float32 images in [0, 1] of (N, D) codes and (N,) classes, batch by batch."""
    parts = []
    with torch.no_grad():
        for codes, labels in zip(latents.split(BATCH), label.split(BATCH), strict=True):
            images = decoder.decode(codes, labels, _random(seed, codes))
            parts.append(images[:, 0].float().clamp(0, 1).cpu().numpy())
    return np.concatenate(parts)


def thresholds(
    scorer: Scorer, images: np.ndarray, label: np.ndarray, device: str = "cpu"
) -> tuple[float | None, ...]:
    """Return Youden's threshold of the logit of each class, None for a class that has none.

    Args:
        scorer: gives K logits.
        images: (N, H, W) uint8, real images of *val*.
        label: (N,) class index, or (N, K) 1 for every class of an image.
        device: torch device.
    """
    logits = score(scorer, images, device)
    truth = label if label.ndim == 2 else np.eye(logits.shape[1], dtype=np.int64)[label]
    both = (truth.min(0) == 0) & (truth.max(0) == 1)
    return tuple(
        youden_threshold(truth[:, k], logits[:, k]) if both[k] else None for k in range(logits.shape[1])
    )


def optimize(
    decoder: Decoder, scorer: Scorer, start: Tensor, label: int, threshold: Tensor,
    settings: LatentOptimization, seed: int,
) -> Optimized:  # fmt: skip
    """Ascend the logit of a class by gradient steps on each code until it reaches its threshold.

    A code stops at its threshold, at the limit of steps, or where its score or gradient is not finite.

    Args:
        start: (N, D) first codes.
        label: class index.
        threshold: (N,) logits.
        seed: of everything that the codes do not decide, the same at every step.
    Source: Segal et al. 2021, Algorithm 1.
    """
    latents, steps = start.detach().clone(), torch.zeros(len(start), dtype=torch.int64)
    threshold = threshold.to(latents.device)
    labels = torch.full((len(start),), label, device=latents.device)
    active = torch.ones(len(start), dtype=torch.bool, device=latents.device)
    for _ in range(settings.most_steps):
        with torch.enable_grad():
            codes = latents.clone().requires_grad_(True)
            score = scorer(decoder.decode(codes, labels, _random(seed, latents)))[:, label].float()
            (gradient,) = torch.autograd.grad(score.sum(), codes)
        finite = score.isfinite() & gradient.isfinite().all(1)
        active = active & finite & (score < threshold)
        if not active.any():
            break
        latents[active] += settings.step_size * gradient[active]
        steps += active.cpu()
    with torch.no_grad():
        score = scorer(decoder.decode(latents, labels, _random(seed, latents)))[:, label].float()
    return Optimized(latents, score, steps, score >= threshold)


def _random(seed: int, like: Tensor) -> torch.Generator:
    return torch.Generator(like.device).manual_seed(seed)


class ClassSampler:
    """Draws synthetic patients of one class at a time; an image depends on its class and number alone.

    Attributes:
        thresholds: of the logits, by class; None where *val* gives none.
        seed: of all randomness.
    """

    def __init__(
        self, decoder: Decoder, scorer: Scorer, thresholds: Sequence[float | None],
        settings: LatentOptimization, seed: int, device: str = "cpu",
    ) -> None:  # fmt: skip
        self.decoder, self.scorer, self.thresholds = decoder, scorer, thresholds
        self.settings, self.seed, self.device = settings, seed, device

    def draw(self, label: int, index: np.ndarray, name: str = "") -> Series:
        """Draw images of a class.

        Args:
            label: class index.
            index: (N,) numbers of the images among those of the class.
            name: of the class, for the message.
        Raises:
            GeneratorError: *val* has no threshold for the class.
        """
        base = self.thresholds[label]
        if base is None:
            raise GeneratorError(
                f"class '{name or label}'",
                "has no threshold, since val lacks images with or without it",
                "Raise split.val, or leave the class out of mix.classes.",
            )
        patient, member = self.places(label, index)
        patients = np.unique(patient)
        of_patient = np.searchsorted(patients, patient)
        raised = base + np.array([self._rise(label, int(p)) for p in patients])
        optimized = self._optimized(label, patients, raised)
        noise = np.stack([self._rng(label, MEMBER, int(p), int(m)).normal(size=self.decoder.latent_size)
                          for p, m in zip(patient, member, strict=True)])  # fmt: skip
        centers = optimized.latents[torch.from_numpy(of_patient).to(self.device)]
        latents = centers + self.settings.spread * self._tensor(noise)
        return Series(
            image=decoded(
                self.decoder, latents, torch.full((len(latents),), label, device=self.device), self.seed
            ),
            patient=patient,
            member=member,
            threshold=raised[of_patient],
            steps=optimized.steps.numpy()[of_patient],
            converged=optimized.converged.cpu().numpy()[of_patient],
        )

    def places(self, label: int, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the patient of each image, and its number within the patient's series."""
        fewest, most = self.settings.neighbors
        count = int(index.max(initial=0)) // fewest + 1
        last = np.cumsum(self._rng(label, SIZES).integers(fewest, most + 1, size=count))
        patient = np.searchsorted(last, index, side="right")
        return patient, index - np.append(0, last)[patient]

    def _start(self, label: int, patient: int, attempt: int = 0) -> np.ndarray:
        """Return a first code of a patient."""
        from scipy.stats import truncnorm

        rng, limit = self._rng(label, START, patient, attempt), self.settings.truncation
        code: np.ndarray = truncnorm.ppf(rng.random(self.decoder.latent_size), -limit, limit)
        return code

    def _rise(self, label: int, patient: int) -> float:
        """Return the raise of a patient's threshold."""
        severity = self.settings.severity
        return 0.0 if severity is None else abs(self._rng(label, RISE, patient).normal(*severity))

    def _optimized(self, label: int, patients: np.ndarray, raised: np.ndarray) -> Optimized:
        """Optimize a code of each patient; of several attempts the highest score counts."""
        best = self._attempt(label, patients, raised, 0)
        for attempt in range(1, self.settings.attempts):
            left = (~best.converged).nonzero().squeeze(1)
            if not len(left):
                break
            where = left.cpu().numpy()
            again = self._attempt(label, patients[where], raised[where], attempt)
            better = again.converged | (again.score > best.score[left])
            best.steps[left.cpu()] += again.steps
            for name in ("latents", "score", "converged"):
                getattr(best, name)[left[better]] = getattr(again, name)[better]
        return best

    def _attempt(self, label: int, patients: np.ndarray, raised: np.ndarray, attempt: int) -> Optimized:
        start = np.stack([self._start(label, int(p), attempt) for p in patients])
        parts = [
            optimize(
                self.decoder, self.scorer, self._tensor(start[i : i + BATCH]), label,
                self._tensor(raised[i : i + BATCH]), self.settings, self.seed,
            )
            for i in range(0, len(start), BATCH)
        ]  # fmt: skip
        names = ("latents", "score", "steps", "converged")
        return Optimized(*(torch.cat([getattr(part, name) for part in parts]) for name in names))

    def _rng(self, label: int, *what: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, label, *what])

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.float32)).to(self.device)
