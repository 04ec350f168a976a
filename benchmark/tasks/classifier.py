"""Architecture, initial weights and training of a downstream classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from benchmark.tasks.rules import Strict


class Weights(Strict):
    """Initial weights of a classifier: random, ImageNet's from the hub's cache, or a local file.

    ``kind``, ``tag`` and ``sha256`` identify them; the path does not count.

    Attributes:
        path: the safetensors file, with kind ``file``, relative to the task file. For ImageNet's weights a
            run sets it, never a task.
        tag: a name among timm's weights, such as ``tv_in1k``; without one, a run records timm's default.
        sha256: hash of the file. A run fills it in; a task that gives it accepts no other file.
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


RESERVED_KWARGS = ("drop_rate", "in_chans", "num_classes", "pretrained", "pretrained_cfg")


Augmentation = Literal[
    "none", "mild_affine", "schaudt", "zhang", "segal", "lan_rotation", "lan_flipping", "lan_translation",
    "lan_shearing", "lan_cropping", "lan_noise", "lan_blurring", "lan_coloring", "lan_all", "lan",
]  # fmt: skip


class ClassifierConfig(Strict):
    """A classifier: architecture, initial weights, optimizer, augmentation. Adam, as in every paper.

    Attributes:
        timm: name of the architecture, without the tag of any weights.
        timm_kwargs: arguments of the architecture, such as ``proj_drop_rate`` for dropout within it.
        head: layers after the pooled features, always after ``dropout``. ``linear``: one output per class
            (Schaudt et al. 2023, 3.3.2). ``sigmoid``: one logit for the second of two classes, whose
            sigmoid is its probability (CheXNet; Lan 2023, 3.3); with multi-label images, one
            logit per finding. ``pocovid``: a dense layer of 64, batch normalization, ReLU, then as ``linear``
            (Zhang et al. 2023, 3.3, after Born et al. 2021).
        trained: ``all``, or the number of last layers with weights that are trained (Zhang et al.
            2023, 4.2.3); everything before them stays frozen, including normalization statistics.
        dropout: probability, before the last layer.
        learning_rate: initial learning rate.
        weight_decay: decoupled from the gradient; with 0 this is Adam.
        schedule: of the learning rate: ``cosine`` decays it to 0 over the training (Schaudt et al. 2023,
            3.3.2), ``plateau`` divides it by ten when ``val`` has not improved for ``plateau_patience``
            evaluations (Segal et al. 2021, 3.3), ``constant`` leaves it.
        batch_size: overrides the budget's (Lan 2023, 4.2, trains one of three networks with another).
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
    augmentation: Augmentation = "schaudt"

    @property
    def where(self) -> str:
        """Prefix of error messages about this classifier."""
        return f"classifier '{self.name}'"

    def in_folder(self, folder: Path) -> ClassifierConfig:
        """Return the classifier with the path of its weights, if it has one, relative to a folder."""
        if self.weights.path is None:
            return self
        weights = self.weights.model_copy(update={"path": folder / self.weights.path})
        return self.model_copy(update={"weights": weights})

    @model_validator(mode="after")
    def _consistent(self) -> ClassifierConfig:
        if reserved := [name for name in RESERVED_KWARGS if name in self.timm_kwargs]:
            raise ValueError(
                f"timm_kwargs cannot set '{reserved[0]}': dropout, weights and data determine it"
            )
        if self.head == "pocovid" and not self.timm.startswith("vgg"):
            raise ValueError(f"head 'pocovid' needs the convolutions of a vgg, not of '{self.timm}'")
        if self.trained != "all" and self.weights.kind == "none":
            raise ValueError(
                f"trained: {self.trained} would freeze random layers; give weights, or train all"
            )
        return self


class Budget(Strict):
    """Length of a training: optimizer steps, equal for every row, or epochs as published.

    Attributes:
        evaluations: number of times that ``val`` is evaluated to choose the best checkpoint.
        patience: evaluations without improvement after which the training stops; None for never.
    """

    unit: Literal["steps", "epochs"] = "steps"
    length: int = Field(gt=0)
    batch_size: int = Field(gt=1)
    evaluations: int = Field(8, gt=0)
    patience: int | None = Field(None, ge=1)
