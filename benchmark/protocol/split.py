"""Divides images into train, val, test and reserve by patient, class by class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet, Splits
from benchmark.tasks.schema import SplitRule

PARTS = ("train", "val", "test", "reserve")
ATTEMPTS = 200


def split_by_patient(
    images: ImageSet, rule: SplitRule, *, seed: int, where: str = "classes", notes: tuple[str, ...] = ()
) -> Splits:
    """Divide images into four parts that share no patient.

    Every class has a patient in every part, and its images are shared out as the rule says, as closely
    as whole patients allow (``draw_parts``). The same images, rule and seed give the same parts.

    Args:
        images: all images of the source.
        rule: shares of the images; what is not test, val or reserve is train.
        seed: of the draw.
        where: place for errors, such as the source's name.
        notes: recorded warnings to hand on.
    Raises:
        DataError: a class has too few patients and ``rule.too_few`` is ``error``; fewer than two
            classes remain; or patients of several classes leave a class without a part.
    """
    images, excluded = enough_patients(images, rule, where)
    part = draw_parts(images, shares_of(rule), seed=seed, where=where)
    return _by_name(images, part, where, (*notes, *excluded))


def divide(images: ImageSet, rule: SplitRule, *, seed: int, where: str = "classes") -> Splits:
    """Divide images as their source says (column ``split``), and by patient where it says nothing.

    Given splits stay. Of those that are not given, ``val`` and ``reserve`` are drawn from the given
    ``train`` by the rule's shares. Where nothing is given, or further tests (``test_...``) alone, the rest is
    divided by the rule. With ``rule.folds`` the images to be divided, or the given ``train``, are cut into
    that many folds by patient; the fold of number ``rule.fold`` is held out, as ``test``, or as
    ``test_paper`` where the source gives a ``test`` of its own.

    Raises:
        DataError: see ``split_by_patient``; or a part of the images has a split and the rest none.
    """
    notes = tuple(images.card.get("notes", ()))
    given = np.full(len(images), "") if images.split is None else images.split
    part = given.astype("<U32")
    mine = np.flatnonzero(~np.char.startswith(part, "test_"))
    blank = mine[part[mine] == ""]
    if len(blank) and len(blank) < len(mine):
        raise DataError(
            f"{where}: split",
            f"image '{images.image_id[blank[0]]}' has none, others have",
            "Give every image a split, or none.",
        )
    images, part, excluded = _with_enough(replace(images, split=None), part, rule, where)
    if rule.folds:
        part[part == ""] = "train"
        held = "test_paper" if "test" in part else "test"
        if held in part:
            raise DataError(
                f"{where}: split",
                "gives test and test_paper, so a held-out fold has no name",
                "Set split.folds to 0, or drop one of the two from the source.",
            )
        train = np.flatnonzero(part == "train")
        part[train[fold_of(images.select(train), rule.folds, seed=seed, where=where) == rule.fold]] = held
    rest = np.flatnonzero(part == "")
    if len(rest):
        part[rest] = draw_parts(images.select(rest), shares_of(rule), seed=seed, where=where)
    part, drawn = _complete(images, part, rule, seed, where)
    if (given == "train").any():
        excluded = (*excluded, *(f"{name} drawn from the given train split" for name in drawn))
    return _by_name(images, part, where, (*notes, *excluded))


def _with_enough(
    images: ImageSet, part: np.ndarray, rule: SplitRule, where: str
) -> tuple[ImageSet, np.ndarray, tuple[str, ...]]:
    """Leave out the classes with too few patients, further tests not counted, from images and their parts."""
    mine = images.select(~np.char.startswith(part, "test_"))
    remaining, excluded = enough_patients(mine, rule, where)
    if not excluded:
        return images, part, ()
    kept = [images.classes.index(name) for name in remaining.classes]
    rows = _rows_of(images, kept)
    return _only(images, kept), part[rows], excluded


def fold_of(images: ImageSet, folds: int, *, seed: int, where: str = "classes") -> np.ndarray:
    """(N,) number of the fold of every image; whole patients, classes in proportion."""
    names = [str(k) for k in range(folds)]
    return draw_parts(images, dict.fromkeys(names, 1 / folds), seed=seed, where=where).astype(np.int64)


def _complete(
    images: ImageSet, part: np.ndarray, rule: SplitRule, seed: int, where: str
) -> tuple[np.ndarray, list[str]]:
    """Draw ``val`` and ``reserve`` from ``train`` where they are missing; also says which were drawn."""
    shares = {
        name: share for name, share in (("val", rule.val), ("reserve", rule.reserve)) if name not in part
    }
    if not shares:
        return part, []
    train = np.flatnonzero(part == "train")
    shares = {"train": 1 - sum(shares.values()), **shares}
    part[train] = draw_parts(images.select(train), shares, seed=seed, where=f"{where}: train")
    return part, [name for name in shares if name != "train"]


def _by_name(images: ImageSet, part: np.ndarray, where: str, notes: tuple[str, ...]) -> Splits:
    known = [name for name in np.unique(part).tolist() if name in PARTS or name.startswith("test_")]
    odd = set(part.tolist()) - set(known)
    missing = [name for name in PARTS if name not in known]
    if odd or missing:
        problem = (
            f"'{min(odd)}' is none of {', '.join(PARTS)}, test_..." if odd else f"no image in {missing[0]}"
        )
        raise DataError(f"{where}: split", problem, "Give every patient one of these splits.")
    sets = {name: images.select(np.flatnonzero(part == name)) for name in known}
    more = {name: chosen for name, chosen in sets.items() if name not in PARTS}
    four = {name: sets[name] for name in PARTS}
    return Splits(**four, more_tests=more, notes=tuple(dict.fromkeys(notes)))


def shares_of(rule: SplitRule) -> dict[str, float]:
    """Share of the images per part, summing to 1."""
    rest = 1 - rule.val - rule.test - rule.reserve
    return {"train": rest, "val": rule.val, "test": rule.test, "reserve": rule.reserve}


def enough_patients(images: ImageSet, rule: SplitRule, where: str) -> tuple[ImageSet, tuple[str, ...]]:
    """Refuse or leave out the classes with fewer patients than the rule asks for.

    Returns:
        The images of the classes that remain, labels renumbered, and a note per excluded class.
    Raises:
        DataError: see ``split_by_patient``.
    """
    patients = (_table(images)[1] > 0).sum(axis=0)
    need = max(rule.min_patients, _least_patients(rule.folds))
    few = [c for c, n in enumerate(patients) if n < need]
    for c in few:
        if rule.too_few == "error":
            raise DataError(
                f"{where}: '{images.classes[c]}'",
                f"has {_number(patients[c])}, the split needs at least {need}",
                "Add patients, drop the class from the task, or set split.too_few to exclude.",
            )
    kept = [c for c in range(len(images.classes)) if c not in few]
    if len(kept) < 2:
        found = ", ".join(f"{c} {n}" for c, n in zip(images.classes, patients, strict=True))
        raise DataError(
            where,
            f"fewer than two classes have at least {need} patients (found: {found})",
            "Add patients, or choose another source.",
        )
    notes = tuple(
        f"class '{images.classes[c]}' excluded: {_number(patients[c])}, the split needs at least {need}"
        for c in few
    )
    return (_only(images, kept), notes) if few else (images, notes)


def _least_patients(folds: int) -> int:
    """Patients so that each part gets one; with folds, so that three parts do when any fold is held out."""
    if not folds:
        return len(PARTS)
    return next(n for n in range(folds, 4 * folds) if n - -(-n // folds) >= len(PARTS) - 1)


def draw_parts(
    images: ImageSet, shares: Mapping[str, float], *, seed: int, where: str = "classes"
) -> np.ndarray:
    """Draw a part for every patient, stratified by class.

    Where an image has one class: a patient with images of several classes belongs to the stratum of the
    class that has the fewest patients. In each stratum the patients come in random order, those with the
    most images first, and each draws a part with a probability proportional to the images that the part
    still lacks, among the parts where it fits if there are any. When as many patients are left as parts
    are empty, each of these gets one. So no part exceeds its share by as much as one patient's images,
    where every patient has a single class.

    Where an image may have several classes: iterative stratification (``_stratify``).

    Args:
        shares: wanted share of the images per part, all positive, summing to 1.
    Returns:
        (N,) str, the part of every image.
    Raises:
        DataError: a class has fewer patients than there are parts, or patients of several classes leave a
            class without a part, in ``ATTEMPTS`` draws.
    """
    patient, table = _table(images)
    names = np.array(list(shares))
    patients = (table > 0).sum(axis=0)
    for c in np.flatnonzero((patients > 0) & (patients < len(names))):
        raise DataError(
            f"{where}: '{images.classes[c]}'",
            f"has {_number(patients[c])}, {' and '.join(names)} need {len(names)}",
            "Add patients, or drop the class from the task.",
        )
    share = np.array(list(shares.values()))
    images_of = np.bincount(patient)
    empty = ""
    strata = _stills_apart(table, patient, images)
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, attempt])
        chosen = (
            _stratify(table, images_of, share, rng)
            if images.multilabel
            else _draw(strata, len(patients), share, rng)
        )
        have = np.stack([table[chosen == p].sum(axis=0) for p in range(len(share))])
        missing = np.argwhere((have == 0) & (patients > 0))
        if not len(missing):
            return names[chosen][patient]
        p, c = missing[0]
        empty = f"'{images.classes[c]}' gets no patient in {names[p]}"
    raise DataError(
        where,
        f"no division by patient found: {empty}, since its patients have images of other classes too",
        "Add patients, or drop the class from the task.",
    )


def _stills_apart(table: np.ndarray, patient: np.ndarray, images: ImageSet) -> np.ndarray:
    """(P, C) or (P, 2 C) images per patient and stratum.

    Where some patients have clips alone, those with a still image are strata of their own: a generator that
    learns from single images needs some in every training set (Zhang et al. 2023, section 4.2.1).
    """
    if images.clip is None:
        return table
    still = np.zeros((len(table), 1), dtype=bool)
    still[patient[images.clip == ""]] = True
    return np.hstack([table * still, table * ~still])


def _draw(table: np.ndarray, classes: int, share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One draw: (P,) index of the part of every patient, from (P, S) images per patient and stratum.

    Stratum s is of class ``s % classes``. A part that has none of a class comes before one that has none of
    the stratum alone.
    """
    of_class = np.arange(table.shape[1]) % classes
    order = np.argsort((table > 0).sum(axis=0), kind="stable")
    stratum = order[(table[:, order] > 0).argmax(axis=1)]
    target = share[:, None] * table.sum(axis=0)
    have = np.zeros_like(target)
    chosen = np.zeros(len(table), dtype=np.int64)
    for c in order:
        members = rng.permutation(np.flatnonzero(stratum == c))
        members = members[np.argsort(-table[members, c], kind="stable")]
        for done, member in enumerate(members):
            empty = (have[:, c] == 0) * (1 + (have[:, of_class == of_class[c]].sum(axis=1) == 0))
            p = _part(target[:, c] - have[:, c], empty, table[member, c], len(members) - done, rng)
            chosen[member] = p
            have[p] += table[member]
    return chosen


