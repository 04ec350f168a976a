"""Check the memorization gate of a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmark.bundles.schema import Manifest, ManifestOfSchema5, Memorization
from benchmark.errors import BenchmarkError
from benchmark.images.copies.rates import TOLERANCE, CopyRate, clopper_pearson
from benchmark.images.image_set import Splits
from benchmark.metrics.memorization.gate import HIDDEN, JUDGED, Gate, blindness
from benchmark.metrics.memorization.real_copies import ITSELF, PLANTED, RealCopies
from benchmark.stages.measure import MeasureConfig
from benchmark.stages.reference import ReferenceConfig
from benchmark.verification import nearness
from benchmark.verification.check import (
    FAILED,
    NOT_CHECKED,
    Check,
    Fault,
    checks_of,
    difference,
    differences,
    shortened,
)
from benchmark.verification.data import RecomputedData
from benchmark.verification.nearness import Shown
from benchmark.verification.protocol import Protocol
from benchmark.verification.sample_images import SampleImages

REFERENCE_SEED = 0  # of the stage `reference`, which plants the copies
EXTRA = ("tolerance", "left_out")  # the gate's fields beside those of the schema, and ``folds``
MIN_P = 1e-4  # of the share among the shown images, if they are drawn from all
MAX_IMAGES = 10**9  # that a gate may report
EXACT = 1e-9  # relative, of figures that follow from others
CLOSE = 5e-3  # relative, of a threshold computed on another machine
# Other versions may calibrate differently: revise this module.
assert (MeasureConfig.version, ReferenceConfig.version) == ("8", "8")


def real_copies(data: RecomputedData) -> list[RealCopies]:
    """Return the copy detectors of every fold, prepared once for all bundles."""
    return data.once("copies", lambda: [RealCopies.of(splits, REFERENCE_SEED) for splits in data.folds])


def check_gate_fields(manifest: Manifest, gate: Memorization) -> list[Check]:
    """Check that interval, tolerance and verdict of the gate follow from its rate and number of images."""
    extra = gate.model_extra or {}
    tolerance = extra.get("tolerance")
    if gate.n > MAX_IMAGES:
        problem = f"is {shortened(gate.n)}, more than any row has"
        return [Check("memorization", FAILED, problem, "memorization.n")]
    if not isinstance(tolerance, (int, float)) or not 0 <= tolerance <= TOLERANCE:
        problem = f"is {shortened(tolerance)}, expected a share up to {TOLERANCE:g}"
        return [Check("memorization", FAILED, problem, "memorization.tolerance")]
    if isinstance(manifest, ManifestOfSchema5):
        why = "the images were compared by the detector before this one"
        return [Check("memorization", NOT_CHECKED, why)]
    if not gate.recall or gate.copies is None:
        missing = "recall" if not gate.recall else "copies"
        return [Check("memorization", FAILED, "is missing", f"memorization.{missing}")]
    reported, hits = gate.model_dump(mode="json"), round(gate.rate * gate.n)
    interval, expected_tolerance = clopper_pearson(hits, gate.n), TOLERANCE * gate.expected
    of_fits = ["fit", "by_fit"] if len(manifest.fit_seeds) > 1 else []
    own = [name for name in Memorization.model_fields if name not in ("fit", "by_fit")]
    names = [*own, *EXTRA, *of_fits, *(["folds"] if manifest.folds > 1 else [])]
    expected = {name: reported.get(name) for name in names} | {
        "rate": hits / gate.n,
        "interval": list(interval),
        "tolerance": expected_tolerance,
        "gated": bool(interval[0] > expected_tolerance) or nearness.exceeds(gate),
    }
    expected |= {
        "planted_recall": float(np.mean(list(gate.recall.values()))),
        "copies": {name: _consistent(share) for name, share in reported["copies"].items()},
    }
    if not of_fits:
        expected |= blindness(gate.recall, tolerance)
    faults = differences(reported, expected, "memorization.", EXACT) + _fit_faults(manifest, gate)
    faults += nearness.record_faults(gate)
    success = f"rate {gate.rate:.3g} of {gate.n} images, with a consistent verdict"
    return checks_of("memorization", faults, success)


def _consistent(share: Mapping[str, Any]) -> dict[str, Any]:
    """Return the interval and verdict that follow from a rate."""
    own = asdict(CopyRate.of(round(share["rate"] * share["n"]), share["n"], share["expected"]))
    return own | {"interval": list(own["interval"])}


def _fit_faults(manifest: Manifest, gate: Memorization) -> list[Fault]:
    """Expect a rate of every fit, and the gate of the one that copies most."""
    if len(manifest.fit_seeds) == 1:
        return []
    rates = gate.by_fit or {}
    faults = difference("memorization.by_fit", sorted(rates), sorted(manifest.fit_seeds))
    worst = gate.rate if gate.gated else max(rates.values(), default=0.0)
    return faults + difference("memorization.fit", rates.get(gate.fit or 0), worst, EXACT)


def check_calibration(
    samples: SampleImages, manifest: Manifest, gate: Memorization, protocol: Protocol, data: RecomputedData
) -> list[Check]:
    """Recompute the threshold, and compare the share of the shown images above it."""
    if isinstance(manifest, ManifestOfSchema5):
        return []
    if protocol.task.mix.filter != "none":
        why = "threshold not recomputed, since a filter decided which images were measured"
        return [Check("memorization", NOT_CHECKED, why)]
    try:
        copies = real_copies(data)
        gates = [calibrated_gate(s, protocol, c) for s, c in zip(data.folds, copies, strict=True)]
    except BenchmarkError as error:
        return [Check("memorization", NOT_CHECKED, f"could not be recomputed: {error.problem}")]
    faults = [*_number_faults(manifest, gate, gates), *_calibration_faults(gate, gates)]
    faults += _copies_faults(gate, gates, copies)
    shown = []
    for fold, own in enumerate(gates):
        rows = (samples.fold == fold) & np.isin(samples.label, own.labels)
        shown.append(Shown(samples.image[rows], samples.label[rows], own.labels))
    hits = sum(own.gate.hits(x.image) for own, x in zip(gates, shown, strict=True))
    n = sum(len(x.image) for x in shown)
    rates = gate.by_fit or {manifest.fit_seeds[0]: gate.rate}
    shown_fit = min(manifest.fit_seeds)
    faults += _share_faults(rates.get(shown_fit, gate.rate), gate.n, hits, n)
    if gate.fit in (None, shown_fit):
        faults += nearness.shown_faults(gate, copies, shown)
    return checks_of("memorization", faults, f"{hits} of {n} shown images lie above the threshold")


@dataclass(frozen=True, eq=False)
class FoldGate:
    """The gate of one fold.

    Attributes:
        images: of the row.
        labels: of the gated images; a class without test images is not gated.
        left_out: images by class that are not gated.
    """

    gate: Gate
    images: int
    labels: np.ndarray
    left_out: dict[str, int]


def calibrated_gate(splits: Splits, protocol: Protocol, copies: RealCopies) -> FoldGate:
    """Calibrate the gate of one fold for the number of images of the largest bracket."""
    from benchmark.protocol.mixing import added_counts

    train, test = splits.train.to_single_label(), splits.test.to_single_label()
    bracket, classes = max(protocol.profile.brackets), tuple(protocol.task.classes)
    counts = added_counts(splits.train, protocol.task.mix, bracket, classes)
    labels = np.repeat(np.arange(len(train.classes)), [counts.get(c, 0) for c in train.classes])
    gated = np.isin(labels, np.unique(test.label))
    numbers = np.bincount(labels[~gated], minlength=len(train.classes)).tolist()
    left_out = {c: n for c, n in zip(train.classes, numbers, strict=True) if n}
    return FoldGate(Gate.of(labels[gated], copies), len(labels), labels[gated], left_out)


def _number_faults(manifest: Manifest, gate: Memorization, gates: list[FoldGate]) -> list[Fault]:
    """Compare the number of a row's images, and of those that were gated."""
    faults = difference("memorization.n", gate.n, sum(min(JUDGED, len(g.labels)) for g in gates))
    if manifest.samples is not None:
        drawn = len(manifest.fit_seeds) * sum(g.images for g in gates)
        faults += difference("samples.images", manifest.samples.images, drawn)
    left_out = (gate.model_extra or {}).get("left_out", {})
    return faults + difference("memorization.left_out", left_out, gates[0].left_out)


