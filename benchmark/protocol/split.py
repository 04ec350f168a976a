"""Division of a source's images into train, val, test and reserve, by patient."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet, Splits
from benchmark.protocol.patients import PARTS, classes_with_patients
from benchmark.protocol.stratify import draw_parts
from benchmark.statistics.sides import with_and_without, without_interval
from benchmark.tasks.schema import SplitRule
from benchmark.utils.formatting import plural


def divide(images: ImageSet, rule: SplitRule, *, seed: int, where: str = "classes") -> Splits:
    """Divide images as their source states (column ``split``), and by patient where it states nothing.

    Every class has a patient in every part, and its images are shared as the rule requires, as closely as
    whole patients allow (``draw_parts``). The same images, rule and seed give the same parts.

    Given splits stay. If ``val`` or ``reserve`` is not given, it is drawn from the given ``train`` by the
    rule's shares. If nothing is given, or further tests (``test_...``) alone, the rest is divided by the
    rule. With ``rule.folds`` the images to be divided, or the given ``train``, are cut into that many folds
    by patient; fold ``rule.fold`` is held out, as ``test``, or as ``test_paper`` if the source gives a
    ``test``.

    Args:
        images: all images of the source.
        rule: shares of the images; the remainder is train.
        where: place for errors, such as the source's name.
    Raises:
        DataError: a class has too few patients and ``rule.too_few`` is ``error``; fewer than two classes
            remain; patients of several classes leave a class without a part; or only some images have a
            split.
    """
    given = np.full(len(images), "") if images.split is None else images.split
    part = given.astype("<U32")
    own = np.flatnonzero(~np.char.startswith(part, "test_"))
    blank = own[part[own] == ""]
    if len(blank) and len(blank) < len(own):
        problem = f"image '{images.image_id[blank[0]]}' has none, others have"
        raise DataError(f"{where}: split", problem, "Give every image a split, or none.")
    images = replace(images, split=None)
    classes, excluded = classes_with_patients(images.select(own), rule, where)
    if excluded:
        part = part[images.members(classes)]
        images = images.restrict(classes)
    if rule.folds:
        part = _hold_out(images, part, rule, seed, where)
    rest = np.flatnonzero(part == "")
    if len(rest):
        part[rest] = draw_parts(images.select(rest), shares_of(rule), seed=seed, where=where)
    part, drawn = _complete(images, part, rule, seed, where)
    notes = [*images.card.get("notes", ()), *excluded]
    if (given == "train").any():
        notes += [f"{name} drawn from the given train split" for name in drawn]
    return _by_name(images, part, where, notes)


def _hold_out(images: ImageSet, part: np.ndarray, rule: SplitRule, seed: int, where: str) -> np.ndarray:
    """Return the parts with one fold of the training images held out."""
    part = np.where(part == "", "train", part)
    name = "test_paper" if "test" in part else "test"
    if name in part:
        problem = "gives test and test_paper, so a held-out fold has no name"
        remedy = "Run with --set split.folds=0, or drop one of the two from the source."
        raise DataError(f"{where}: split", problem, remedy)
    train = np.flatnonzero(part == "train")
    part[train[fold_of(images.select(train), rule.folds, seed=seed, where=where) == rule.fold]] = name
    return part


def fold_of(images: ImageSet, folds: int, *, seed: int, where: str = "classes") -> np.ndarray:
    """Return (N,) index of the fold of every image; whole patients, classes in proportion."""
    names = [str(k) for k in range(folds)]
    return draw_parts(images, dict.fromkeys(names, 1 / folds), seed=seed, where=where).astype(np.int64)


def _complete(
    images: ImageSet, part: np.ndarray, rule: SplitRule, seed: int, where: str
) -> tuple[np.ndarray, list[str]]:
    """Draw ``val`` and ``reserve`` from ``train`` if they are missing, and return which were drawn."""
    shares = {
        name: share for name, share in (("val", rule.val), ("reserve", rule.reserve)) if name not in part
    }
    if not shares:
        return part, []
    train = np.flatnonzero(part == "train")
    shares = {"train": 1 - sum(shares.values()), **shares}
    part[train] = draw_parts(images.select(train), shares, seed=seed, where=f"{where}: train")
    return part, [name for name in shares if name != "train"]


def _by_name(images: ImageSet, part: np.ndarray, where: str, notes: list[str]) -> Splits:
    known = [name for name in np.unique(part).tolist() if name in PARTS or name.startswith("test_")]
    odd = set(part.tolist()) - set(known)
    missing = [name for name in PARTS if name not in known]
    if odd or missing:
        unknown = f"'{min(odd)}' is not one of {', '.join(PARTS)}, test_..." if odd else ""
        problem = unknown or f"no image in {missing[0]}"
        raise DataError(f"{where}: split", problem, "Give every patient one of these splits.")
    sets = {name: images.select(np.flatnonzero(part == name)) for name in known}
    more = {name: chosen for name, chosen in sets.items() if name not in PARTS}
    four = {name: sets[name] for name in PARTS}
    return Splits(**four, more_tests=more, notes=tuple(dict.fromkeys(notes)))


def shares_of(rule: SplitRule) -> dict[str, float]:
    """Return the share of the images per part, summing to 1."""
    rest = 1 - rule.val - rule.test - rule.reserve
    return {"train": rest, "val": rule.val, "test": rule.test, "reserve": rule.reserve}


def note_reserve(splits: Splits, requested: int) -> Splits:
    """Add a note if ``oracle`` has fewer real images of a class than the brackets request.

    A class that ``test`` lacks is not predicted, and needs no reserve.
    """
    tested = splits.test.counts()
    short = {name: n for name, n in splits.reserve.counts().items() if n < requested and tested[name]}
    if not short:
        return splits
    counts = ", ".join(f"{name} {n}" for name, n in short.items())
    note = f"oracle has fewer reserve images than the {requested} per class that are requested: {counts}"
    return replace(splits, notes=(*splits.notes, note))


def note_small_tests(splits: Splits, classes: Sequence[str], folds: int, where: str) -> Splits:
    """Add a note on each class that has too few test patients for an interval.

    The held-out parts of folds are joined later, so that theirs are not noted here.

    Raises:
        DataError: every image of a test split shows a class, or a test split has one patient.
    """
    notes = []
    for name, images in splits.tests.items():
        here = f"{where}: split {name}"
        if (patients := len(images.patients())) < 2:
            remedy = "Add patients, or raise the split's share of images."
            raise DataError(here, f"has {plural(patients, 'patient')}", remedy)
        for k, label in enumerate(images.classes):
            sides = with_and_without(images.label, images.patient_id, k, label)
            if label not in classes or not sides[0].patients:
                continue
            if not sides[1].patients:
                raise DataError(here, f"every image shows '{label}'", "Exclude the class.")
            notes += [] if folds else without_interval(name, sides)
    return replace(splits, notes=(*splits.notes, *dict.fromkeys(notes)))
