"""A profile of a task: its size, generators, classifiers and length of training."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from benchmark.tasks.classifier import Budget, ClassifierConfig
from benchmark.tasks.rules import Strict


class Measures(Strict):
    """How synthetic images are measured."""

    extractor: str = "auto"
    preview_images: int = Field(250, ge=10, description="images of a preview during a fit")
    ms_ssim_images: int = Field(50, ge=2, description="per class; 50 in Schaudt et al. 2023, section 4.1")


class GeneratorEntry(Strict):
    """How a task trains one generator; ``plugin`` if the row has another name than the plug-in."""

    fit: Literal["joint", "per_class"] = "joint"
    params: dict[str, Any] = {}
    plugin: str | None = None


class Profile(Strict):
    """One size of a task.

    Attributes:
        image_size: side in pixels.
        data: parameters of the sources, by source.
        scenario: changed fields of the task's steps, by step.
        learning_curve: shares of the training patients on which ``real_only`` is also trained.
        reserve: images per class held out for ``oracle``; None for the largest bracket.
    """

    image_size: int = Field(ge=16, le=1024)
    data: dict[str, dict[str, Any]] = {}
    generators: dict[str, GeneratorEntry]
    brackets: tuple[int, ...]
    primary_bracket: int
    classifiers: tuple[ClassifierConfig, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    budget: Budget
    measures: Measures = Measures()
    scenario: dict[str, dict[str, Any]] = {}
    learning_curve: tuple[float, ...] = ()
    reserve: int | None = Field(None, ge=1)

    @field_validator("brackets", "seeds")
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
