"""Check the nearness to training patients that a bundle reports."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.bundles.schema import Memorization
from benchmark.images.copies import rates
from benchmark.metrics.memorization.real_copies import RealCopies
from benchmark.verification.check import Fault

FAR = 4.0  # standard errors between the shares of all and of the shown images
WHOLE = 1e-6  # of a count of images
LARGER = 1.5  # times the error recomputed from the few images that a bundle shows; that of all is smaller


def exceeds(gate: Memorization) -> bool:
    """Return whether share and error gate the row, as far as the record says."""
    own = gate.nearness
    return own is not None and rates.Nearness.of(own.share, own.error, own.n).excess


def record_faults(gate: Memorization) -> list[Fault]:
    """Expect a verdict that follows from share and error, and the number of images that were gated."""
    own, faults = gate.nearness, list[Fault]()
    if own is None:
        return faults
    if own.excess != exceeds(gate):
        faults.append(("memorization.nearness.excess", "does not follow from share and error"))
    if abs(own.share * own.n - round(own.share * own.n)) > WHOLE:
        faults.append(("memorization.nearness.share", f"is no share of {own.n} images"))
    if own.n > gate.n:
        faults.append(("memorization.nearness.n", f"is {own.n}, more than the {gate.n} compared images"))
    return faults


@dataclass(frozen=True, eq=False)
class Shown:
    """Shown images of one fold.

    Attributes:
        image: (N, H, W) uint8.
        label: (N,) their classes, which are shown evenly.
        labels: (M,) classes of all gated images of the fold.
    """

    image: np.ndarray
    label: np.ndarray
    labels: np.ndarray


def shown_faults(gate: Memorization, real: Sequence[RealCopies], shown: Sequence[Shown]) -> list[Fault]:
    """Recompute the nearness of the shown images: class by class, in proportion to all images of the fit."""
    own = [copies.proximity for copies in real]
    if (gate.nearness is None) == any(own):
        problem = "is missing" if gate.nearness is None else "is reported, but the data has too few patients"
        return [("memorization.nearness", problem)]
    if gate.nearness is None:
        return []
    near, label = [np.zeros(0, bool)], [np.zeros(0, int)]
    errors = []
    for proximity, images in zip(own, shown, strict=True):
        if proximity is not None and len(images.image):
            nearest = proximity.nearest(images.image)
            near.append(proximity.of_train(nearest))
            label.append(images.label)
            errors.append(proximity.nearness_of(nearest).error)
    if not errors:
        return []
    faults, error = list[Fault](), float(np.mean(errors))
    if gate.nearness.error > LARGER * error:
        problem = f"is {gate.nearness.error:.3f}, and {error:.3f} of the shown images alone"
        faults.append(("memorization.nearness.error", problem))
    every = np.concatenate([images.labels for images in shown])
    share, spread = _in_proportion(np.concatenate(near), np.concatenate(label), every)
    spread = float(np.hypot(spread, 0.5 / np.sqrt(gate.nearness.n)))
    if abs(gate.nearness.share - share) > FAR * spread:
        problem = f"is {gate.nearness.share:.3f}, and {share:.3f} ± {spread:.3f} by the shown images"
        faults.append(("memorization.nearness.share", problem))
    return faults


def _in_proportion(near: np.ndarray, label: np.ndarray, every: np.ndarray) -> tuple[float, float]:
    """Return the share of ``near``, classes in proportion to ``every``, and its largest standard error."""
    classes = np.unique(label)
    weight = np.array([(every == c).mean() for c in classes])
    weight = weight / weight.sum()
    hits, n = (np.array([own[label == c].sum() for c in classes]) for own in (near, np.ones_like(near, int)))
    # A few images of a class say nothing about their own deviation: 1/2 is the largest of a share.
    return float((weight * hits / n).sum()), 0.5 * float(np.sqrt((weight**2 / n).sum()))
