"""Number and labels of the synthetic images that each class receives."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from benchmark.errors import DataError
from benchmark.images.image_set import POSITIVE, ImageSet
from benchmark.tasks.rules import Mix


def added_counts(train: ImageSet, mix: Mix, bracket: int, classes: tuple[str, ...]) -> dict[str, int]:
    """Return the number of synthetic images per class of a bracket.

    Args:
        train: the real training images, which ``mix.unit`` may count.
        classes: of the task; a class that a label policy adds gets none.
    Raises:
        DataError: a class that should get some gets none, since it has no image of the unit; or by
            ``deficit`` no class gets any, since all are equally frequent.
    """
    units = _units(train, mix, classes)
    counts = {}
    for name, unit in units.items():
        share = mix.factor.get(name, 1.0)
        counts[name] = round(bracket * unit * share * mix.ratio)
        lacks_nothing = mix.unit == "deficit" and unit == 0
        if counts[name] == 0 and share > 0 and not lacks_nothing:
            kind = mix.unit.replace("_", " ")
            problem = f"gets no synthetic image: train has {unit} of the unit '{kind}', bracket {bracket}"
            remedy = "Raise the bracket or the class's factor, use more patients, or count by 'class'."
            raise DataError(f"mix: '{name}'", problem, remedy)
    if mix.unit == "deficit" and not any(counts.values()):
        problem = "no class is smaller than the largest one, so none gets a synthetic image"
        raise DataError("mix.unit: 'deficit'", problem, "Count by 'class' or 'real_image'.")
    return counts


def _units(train: ImageSet, mix: Mix, classes: tuple[str, ...]) -> dict[str, int]:
    """Return the units that a bracket counts, of every class that may get synthetic images."""
    one = train.to_single_label()
    members = {name: one.label == k for k, name in enumerate(train.classes) if name in classes}
    if mix.unit == "still_image" and one.clip is not None:
        members = {name: member & (one.clip == "") for name, member in members.items()}
    sizes = {name: int(member.sum()) for name, member in members.items()}
    largest = max(sizes.values())
    names = [name for name in sizes if mix.classes is None or name in mix.classes]
    return {name: {"class": 1, "deficit": largest - sizes[name]}.get(mix.unit, sizes[name]) for name in names}


def receiving_classes(train: ImageSet, mix: Mix, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes that get synthetic images in any bracket, in the order of the training set."""
    units = _units(train, mix, classes)
    return tuple(name for name, unit in units.items() if unit > 0 and mix.factor.get(name, 1.0) > 0)


def first_of_each(synthetic: ImageSet, counts: Mapping[str, int], *, or_fewer: bool = False) -> ImageSet:
    """Return the first ``counts`` synthetic images of each class.

    Args:
        or_fewer: accept fewer, if a filter has dropped some.
    Raises:
        DataError: a class has fewer.
    """
    chosen = []
    for k, name in enumerate(synthetic.classes):
        count = counts.get(name, 0)
        indices = np.flatnonzero(synthetic.label == k)[:count]
        if len(indices) < count and not or_fewer:
            raise DataError(f"synthetic class '{name}'", f"has {len(indices)} images, bracket needs {count}")
        chosen.append(indices)
    return synthetic.select(np.concatenate(chosen))


def with_labels_like(synthetic: ImageSet, train: ImageSet) -> ImageSet:
    """Return synthetic images with the kind of labels that the training images have.

    In a multi-label task ``reported_labels`` of a synthetic image states its classes, if the generator knows
    them; otherwise it has the one class that was requested (Segal et al. 2021, section 3.4).
    """
    # classes that a label policy adds come last, so the indices of the others stay the same
    reported = synthetic.reported_labels if train.multilabel else None
    synthetic = replace(synthetic, classes=train.classes, reported_labels=None)
    one_hot = np.eye(len(train.classes), dtype=np.uint8)[synthetic.label]
    if train.soft is not None:
        synthetic = replace(synthetic, soft=one_hot.astype(np.float32))
    if not train.multilabel:
        return synthetic
    return replace(synthetic, label=one_hot if reported is None else (reported == POSITIVE).astype(np.uint8))
