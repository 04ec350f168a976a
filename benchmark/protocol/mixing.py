"""Numbers of synthetic images that each class receives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from benchmark.errors import DataError
from benchmark.images.image_set import POSITIVE, ImageSet
from benchmark.tasks.rules import Mix


def added_counts(train: ImageSet, mix: Mix, bracket: int, classes: tuple[str, ...]) -> dict[str, int]:
    """How many synthetic images of each class a bracket is.

    Args:
        train: the real training images, which ``mix.unit`` may count.
        classes: of the task; a class that only a label policy has made gets none.
    Raises:
        DataError: a class that should get some gets none, since it has no image of the kind that counts; or
            by ``deficit`` no class gets any, since all are equally frequent.
    """
    units = _units(train, mix, classes)
    counts = {}
    for name, unit in units.items():
        share = mix.factor.get(name, 1.0)
        counts[name] = round(bracket * unit * share * mix.ratio)
        lacks_nothing = mix.unit == "deficit" and unit == 0
        if counts[name] == 0 and share > 0 and not lacks_nothing:
            kind = mix.unit.replace("_", " ")
            raise DataError(
                f"mix: '{name}'",
                f"gets no synthetic image: train has {unit} of what '{kind}' counts, bracket {bracket}",
                "Raise the bracket or the class's factor, keep more patients, or count by 'class'.",
            )
    if mix.unit == "deficit" and not any(counts.values()):
        raise DataError(
            "mix.unit: 'deficit'",
            "no class lacks anything to the largest one, so that none gets a synthetic image",
            "Count by 'class' or 'real_image'.",
        )
    return counts


def _units(train: ImageSet, mix: Mix, classes: tuple[str, ...]) -> dict[str, int]:
    """What a bracket counts, of every class that may get synthetic images."""
    one = train.to_single_label()
    members = {name: one.label == k for k, name in enumerate(train.classes) if name in classes}
    if mix.unit == "still_image" and one.clip is not None:
        members = {name: mine & (one.clip == "") for name, mine in members.items()}
    sizes = {name: int(mine.sum()) for name, mine in members.items()}
    largest = max(sizes.values())
    wanted = [name for name in sizes if mix.classes is None or name in mix.classes]
    return {
        name: {"class": 1, "deficit": largest - sizes[name]}.get(mix.unit, sizes[name]) for name in wanted
    }


def receiving(train: ImageSet, mix: Mix, classes: tuple[str, ...]) -> tuple[str, ...]:
    """The classes that get synthetic images, whatever the bracket, in the order of the training images."""
    units = _units(train, mix, classes)
    return tuple(name for name, unit in units.items() if unit > 0 and mix.factor.get(name, 1.0) > 0)


def first_of_each(synthetic: ImageSet, counts: Mapping[str, int], *, or_fewer: bool = False) -> ImageSet:
    """The first so many synthetic images of each class.

    Args:
        or_fewer: take what there is, where a filter has left fewer.
    Raises:
        DataError: a class has fewer.
    """
    chosen = []
    for k, name in enumerate(synthetic.classes):
        wanted = counts.get(name, 0)
        rows = np.flatnonzero(synthetic.label == k)[:wanted]
        if len(rows) < wanted and not or_fewer:
            raise DataError(f"synthetic class '{name}'", f"has {len(rows)} images, bracket needs {wanted}")
        chosen.append(rows)
    return synthetic.select(np.concatenate(chosen))


def like(synthetic: ImageSet, train: ImageSet) -> ImageSet:
    """Synthetic images with the kind of labels that the training images have.

    Where an image may have several classes, ``report`` says which, if the generator knows; otherwise an
    image has the one class that was asked for (Segal et al. 2021, section 3.4).
    """
    # classes that only a label policy has made come last, so the numbers of the others are the same
    synthetic = replace(
        synthetic, classes=train.classes, reported_labels=None if not train.multilabel else synthetic.reported_labels
    )
    one_hot = np.eye(len(train.classes), dtype=np.uint8)[synthetic.label]
    if train.soft is not None:
        synthetic = replace(synthetic, soft=one_hot.astype(np.float32))
    if not train.multilabel:
        return synthetic
    known = one_hot if synthetic.reported_labels is None else (synthetic.reported_labels == POSITIVE).astype(np.uint8)
    return replace(synthetic, label=known, reported_labels=None)
