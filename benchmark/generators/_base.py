"""Base of every built-in generator: class bookkeeping and the folder on disk, without torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel

from benchmark.errors import GeneratorError
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext, SampleContext
from benchmark.plugins.generator import SampleRequest

TENSORS, META = "weights.safetensors", "generator.json"


class NoParams(BaseModel, extra="forbid", frozen=True):
    """No parameters."""


class BaseGenerator:
    """Record the classes and the image size of a fit; save and load them with arrays and settings.

    What is saved names the hash of every base checkpoint, and is loaded beside the same ones alone.

    Attributes:
        name: the plug-in's name.
        params_type: the plug-in's ``Params``.
        classes: names of the fitted classes, in the task's order.
        image_size: side of the training images in pixels.
        seed: of the fit.
        base: hash of every base checkpoint, by name.
    """

    conditions: ClassVar[set[str]] = {"label"}
    name: ClassVar[str]
    params_type: ClassVar[type[BaseModel]] = NoParams
    tensors: ClassVar[str] = TENSORS  # path of the arrays in the saved folder

    classes: tuple[str, ...]
    image_size: int
    seed: int
    base: dict[str, str]

    def __init__(self, params: Any) -> None:
        self.params = params

    def record(self, train: ImageSet, context: FitContext) -> np.ndarray:
        """Record what is fitted; return the (N,) index of each image's class among ``classes``.

        Raises:
            GeneratorError: there are no images, or they are not square.
        """
        if not len(train) or train.image.shape[1] != train.image.shape[2]:
            raise GeneratorError(
                f"generator '{self.name}'",
                f"got training images of shape {train.image.shape}, expected (N, S, S) with N >= 1",
                "Check the split and the image size of the data source.",
            )
        present, index = np.unique(train.label, return_inverse=True)
        self.seed, self.base = context.seed, dict(context.asset_hashes)
        self.image_size, self.classes = train.size, tuple(train.classes[k] for k in present)
        return index.astype(np.int64)

    def class_index(self, request: SampleRequest) -> np.ndarray:
        """Return the (N,) index of each requested class among ``classes``.

        Raises:
            GeneratorError: the image size is not the fitted one, or a class was not fitted.
        """
        where = f"generator '{self.name}'"
        if request.image_size != self.image_size:
            raise GeneratorError(
                where,
                f"was fitted at {self.image_size} px, the request is for {request.image_size} px",
                "Fit it at the requested size.",
            )
        index = {c: i for i, c in enumerate(self.classes)}
        requested = [request.classes[k] for k in request.label]
        unseen = sorted(set(requested) - index.keys())
        if unseen:
            raise GeneratorError(
                where,
                f"cannot draw class '{unseen[0]}': no training image had it",
                f"Request one of: {', '.join(self.classes)}; or fit it on images of that class.",
            )
        return np.array([index[c] for c in requested], dtype=np.int64)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays to save."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """Return further JSON values to save."""
        return {}

    def restore(
        self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], context: SampleContext
    ) -> None:
        """Take back what ``arrays`` and ``settings`` returned; the recorded attributes are set already."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Write arrays as safetensors and everything else as JSON; same content, same bytes."""
        from safetensors.numpy import save_file

        folder = Path(folder)
        (folder / self.tensors).parent.mkdir(parents=True, exist_ok=True)
        save_file({k: np.asarray(v, order="C") for k, v in self.arrays().items()}, folder / self.tensors)
        meta = {
            "generator": self.name,
            "params": self.params.model_dump(mode="json"),
            "classes": list(self.classes),
            "image_size": self.image_size,
            "seed": self.seed,
            "base": self.base,
            **self.settings(),
        }
        (folder / META).write_text(json.dumps(meta, indent=1, sort_keys=True), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, context: SampleContext) -> Self:
        """Read what ``save`` wrote.

        Raises:
            GeneratorError: a file is missing or broken, or belongs to another generator or base checkpoint.
        """
        arrays, meta = _read_folder(Path(folder), cls.name, cls.tensors)
        if meta["base"] != dict(context.asset_hashes):
            raise GeneratorError(
                f"{folder}: generator '{cls.name}'",
                f"was fitted on the base checkpoints {meta['base']}, got {dict(context.asset_hashes)}",
                "Give the same base checkpoints, or fit it again.",
            )
        generator = cls(cls.params_type.model_validate(meta.get("params", {})))
        generator.classes, generator.image_size = tuple(meta["classes"]), int(meta["image_size"])
        generator.seed, generator.base = int(meta["seed"]), meta["base"]
        generator.restore(arrays, meta, context)
        return generator


def _read_folder(folder: Path, name: str, tensors: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    remedy = "Fit the generator again, or give the folder that its save() wrote."
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        arrays = load_file(folder / tensors)
    except (OSError, ValueError, SafetensorError) as error:
        raise GeneratorError(f"{folder}: generator '{name}'", f"cannot be read: {error}", remedy) from error
    if not isinstance(meta, dict) or meta.get("generator") != name:
        raise GeneratorError(f"{folder / META}: generator", f"is not '{name}'", remedy)
    return arrays, meta
