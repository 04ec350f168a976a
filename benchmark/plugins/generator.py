"""What the suite lends a generator while it is fitted, and the base of every generator."""

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
    """What a generator is asked for: one class index per image wanted.

    Where images may have several classes, the index names the one that the image must show.
    """

    label: np.ndarray
    classes: tuple[str, ...]
    image_size: int

    @classmethod
    def balanced(cls, per_class: int, classes: tuple[str, ...], image_size: int) -> SampleRequest:
        """``per_class`` images of each class, interleaved, so that every prefix is balanced."""
        return cls.of_counts(dict.fromkeys(classes, per_class), classes, image_size)

    @classmethod
    def of_counts(cls, counts: Mapping[str, int], classes: tuple[str, ...], image_size: int) -> SampleRequest:
        """So many images of each class, interleaved while they last."""
        label = np.concatenate([np.full(counts.get(c, 0), k) for k, c in enumerate(classes)]).astype(np.int64)
        turn = np.concatenate([np.arange(counts.get(c, 0)) for c in classes])
        return cls(label[np.argsort(turn, kind="stable")], classes, image_size)


def synthetic_set(image: np.ndarray, request: SampleRequest, *, generator: str) -> ImageSet:
    """Wrap what a generator drew, in the order of the request.

    Args:
        image: (N, H, W), uint8, or float in [0, 1].
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
    """Given to ``fit``; a generator sees nothing else of the suite.

    Attributes:
        device: a torch device name, ``cpu`` or ``cuda``.
        precision: ``float32`` or ``bfloat16``, for autocast.
        seed: of every random act of this fit.
        scratch: an empty folder of this fit, gone afterwards.
        reserve: real images kept aside; None but for the control ``oracle``.
        fold: of the cross-validation; 0 without one.
    """

    device: str
    precision: str
    seed: int
    fold: int
    scratch: Path
    reserve: ImageSet | None

    def report(self, step: int, total: int, sampler: Sampler | None = None, **scalars: float) -> bool:
        """Log scalars at a step; with a sampler, also measure a preview on ``val``.

        The state with the best preview FID is saved through the generator's own ``save`` and is
        what is sampled from in the end.

        Returns:
            True when the fit should stop (a tuner pruned it).
        """

    def load_state(self) -> Mapping[str, Any] | None:
        """The last saved state of this very fit after a crash, or None."""

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Keep a state to resume from, atomically: tensors, numbers, strings, dicts and lists of them."""


class Generator(Protocol):
    """The contract of a generator; see docs/add_a_generator.md."""

    conditions: ClassVar[set[str]]

    def __init__(self, params: Any) -> None: ...
    def fit(self, train: ImageSet, context: FitContext) -> None: ...
    def sample(self, request: SampleRequest, *, seed: int) -> ImageSet: ...
    def save(self, folder: Path) -> None: ...
    @classmethod
    def load(cls, folder: Path) -> Generator: ...
