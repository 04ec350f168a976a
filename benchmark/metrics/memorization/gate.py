"""The memorization gate: the rate of synthetic images that the copy detector takes for training images.

The detector searches for altered copies and for parts (``benchmark.images.copies``). A share ``ALPHA`` of
held-out real images (of other patients, so none is a copy) lies above the threshold under the same search,
with classes weighted as among the synthetic images. Planted copies measure, for each kind of alteration, the
share that it detects; the gate is blind to kinds of which it misses half.

Copies too faint for that, such as reconstructions, are judged together: more than half of such images are
nearer to a training patient than to a patient of ``reserve`` (``benchmark.images.copies.proximity``).

The same detector reports copies of test and reserve images, and copies among the synthetic images
themselves: these do not gate a row.

Source: held-out calibration after Meehan et al. 2020, arXiv:2004.05675; the detector and the planted copies
are this suite's own, see docs/metrics.md.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.images.copies.bank import drawn
from benchmark.images.copies.calibration import Calibration
from benchmark.images.copies.detector import CopyDetector
from benchmark.images.copies.rates import TOLERANCE, CopyRate, class_weights, threshold
from benchmark.images.image_set import ImageSet
from benchmark.metrics.memorization.real_copies import ITSELF, RealCopies

version = "5"
direction = "minimize"

JUDGED = 300  # synthetic images that are compared with the training images, drawn at random
HIDDEN = 100  # synthetic images that are compared with test and reserve images, drawn at random
RECALL = 0.5  # the least share of planted copies of a kind to be detected; below it the gate is blind to it
BASIC = "near copy"  # the kind to which a gate must not be blind


def memorization(synthetic: ImageSet, heldout: ImageSet, real: RealCopies) -> dict[str, Any]:
    """Return the share of synthetic images that resemble a training image more than real patients ever do.

    Args:
        synthetic: classes without held-out images are left out, and listed; of the others ``JUDGED`` images,
            drawn at random, are compared.
        heldout: real test images.
        real: the detectors of the fold.
    Returns:
        ``rate`` (0 to 1, lower is better), ``expected`` (of a generator that does not copy), ``threshold``,
        ``n`` (images compared), ``interval`` (Clopper-Pearson, 95 %), ``recall`` (of planted copies, by
        kind), ``planted_recall`` (their mean), ``tolerance`` (5 times expected), ``gated`` (the interval
        lies above the tolerance, or that of the nearness does), ``nearness`` (a ``Nearness``, None where
        ``reserve`` has too few patients), ``blind_to`` (kinds), ``blind`` (to near copies, so that ``gated``
        false has no meaning), ``left_out``, and ``copies``: a ``CopyRate`` for ``test``, ``reserve`` and
        ``itself``.
    Raises:
        MetricError: no synthetic image of a class with held-out images.
    """
    comparable = np.isin(synthetic.label, np.unique(heldout.label))
    judged = synthetic.select(comparable)
    if not len(judged):
        raise MetricError("memorization", "no synthetic image of a class that has held-out images")
    gate, compared = Gate.of(judged.label, real), drawn(judged, JUDGED).image
    own = gate.rate(compared)
    near = real.proximity.nearness(compared) if real.proximity else None
    return {
        **{name: getattr(own, name) for name in ("rate", "expected", "n", "interval")},
        "threshold": gate.threshold,
        "recall": gate.recall,
        "planted_recall": float(np.mean(list(gate.recall.values()))),
        "tolerance": TOLERANCE * gate.expected,
        "nearness": asdict(near) if near else None,
        "gated": own.excess or (near is not None and near.excess),
        **blindness(gate.recall, TOLERANCE * gate.expected),
        "left_out": {k: c for k, c in synthetic.select(~comparable).counts().items() if c},
        "copies": {name: asdict(rate) for name, rate in other_copies(synthetic, real).items()},
    }


def blindness(recall: dict[str, float], tolerance: float) -> dict[str, Any]:
    """Return the kinds of planted copies that a gate misses, as ``blind_to``, and ``blind``."""
    kinds = [kind for kind, share in recall.items() if share < max(RECALL, tolerance)]
    return {"blind_to": kinds, "blind": BASIC in kinds}


@dataclass(frozen=True, eq=False)
class Gate:
    """The detector over the training images, with the threshold for synthetic images of given classes.

    Attributes:
        threshold: of the score; higher is more like a training image.
        expected: rate of images above it of a generator that does not copy.
        recall: share of planted copies above it, by kind.
    """

    threshold: float
    expected: float
    recall: dict[str, float]
    detector: CopyDetector
    calibration: Calibration

    @classmethod
    def of(cls, labels: np.ndarray, real: RealCopies) -> "Gate":
        """Calibrate for synthetic images of classes ``labels`` (N,), all of which have held-out images."""
        calibration = real.banks["train"].calibration
        limit, expected = threshold(calibration.scores, class_weights(real.heldout_label, labels))
        recall = {k: float((calibration.score(m) > limit).mean()) for k, m in real.planted.items()}
        return cls(limit, expected, recall, real.banks["train"].detector, calibration)

    def hits(self, images: np.ndarray) -> int:
        """Count the (N, H, W) uint8 images above the threshold."""
        return int((self.calibration.score(self.detector.match(images)) > self.threshold).sum())

    def rate(self, images: np.ndarray) -> CopyRate:
        """Return the rate of copies among (N, H, W) uint8 images."""
        return CopyRate.of(self.hits(images), len(images), self.expected)


def other_copies(synthetic: ImageSet, real: RealCopies) -> dict[str, CopyRate]:
    """Return the rates of copies of test and reserve images, and among the synthetic images themselves."""
    hidden = drawn(synthetic, HIDDEN).image
    rates = real.copies(hidden, [name for name in real.banks if name != "train"])
    own = drawn(synthetic, ITSELF).image
    return rates | ({"itself": real.repeats(own)} if len(own) > 1 else {})