def _stratify(table: np.ndarray, images: np.ndarray, share: np.ndarray, rng: Any) -> np.ndarray:
    """Iterative stratification of patients whose images have several classes.

    Again and again the class with the fewest patients left is taken; each of its patients, in random order,
    goes to the part that lacks most images of that class, among equals to the one that lacks most images,
    then to one at random. When as many patients of the class are left as parts have none of it, these get
    one each. Patients without any class come last.

    Sechidis et al. 2011, "On the stratification of multi-label data", Algorithm 1, with patients in the
    place of examples: Segal et al., section 3.3, average the labels of a patient; here that mean counts as
    often as the patient has images, so that shares hold for images.

    Args:
        table: (P, C) images per patient and class.
        images: (P,) images per patient.
        share: (S,) of the parts, summing to 1.
    Returns:
        (P,) index of the part of every patient.
    """
    weight = np.column_stack([table, images]).astype(np.float64)
    lack = share[:, None] * weight.sum(axis=0)
    empty = np.ones(lack.shape, dtype=bool)
    chosen = np.full(len(table), -1)
    while (chosen < 0).any():
        left = (table[chosen < 0] > 0).sum(axis=0)
        c = int(np.where(left > 0, left, len(table) + 1).argmin()) if left.any() else table.shape[1]
        members = rng.permutation(np.flatnonzero((chosen < 0) & (weight[:, c] > 0)))
        for done, member in enumerate(members):
            p = _neediest(lack[:, c], lack[:, -1], empty[:, c], len(members) - done, rng)
            chosen[member] = p
            lack[p] -= weight[member]
            empty[p] &= weight[member] == 0
    return chosen


