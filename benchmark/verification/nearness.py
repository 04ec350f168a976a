"""Check the nearness to training patients that a bundle reports."""

from collections.abc import Sequence

import numpy as np

from benchmark.bundles.schema import Memorization, Nearness
from benchmark.images.copies import proximity
from benchmark.metrics.memorization.real_copies import RealCopies
from benchmark.verification.check import Fault

LARGER = 1.5  # times the error recomputed from the few images that a bundle shows; that of all is smaller


def exceeds(gate: Memorization) -> bool:
    """Return whether share and error gate the row, as far as the record says."""
    own = gate.nearness
    return own is not None and proximity.Nearness.of(own.share, own.error, own.n).excess


def record_faults(gate: Memorization) -> list[Fault]:
    """Expect a verdict that follows from share and error, and the number of images that were gated."""
    own, faults = gate.nearness, list[Fault]()
    if own is None:
        return faults
    if own.excess != exceeds(gate):
        faults.append(("memorization.nearness.excess", "does not follow from share and error"))
    if own.n > gate.n:
        faults.append(("memorization.nearness.n", f"is {own.n}, more than the {gate.n} compared images"))
    return faults


def shown_faults(
    gate: Memorization, real: Sequence[RealCopies], images: Sequence[np.ndarray], one_fit: bool
) -> tuple[list[Fault], list[tuple[int, int, int]]]:
    """Recompute the nearness of the shown images, fold by fold.

    Args:
        gate: as reported.
        real: detectors of the folds; ``images`` (N, H, W) those shown of each.
        one_fit: the shown images are those of the gated fit.
    Returns:
        faults; and hits among the shown images, their number, and hits of all, to compare, where possible.
    """
    own = [copies.proximity for copies in real]
    if (gate.nearness is None) == any(own):
        problem = "is missing" if gate.nearness is None else "is reported, but the data has too few patients"
        return [("memorization.nearness", problem)], []
    shown = [p.nearness(x) for p, x in zip(own, images, strict=True) if p is not None and len(x)]
    if gate.nearness is None or not shown or not one_fit:
        return [], []
    n = sum(s.n for s in shown)
    hits, error = round(sum(s.share * s.n for s in shown)), sum(s.error * s.n for s in shown) / n
    faults: list[Fault] = []
    if gate.nearness.error > LARGER * error:
        problem = f"is {gate.nearness.error:.3f}, and {error:.3f} of the shown images alone"
        faults.append(("memorization.nearness.error", problem))
    return faults, [(hits, n, round(gate.nearness.share * gate.nearness.n))]


__all__ = ["Nearness", "exceeds", "record_faults", "shown_faults"]
