"""Copies of real images among synthetic ones, by the memorization gate, where no split is known.

Without images that the generator cannot have seen, the real images of other patients calibrate the search,
and faint copies cannot be told from likeness: the nearness is then not measured.
"""

from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.images.copies.bank import Bank, spread
from benchmark.images.copies.detector import CopyDetector
from benchmark.images.copies.model import CopyModel
from benchmark.images.image_set import ImageSet, Splits
from benchmark.metrics.judging.record import Pair
from benchmark.metrics.memorization.gate import JUDGED, Gate, memorization
from benchmark.metrics.memorization.real_copies import HELDOUT, ITSELF, RealCopies, planted_copies

SHOWN = 8  # pairs
FEWEST = 4  # real patients: two to learn from, and two to calibrate


def judge_copies(
    real: ImageSet, synthetic: ImageSet, unseen: ImageSet | None, seed: int = 0
) -> tuple[dict[str, Any], list[Pair]]:
    """Return the record of ``memorization``, and the pairs that are most alike.

    Args:
        real: images that the generator may have learned from, all of one class.
        unseen: real images of patients that it cannot have learned from, if there are some.
    Raises:
        MetricError: fewer than four patients.
    """
    if len(np.unique(real.patient_id)) < FEWEST:
        problem = f"has {len(np.unique(real.patient_id))} patients, the search for copies needs {FEWEST}"
        raise MetricError("--real", problem, "Give images of more patients.")
    if unseen is None:
        search, heldout = _without_unseen(real, seed), real
    else:
        first = np.isin(unseen.patient_id, np.unique(unseen.patient_id)[::2])
        heldout = unseen.select(~first)
        splits = Splits(train=real, val=heldout, test=heldout, reserve=unseen.select(first))
        search = RealCopies.of(splits, seed)
    record = memorization(synthetic, heldout, search)
    return record, _pairs(synthetic, Gate.of(synthetic.label, search))


def _without_unseen(real: ImageSet, seed: int) -> RealCopies:
    """Return the search in real images, calibrated on those of other patients.

    The model learns from every other patient, and the images of the rest calibrate: like synthetic images,
    they are new to it.
    """
    patients = np.unique(real.patient_id)
    learned = np.isin(real.patient_id, patients[::2])
    model = CopyModel.learned(real.select(learned).image)
    detector = CopyDetector(real.image, real.patient_id, model)
    new = real.select(~learned)
    others, some = spread(new, HELDOUT), spread(new, ITSELF)
    bank = Bank(detector, detector.match(others.image, others.patient_id))
    itself = CopyDetector(some.image, some.patient_id, model).match(some.image, some.patient_id)
    planted = {kind: detector.match(images) for kind, images in planted_copies(real.image, seed).items()}
    return RealCopies({"train": bank}, others.label, planted, itself.similarity, None)


def _pairs(synthetic: ImageSet, gate: Gate) -> list[Pair]:
    rows = np.unique(np.linspace(0, len(synthetic) - 1, min(JUDGED, len(synthetic))).astype(int))
    matches = gate.detector.match(synthetic.image[rows])
    scores, reference = gate.calibration.score(matches), gate.calibration.reference(matches)
    return [
        Pair(int(rows[k]), int(reference[k]), float(scores[k]), bool(scores[k] > gate.threshold))
        for k in np.argsort(-scores)[:SHOWN]
    ]