def _calibration_faults(gate: Memorization, gates: list[FoldGate]) -> list[Fault]:
    """Compare threshold, expected rate and planted copies with their mean over the folds."""
    faults: list[Fault] = []
    weights = [len(g.labels) for g in gates]
    for name, close in (("threshold", CLOSE), ("expected", CLOSE)):
        mean = float(np.average([getattr(g.gate, name) for g in gates], weights=weights))
        if not np.isclose(getattr(gate, name), mean, rtol=close, atol=0):
            faults.append((f"memorization.{name}", f"is {getattr(gate, name):.6g}, expected {mean:.6g}"))
    for kind in gates[0].gate.recall:
        mean = float(np.average([g.gate.recall[kind] for g in gates], weights=weights))
        if abs((gate.recall or {}).get(kind, -1.0) - mean) > 2 / PLANTED:
            faults.append((f"memorization.recall.{kind}", f"is not {mean:.3f}, as recomputed"))
    return faults


def _copies_faults(
    gate: Memorization, gates: Sequence[FoldGate], copies: Sequence[RealCopies]
) -> list[Fault]:
    """Compare the expected rates of copies of other images with their mean over the folds."""
    faults: list[Fault] = []
    for name, share in (gate.copies or {}).items():
        known = name == "itself" or all(name in one.banks for one in copies)
        if not known:
            faults.append((f"memorization.copies.{name}", "is reported, but the data has no such images"))
            continue
        compared = [min(ITSELF if name == "itself" else HIDDEN, own.images) for own in gates]
        mean = float(np.average([one.expected(name) for one in copies], weights=compared))
        if not np.isclose(share.expected, mean, rtol=CLOSE):
            problem = f"is {share.expected:.6g}, expected {mean:.6g}"
            faults.append((f"memorization.copies.{name}.expected", problem))
    return faults


def _share_faults(rate: float, images: int, hits: int, n: int) -> list[Fault]:
    """Compare the share above the threshold of all images of the shown fit with that of the shown ones."""
    from scipy.stats import fisher_exact

    if not n or images > MAX_IMAGES:
        return []
    all_hits = round(rate * images)
    p = fisher_exact([[hits, n - hits], [all_hits, images - all_hits]]).pvalue
    if p >= MIN_P:
        return []
    shown = f"of the shown ones {hits} of {n} are as close to training images (p = {p:.1g})"
    return [("memorization.rate", f"is {rate:.3g} of {images} images, {shown}")]
