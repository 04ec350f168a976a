"""A profile of a task: its size, generators, classifiers and length of training."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from benchmark.tasks.classifier import Budget, ClassifierConfig
from benchmark.tasks.rules import Strict

FitUnit = Literal["joint", "per_class", "per_image"]


class Measures(Strict):
    """Settings of the measures of synthetic images.

    Attributes:
        preview_images: images of a preview during a fit.
        metrics: parameters of each metric, by its name or the path of its Python file.
    """

    extractor: str = "auto"
    preview_images: int = Field(250, ge=10)
    metrics: dict[str, dict[str, Any]] = {"fid": {}, "kid": {}, "ms_ssim": {}}

    def hashed(self, extractor: str) -> dict[str, Any]:
        """Return what counts in the hash of a protocol.

        The default metrics count as ``ms_ssim_images``, so that hashes from before metrics had names stand.
        """
        images = self.metrics.get("ms_ssim", {}).get("images", 50)
        default = {"fid": {}, "kid": {}, "ms_ssim": self.metrics.get("ms_ssim")}
        named = {"ms_ssim_images": images} if self.metrics == default else {"metrics": self.metrics}
        return {"extractor": extractor, "preview_images": self.preview_images, **named}


class Previews(Strict):
    """Previews of a fit, from which its checkpoint is chosen.

    Attributes:
        count: previews along the fit, the last one at its end.
        images: of one preview, or of each class with ``per_class``; None for ``measures.preview_images``.
        sampler_steps: steps of the generator's sampler; None for the generator's own.
        choice: the FID that chooses. ``val`` compares with all of *val*, classes in its proportions;
            ``per_class`` is the mean over classes, each against as many real images of *train*.
    """

    count: int = Field(10, ge=1)
    images: int | None = Field(None, ge=2)
    sampler_steps: int | None = Field(None, ge=1)
    choice: Literal["val", "per_class"] = "val"


class GeneratorEntry(Strict):
    """Use of one generator in a profile.

    Attributes:
        plugin: name of the plug-in, if the row has another name.
        fit: unit of a fit; None for the plug-in's own ``fit_unit``.
        image_size: side in pixels that the generator learns and draws; None for the profile's.
        precision: of the fit and of sampling; ``auto`` is that of the run.
        sources_per_class: with ``per_image``, source images of each class, one fit for each.
        learn_from: of a class with videos, all images or the still ones alone.
        chunk: images that are drawn at once; the results depend on it.
    """

    fit: FitUnit | None = None
    params: dict[str, Any] = {}
    plugin: str | None = None
    image_size: int | None = Field(None, ge=16, le=2048)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    sources_per_class: int = Field(10, ge=1)
    learn_from: Literal["all", "still_images"] = "all"
    chunk: int = Field(50, ge=1)
    previews: Previews = Previews()


class Profile(Strict):
    """One size of a task.

    Attributes:
        image_size: side in pixels.
        data: parameters of the sources, by source.
        scenario: changed fields of the task's steps, by step.
        learning_curve: shares of the training patients on which ``real_only`` is also trained.
        fit_seeds: every generator is fitted once with each; results of each fit are compared separately.
        reserve: images per class held out for ``oracle``; None for the largest bracket.
    """

    image_size: int = Field(ge=16, le=1024)
    data: dict[str, dict[str, Any]] = {}
    generators: dict[str, GeneratorEntry]
    brackets: tuple[int, ...]
    primary_bracket: int
    classifiers: tuple[ClassifierConfig, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    fit_seeds: tuple[int, ...] = Field((0,), min_length=1)
    budget: Budget
    measures: Measures = Measures()
    scenario: dict[str, dict[str, Any]] = {}
    learning_curve: tuple[float, ...] = ()
    reserve: int | None = Field(None, ge=1)

    @field_validator("brackets", "seeds", "fit_seeds")
    @classmethod
    def _distinct(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(values)) != len(values) or any(v < 0 for v in values):
            raise ValueError("expected distinct numbers, none negative")
        return values

    @field_validator("learning_curve")
    @classmethod
    def _shares(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(values)) != len(values) or any(not 0 < v < 1 for v in values):
            raise ValueError("expected distinct shares between 0 and 1, neither included")
        return values

    @model_validator(mode="after")
    def _primary_is_a_bracket(self) -> Profile:
        if self.primary_bracket not in self.brackets or min(self.brackets) < 1:
            raise ValueError("primary_bracket must be one of brackets, all at least 1")
        return self
