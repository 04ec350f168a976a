"""What every generator shares without torch: its folder on disk, and who is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import GeneratorError
from benchmark.images.image_set import ImageSet
from benchmark.plugins.generator import SampleRequest

TENSORS, META = "weights.safetensors", "generator.json"


def save_folder(folder: Path, tensors: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write arrays as safetensors and the rest as JSON; same content, same bytes."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / TENSORS)
    (folder / META).write_text(json.dumps(meta, indent=1, sort_keys=True), encoding="utf-8")


def load_folder(folder: Path, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what ``save_folder`` wrote.

    Raises:
        GeneratorError: a file is missing or broken, or belongs to another generator.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    remedy = "Fit the generator again, or give the folder that its save() wrote."
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        tensors = load_file(folder / TENSORS)
    except (OSError, ValueError, SafetensorError) as error:
        raise GeneratorError(f"{folder}: generator '{name}'", f"cannot be read: {error}", remedy) from error
    if not isinstance(meta, dict) or meta.get("generator") != name:
        raise GeneratorError(f"{folder / META}: generator", f"is not '{name}'", remedy)
    return tensors, meta


def square_size(images: ImageSet, name: str) -> int:
    """The side of the training images.

    Raises:
        GeneratorError: there are none, or they are not square.
    """
    if not len(images) or images.image.shape[1] != images.image.shape[2]:
        raise GeneratorError(
            f"generator '{name}'",
            f"got training images of shape {images.image.shape}, expected (N, S, S) with N >= 1",
            "Check the split and the image size of the data source.",
        )
    return images.size


def trained_classes(images: ImageSet) -> tuple[str, ...]:
    """Names of the classes that have at least one image, in the task's order."""
    return tuple(images.classes[k] for k in np.unique(images.label))


def class_positions(images: ImageSet) -> np.ndarray:
    """(N,) position of every image's class among ``trained_classes``."""
    return np.unique(images.label, return_inverse=True)[1].astype(np.int64)


def requested_positions(
    request: SampleRequest, classes: Sequence[str], image_size: int, name: str
) -> np.ndarray:
    """(N,) position of every requested class among the classes that the generator was fitted on.

    Raises:
        GeneratorError: another image size than the fitted one, or a class that it has not seen.
    """
    if request.image_size != image_size:
        raise GeneratorError(
            f"generator '{name}'",
            f"was fitted at {image_size} px and asked for {request.image_size} px",
            "Fit it at the size that is asked for.",
        )
    position = {c: i for i, c in enumerate(classes)}
    wanted = [request.classes[k] for k in request.label]
    unseen = sorted(set(wanted) - position.keys())
    if unseen:
        raise GeneratorError(
            f"generator '{name}'",
            f"was asked for class '{unseen[0]}', which had no image when it was fitted",
            f"Ask for one of: {', '.join(classes)}; or fit it on images of that class.",
        )
    return np.array([position[c] for c in wanted], dtype=np.int64)
