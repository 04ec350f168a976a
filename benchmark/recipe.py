"""What a classifier is, and how long it trains: the part of a task that ``classify`` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from benchmark.rules import Strict


class Weights(Strict):
    """Initial weights of a classifier: nothing, ImageNet from the hub's cache, or a local file."""

    kind: Literal["none", "imagenet", "file"] = "none"
    path: Path | None = None

    @model_validator(mode="after")
    def _file_needs_path(self) -> Weights:
        if (self.kind == "file") != (self.path is not None):
            raise ValueError("give a path with kind 'file', and only then")
        return self


class Recipe(Strict):
    """A classifier: architecture, initial weights, optimizer, augmentation. Adam, as in every paper.

    Attributes:
        learning_rate: at the start.
        weight_decay: decoupled from the gradient; with 0 this is Adam.
        schedule: of the learning rate: ``cosine`` down to 0 over the training (Schaudt et al. 2023, 3.3.2),
            ``plateau`` divides it by ten when ``val`` has not improved for ``plateau_patience`` evaluations
            (Segal et al. 2021, 3.3), ``constant``.
        batch_size: in place of the budget's (Lan 2023, 4.2, trains one of three networks with another).
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    timm: str
    timm_kwargs: dict[str, Any] = {}
    weights: Weights = Weights()
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    plateau_patience: int = Field(3, ge=1)
    batch_size: int | None = Field(None, gt=1)
    dropout: float = Field(0.5, ge=0, lt=1)
    augmentation: Literal[
        "none",
        "mild_affine",
        "schaudt",
        "zhang",
        "segal",
        "lan_rotation",
        "lan_flipping",
        "lan_translation",
        "lan_shearing",
        "lan_cropping",
        "lan_noise",
        "lan_blurring",
        "lan_coloring",
        "lan_all",
        "lan",
    ] = "schaudt"


class Budget(Strict):
    """Length of a training: optimizer steps, equal for every row, or epochs as published.

    Attributes:
        evaluations: times that ``val`` is read to choose the best epoch.
        patience: evaluations without a better ``val`` after which the training stops; None for never.
    """

    unit: Literal["steps", "epochs"] = "steps"
    length: int = Field(gt=0)
    batch_size: int = Field(gt=1)
    evaluations: int = Field(8, gt=0)
    patience: int | None = Field(None, ge=1)