def _neediest(of_class: np.ndarray, of_all: np.ndarray, empty: np.ndarray, left: int, rng: Any) -> int:
    """The part that lacks most, when so many patients of the class are left."""
    among = np.flatnonzero(empty) if left <= empty.sum() else np.arange(len(empty))
    for lack in (of_class, of_all):
        among = among[lack[among] >= lack[among].max() - 1e-9]
    return int(rng.choice(among))


def _part(lack: np.ndarray, empty: np.ndarray, images: int, left: int, rng: np.random.Generator) -> int:
    """The part of one patient with this many images, when so many patients of the stratum are left.

    Args:
        lack: (P,) images that each part still lacks.
        empty: (P,) how badly each part needs its first patient, 0 where it has one.
    """
    if left <= (empty > 0).sum():
        worst = empty > 0 if left == (empty > 0).sum() else empty == empty.max()
        return int(np.where(worst, lack, -np.inf).argmax())
    fits = lack >= images - 1e-9  # a share of exactly k images must hold k in floating point too
    weight = np.where(fits, lack, 0) if fits.any() else np.clip(lack, 0, None)
    return int(rng.choice(len(lack), p=weight / weight.sum()))


def _table(images: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Index of the patient of every image, and (P, C) images per patient and class."""
    ids, patient = np.unique(images.patient_id, return_inverse=True)
    table = np.zeros((len(ids), len(images.classes)), dtype=np.int64)
    if images.multilabel:
        np.add.at(table, patient, images.label.astype(np.int64))
    else:
        np.add.at(table, (patient, images.label), 1)
    return patient, table


def _rows_of(images: ImageSet, kept: list[int]) -> np.ndarray:
    """Positions of the images that stay when these classes stay: of several, those that had no other."""
    if not images.multilabel:
        return np.flatnonzero(np.isin(images.label, kept))
    return np.flatnonzero(images.label[:, kept].any(1) | ~images.label.any(1))


def _only(images: ImageSet, kept: list[int]) -> ImageSet:
    """The images of these classes, labels renumbered; columns per class are cut alike."""
    chosen = images.select(_rows_of(images, kept))
    if images.multilabel:
        label = chosen.label[:, kept]
    else:
        number = np.full(len(images.classes), -1)
        number[kept] = np.arange(len(kept))
        label = number[chosen.label]
    return replace(
        chosen,
        label=label,
        classes=tuple(images.classes[c] for c in kept),
        reported_labels=None if chosen.reported_labels is None else chosen.reported_labels[:, kept],
        soft=None if chosen.soft is None else chosen.soft[:, kept],
    )


def _number(patients: int) -> str:
    return f"{patients} patient" + ("" if patients == 1 else "s")


def note_reserve(splits: Splits, wanted: int) -> Splits:
    """Add a note where ``oracle`` will have fewer real images of a class than the brackets ask for.

    A class that ``test`` does not have is none that is predicted, and needs no reserve.
    """
    tested = splits.test.counts()
    short = {name: n for name, n in splits.reserve.counts().items() if n < wanted and tested[name]}
    if not short:
        return splits
    found = ", ".join(f"{name} {n}" for name, n in short.items())
    note = f"oracle has fewer reserve images than the {wanted} per class that are wanted: {found}"
    return replace(splits, notes=(*splits.notes, note))
