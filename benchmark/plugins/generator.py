"""Contract of a generator, and the context that the suite gives to its fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from benchmark.errors import GeneratorError
from benchmark.images.image_set import ImageSet


@dataclass(frozen=True)
class SampleRequest:
    """The images that a generator must draw.

    Attributes:
        label: (N,) class index per image. Where images may have several classes, the image must show this
            one.
        classes: names of the classes.
        image_size: height and width in pixels.
    """

    label: np.ndarray
    classes: tuple[str, ...]
    image_size: int

    @classmethod
    def balanced(cls, per_class: int, classes: tuple[str, ...], image_size: int) -> SampleRequest:
        """Request ``per_class`` images of each class, interleaved, so that every prefix is balanced."""
        return cls.of_counts(dict.fromkeys(classes, per_class), classes, image_size)

    @classmethod
    def of_counts(cls, counts: Mapping[str, int], classes: tuple[str, ...], image_size: int) -> SampleRequest:
        """Request a number of images of each class; classes alternate while they last."""
        label = np.concatenate([np.full(counts.get(c, 0), k) for k, c in enumerate(classes)]).astype(np.int64)
        turn = np.concatenate([np.arange(counts.get(c, 0)) for c in classes])
        return cls(label[np.argsort(turn, kind="stable")], classes, image_size)


def synthetic_set(image: np.ndarray, request: SampleRequest, *, generator: str) -> ImageSet:
    """Return an image set of the images that a generator drew, in the order of the request.

    Args:
        image: (N, H, W), uint8, or float in [0, 1].
        generator: name of the generator; image ids begin with it.
    Raises:
        GeneratorError: wrong count, shape or range, or NaN.
    """
    where, size = f"generator '{generator}'", request.image_size
    image = np.asarray(image)
    if image.shape != (len(request.label), size, size):
        raise GeneratorError(
            where,
            f"sample() gave shape {image.shape}, expected {(len(request.label), size, size)}",
            "Return one image per requested label, at the task's size.",
        )
    if image.dtype != np.uint8:
        if not np.isfinite(image).all():
            raise GeneratorError(where, "sample() gave NaN or infinite pixels", "Lower the learning rate.")
        if image.min() < 0 or image.max() > 1:
            raise GeneratorError(
                where,
                f"sample() gave pixels in [{image.min():.3g}, {image.max():.3g}]",
                "Return uint8, or float in [0, 1].",
            )
        image = np.round(image * 255).astype(np.uint8)
    ids = np.array([f"{generator}-{i:06d}" for i in range(len(image))])
    return ImageSet(
        image=image,
        label=np.asarray(request.label, dtype=np.int64),
        classes=request.classes,
        image_id=ids,
        patient_id=ids,
        origin=np.full(len(image), f"synthetic:{generator}"),
    )


Sampler = Callable[[SampleRequest, int], ImageSet]


class FitContext(Protocol):
    """Context of a fit; a generator sees nothing else of the suite.

    Attributes:
        device: a torch device name, ``cpu`` or ``cuda``.
        precision: ``float32`` or ``bfloat16``, for autocast.
        seed: of all randomness of this fit.
        scratch: an empty folder for this fit, removed afterwards.
        reserve: held-out real images for the control ``oracle``; None for all others.
        fold: index of the cross-validation fold; 0 without folds.
    """

    device: str
    precision: str
    seed: int
    fold: int
    scratch: Path
    reserve: ImageSet | None

    def report(self, step: int, total: int, sampler: Sampler | None = None, **scalars: float) -> bool:
        """Log scalars at a step; with a sampler, also measure a preview on ``val``.

        The suite saves the state with the best preview FID through the generator's own ``save``, and samples
        from that state in the end.

        Returns:
            True when the fit should stop, since a tuner prunes it.
        """

    def load_state(self) -> Mapping[str, Any] | None:
        """Return the last saved state of this fit after a crash, or None."""

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Save a state to resume from, atomically: tensors, numbers, strings, dicts and lists of them."""


class Generator(Protocol):
    """Contract of a generator; see docs/add_a_generator.md."""

    conditions: ClassVar[set[str]]

    def __init__(self, params: Any) -> None: ...
    def fit(self, train: ImageSet, context: FitContext) -> None: ...
    def sample(self, request: SampleRequest, *, seed: int) -> ImageSet: ...
    def save(self, folder: Path) -> None: ...
    @classmethod
    def load(cls, folder: Path) -> Generator: ...
