"""What a classifier is, and how long it trains: the part of a task that ``classify`` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from benchmark.tasks.rules import Strict


class Weights(Strict):
    """Initial weights of a classifier: random ones, ImageNet's from the hub's cache, or a local file.

    What they are is said by ``kind``, ``tag`` and ``sha256``; where they lie is no part of it.

    Attributes:
        path: of the safetensors file, with kind ``file``. For ImageNet's a run sets it, never a task.
        tag: which of timm's weights, such as ``tv_in1k``; a run writes down timm's own choice where the task
            makes none.
        sha256: of the file's bytes. A run fills it in; a task that gives it accepts no other file.
    """

    kind: Literal["none", "imagenet", "file"] = "none"
    path: Path | None = Field(None, exclude=True)
    tag: str | None = Field(None, pattern=r"^[0-9A-Za-z_]+$")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _consistent(self) -> Weights:
        if self.kind == "file" and self.path is None and self.sha256 is None:
            raise ValueError("kind 'file' needs a path")
        if self.kind == "none" and (self.path or self.tag or self.sha256):
            raise ValueError("kind 'none' has no path, tag or sha256")
        if self.kind == "file" and self.tag:
            raise ValueError("a tag names ImageNet weights, a file has none")
        return self


TIMM_SET_HERE = ("drop_rate", "in_chans", "num_classes", "pretrained", "pretrained_cfg")


class ClassifierConfig(Strict):
    """A classifier: architecture, initial weights, optimizer, augmentation. Adam, as in every paper.

    Attributes:
        timm: name of the architecture, without the tag of any weights.
        timm_kwargs: arguments of the architecture, such as ``proj_drop_rate`` for dropout within it.
        head: what follows the pooled features, always after ``dropout``. ``linear``: one output per class
            (Schaudt et al. 2023, 3.3.2). ``sigmoid``: one logit for the second of two classes, whose
            sigmoid is its probability (CheXNet; Lan 2023, 3.3); with several labels per image one per
            finding. ``pocovid``: a dense layer of 64, batch normalization, ReLU, then as ``linear``
            (Zhang et al. 2023, 3.3, after Born et al. 2021).
        trained: ``all``, or that only the last so many layers with weights are trained (Zhang et al. 2023,
            4.2.3); what is defined before them stays as it was, its normalization statistics included.
        dropout: probability, before the last layer.
        learning_rate: at the start.
        weight_decay: decoupled from the gradient; with 0 this is Adam.
        schedule: of the learning rate: ``cosine`` down to 0 over the training (Schaudt et al. 2023, 3.3.2),
            ``plateau`` divides it by ten when ``val`` has not improved for ``plateau_patience`` evaluations
            (Segal et al. 2021, 3.3), ``constant``.
        batch_size: in place of the budget's (Lan 2023, 4.2, trains one of three networks with another).
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    timm: str = Field(pattern=r"^[a-z0-9_]+$")
    timm_kwargs: dict[str, Any] = {}
    head: Literal["linear", "sigmoid", "pocovid"] = "linear"
    trained: Literal["all"] | PositiveInt = "all"
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

    @property
    def where(self) -> str:
        """What an error about this recipe begins with."""
        return f"classifier '{self.name}'"

    @model_validator(mode="after")
    def _consistent(self) -> ClassifierConfig:
        taken = [name for name in TIMM_SET_HERE if name in self.timm_kwargs]
        if taken:
            raise ValueError(f"timm_kwargs cannot set '{taken[0]}': dropout, weights and the data decide it")
        if self.head == "pocovid" and not self.timm.startswith("vgg"):
            raise ValueError(f"head 'pocovid' stands on the convolutions of a vgg, not of '{self.timm}'")
        if self.trained != "all" and self.weights.kind == "none":
            raise ValueError(
                f"trained: {self.trained} would leave random layers as they are; give weights, or train all"
            )
        return self


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
