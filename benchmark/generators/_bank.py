"""The controls that hand out real images, changed or unchanged, share this base."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel

from benchmark.generators._store import (
    class_positions,
    load_folder,
    requested_positions,
    save_folder,
    square_size,
    trained_classes,
)
from benchmark.images.image_set import ImageSet
from benchmark.plugins.generator import FitContext, SampleRequest, synthetic_set


def draw_evenly(pool: np.ndarray, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For every wanted class a member of the pool, each as equally often as possible, in random order.

    Args:
        pool: (M,) class of every member.
        wanted: (N,) classes, each of which the pool has.
    Returns:
        (N,) positions in the pool. Within a class, no member comes again before all have come.
    """
    drawn = np.empty(len(wanted), dtype=np.int64)
    for label in np.unique(wanted):
        members, places = np.flatnonzero(pool == label), np.flatnonzero(wanted == label)
        rounds = -(-len(places) // len(members))
        order = np.concatenate([rng.permutation(members) for _ in range(rounds)])
        drawn[places] = order[: len(places)]
    return drawn


class ImageBank:
    """Keeps images and hands them out by class; a subclass says which images, and how they are changed."""

    conditions: ClassVar[set[str]] = {"label"}
    name: ClassVar[str]
    params_type: ClassVar[type[BaseModel]]

    report: np.ndarray | None = None

    def __init__(self, params: Any) -> None:
        self.params = params

    def source(self, train: ImageSet, context: FitContext) -> ImageSet:
        """The images that are kept."""
        return train

    def change(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What is handed out for (N, S, S) uint8 images: uint8, or float in [0, 1]."""
        return images

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Keep the images; there is nothing to train.

        Raises:
            GeneratorError: there are no images, or they are not square.
        """
        self.hold(self.source(train, context))
        context.report(1, 1, lambda request, seed: self.sample(request, seed=seed))

    def hold(self, kept: ImageSet) -> None:
        """Take these images as those that are handed out."""
        self.image_size = square_size(kept, self.name)
        self.classes = trained_classes(kept)
        self.image, self.position = np.ascontiguousarray(kept.image), class_positions(kept)
        self.report = kept.reported_labels

    def sample(self, request: SampleRequest, *, seed: int) -> ImageSet:
        """Images of the requested classes; the card counts how many come more than once.

        Raises:
            GeneratorError: a class or size that it was not fitted on.
        """
        wanted = requested_positions(request, self.classes, self.image_size, self.name)
        rng = np.random.default_rng([seed, 0])
        drawn = draw_evenly(self.position, wanted, rng)
        images = synthetic_set(self.change(self.image[drawn], rng), request, generator=self.name)
        repeats = len(drawn) - len(np.unique(drawn))
        if self.report is not None:  # a copy has every class that its original has
            images = replace(images, reported_labels=self.report[drawn])
        return replace(images, card={"generator": self.name, "repeated_source_images": repeats})

    def save(self, folder: Path) -> None:
        """Write the images and parameters."""
        meta = {
            "generator": self.name,
            "params": self.params.model_dump(mode="json"),
            "classes": list(self.classes),
            "image_size": self.image_size,
        }
        tensors = {"image": self.image, "position": self.position}
        if self.report is not None:
            tensors["report"] = self.report
        save_folder(Path(folder), tensors, meta)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The generator that ``save`` wrote.

        Raises:
            GeneratorError: the folder cannot be read.
        """
        tensors, meta = load_folder(Path(folder), cls.name)
        bank = cls(cls.params_type.model_validate(meta["params"]))
        bank.image, bank.position = tensors["image"], tensors["position"]
        bank.report = tensors.get("report")
        bank.classes, bank.image_size = tuple(meta["classes"]), int(meta["image_size"])
        return bank
