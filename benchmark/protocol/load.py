"""Load a task's splits: read the source, apply the task's rules, divide by patient."""

from collections.abc import Callable, Mapping
from typing import Any

from benchmark.images.image_set import ImageSet, Splits
from benchmark.plugins.source import DataSource
from benchmark.protocol.split import divide, note_reserve, note_small_tests
from benchmark.tasks.schema import SplitRule

Rule = Callable[[ImageSet], ImageSet]


def load(
    source: DataSource,
    params: Any,
    *,
    classes: tuple[str, ...],
    image_size: int,
    split: SplitRule,
    reserve_per_class: int,
    seed: int,
    before: Rule = lambda images: images,
    on_train: Rule = lambda images: images,
    name: str = "",
) -> Splits:
    """Read a source, apply the task's rules to its images, and divide them by patient.

    Args:
        source: a data plug-in, see docs/add_a_dataset.md.
        params: its ``Params``.
        classes: of the task, in its order.
        image_size: side in pixels.
        reserve_per_class: images per class that ``oracle`` requests; fewer are noted.
        before: rules for every image before the division (view, label policy, mask, site).
        on_train: rules for the training images alone (imbalance, fraction).
        name: of the source, for errors; by default that of its module.
    Raises:
        DataError: the source, a rule or the division fails; names the field and the remedy.
    """
    images = source.images(
        params, classes=classes, image_size=image_size, reserve_per_class=reserve_per_class, seed=seed
    )
    where = f"source {name or str(getattr(source, '__name__', '')).removeprefix('benchmark.datasets.')}"
    splits = divide(before(images), split, seed=seed, where=where)
    train = on_train(splits.train)
    more, dropped = _with_every_class(splits.more_tests, set(splits.test.classes) & set(classes))
    notes = dict.fromkeys((*splits.notes, *train.card.get("notes", ()), *dropped))
    splits = Splits(train, splits.val, splits.test, splits.reserve, more, tuple(notes))
    return note_small_tests(note_reserve(splits, reserve_per_class), classes, split.folds, where)


def _with_every_class(
    more: Mapping[str, ImageSet], classes: set[str]
) -> tuple[dict[str, ImageSet], list[str]]:
    """Return the further tests that can be scored, and a note on each that lacks a class."""
    complete, notes = {}, []
    for name, images in more.items():
        lacking = [c for c, n in images.counts().items() if not n and c in classes]
        if lacking:
            notes.append(
                f"split {name} ({len(images)} images) left out: it has no image of {', '.join(lacking)}"
            )
        else:
            complete[name] = images
    return complete, notes
