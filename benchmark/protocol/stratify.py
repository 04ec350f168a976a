"""Random division of patients into parts, stratified by class."""

from collections.abc import Mapping

import numpy as np

from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet
from benchmark.protocol.patients import images_per_patient
from benchmark.utils.formatting import plural

ATTEMPTS = 200


def draw_parts(
    images: ImageSet, shares: Mapping[str, float], *, seed: int, where: str = "classes"
) -> np.ndarray:
    """Draw a part for every patient, stratified by class.

    Single-label images: a patient with images of several classes belongs to the stratum of the class with
    the fewest patients. In each stratum the patients come in random order, those with the most images first,
    and each draws a part with a probability proportional to the images that the part still lacks, among the
    parts where the patient fits if there are any. When as many patients are left as parts are empty, each
    empty part gets one. So no part exceeds its share by as much as one patient's images, if every patient
    has a single class.

    Multi-label images: iterative stratification (``_stratify``).

    Args:
        shares: share of the images per part, all positive, summing to 1.
    Returns:
        (N,) str, the part of every image.
    Raises:
        DataError: a class has fewer patients than there are parts; or patients of several classes leave a
            class without a part, in ``ATTEMPTS`` draws.
    """
    patient, table = images_per_patient(images)
    names = np.array(list(shares))
    patients = (table > 0).sum(axis=0)
    for c in np.flatnonzero((patients > 0) & (patients < len(names))):
        problem = f"has {plural(patients[c], 'patient')}, {' and '.join(names)} need {len(names)}"
        remedy = "Add patients, or drop the class from the task."
        raise DataError(f"{where}: '{images.classes[c]}'", problem, remedy)
    share = np.array(list(shares.values()))
    images_of = np.bincount(patient)
    empty = ""
    strata = _stills_apart(table, patient, images)
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, attempt])
        part = (
            _stratify(table, images_of, share, rng)
            if images.multilabel
            else _draw(strata, len(patients), share, rng)
        )
        have = np.stack([table[part == p].sum(axis=0) for p in range(len(share))])
        missing = np.argwhere((have == 0) & (patients > 0))
        if not len(missing):
            return names[part][patient]
        p, c = missing[0]
        empty = f"'{images.classes[c]}' gets no patient in {names[p]}"
    problem = f"no division by patient exists: {empty}, since its patients have images of other classes too"
    raise DataError(where, problem, "Add patients, or drop the class from the task.")


def _stills_apart(table: np.ndarray, patient: np.ndarray, images: ImageSet) -> np.ndarray:
    """Return (P, C) or (P, 2 C) images per patient and stratum.

    If some patients have clips alone, those with a still image form separate strata: a generator that learns
    from single images needs some in every training set (Zhang et al. 2023, section 4.2.1).
    """
    if images.clip is None:
        return table
    still = np.zeros((len(table), 1), dtype=bool)
    still[patient[images.clip == ""]] = True
    return np.hstack([table * still, table * ~still])


def _draw(table: np.ndarray, classes: int, share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw (P,) index of the part of every patient, from (P, S) images per patient and stratum.

    Stratum s is of class ``s % classes``. A part without any image of a class comes before one that only
    lacks the stratum.
    """
    of_class = np.arange(table.shape[1]) % classes
    order = np.argsort((table > 0).sum(axis=0), kind="stable")
    stratum = order[(table[:, order] > 0).argmax(axis=1)]
    target = share[:, None] * table.sum(axis=0)
    have = np.zeros_like(target)
    part = np.zeros(len(table), dtype=np.int64)
    for c in order:
        members = rng.permutation(np.flatnonzero(stratum == c))
        members = members[np.argsort(-table[members, c], kind="stable")]
        for done, member in enumerate(members):
            empty = (have[:, c] == 0) * (1 + (have[:, of_class == of_class[c]].sum(axis=1) == 0))
            p = _part(target[:, c] - have[:, c], empty, table[member, c], len(members) - done, rng)
            part[member] = p
            have[p] += table[member]
    return part


def _part(lack: np.ndarray, empty: np.ndarray, images: int, left: int, rng: np.random.Generator) -> int:
    """Draw the part of a patient with ``images`` images, when ``left`` patients of the stratum are left.

    Args:
        lack: (P,) images that each part still lacks.
        empty: (P,) how urgently each part needs its first patient, 0 if it has one.
    """
    if left <= (empty > 0).sum():
        urgent = empty > 0 if left == (empty > 0).sum() else empty == empty.max()
        return int(np.where(urgent, lack, -np.inf).argmax())
    fits = lack >= images - 1e-9  # a share of exactly k images must hold k in floating point too
    weight = np.where(fits, lack, 0) if fits.any() else np.clip(lack, 0, None)
    return int(rng.choice(len(lack), p=weight / weight.sum()))


def _stratify(
    table: np.ndarray, images: np.ndarray, share: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Iterative stratification of patients with multi-label images.

    Repeatedly take the class with the fewest patients left. Each of its patients, in random order, goes to
    the part that lacks most images of that class; among equals to the one that lacks most images; then to
    one at random. When as many patients of the class are left as parts have none of it, these get one each.
    Patients without any class come last.

    Source: Sechidis et al. 2011, "On the stratification of multi-label data", Algorithm 1, with patients in
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
    part = np.full(len(table), -1)
    while (part < 0).any():
        left = (table[part < 0] > 0).sum(axis=0)
        c = int(np.where(left > 0, left, len(table) + 1).argmin()) if left.any() else table.shape[1]
        members = rng.permutation(np.flatnonzero((part < 0) & (weight[:, c] > 0)))
        for done, member in enumerate(members):
            p = _neediest(lack[:, c], lack[:, -1], empty[:, c], len(members) - done, rng)
            part[member] = p
            lack[p] -= weight[member]
            empty[p] &= weight[member] == 0
    return part


def _neediest(
    of_class: np.ndarray, of_all: np.ndarray, empty: np.ndarray, left: int, rng: np.random.Generator
) -> int:
    """Return the part that lacks most, when ``left`` patients of the class are left."""
    among = np.flatnonzero(empty) if left <= empty.sum() else np.arange(len(empty))
    for lack in (of_class, of_all):
        among = among[lack[among] >= lack[among].max() - 1e-9]
    return int(rng.choice(among))
