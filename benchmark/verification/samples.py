"""Check a bundle's sample images for copies of test images, and its memorization gate."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.bundles.assemble import may_show
from benchmark.bundles.io import PREVIEWS, Bundle
from benchmark.bundles.schema import Manifest, Memorization
from benchmark.errors import BenchmarkError, SubmissionError
from benchmark.images.image_set import Splits
from benchmark.metrics.memorization.gate import RECALL, TOLERANCE, Gate, calibrated, clopper_pearson
from benchmark.stages.measure import MeasureConfig
from benchmark.verification.check import (
    FAILED,
    NOT_CHECKED,
    PASSED,
    Check,
    Fault,
    checks_of,
    difference,
    differences,
    errors_as_check,
    shortened,
)
from benchmark.verification.data import RecomputedData
from benchmark.verification.protocol import Protocol
from benchmark.verification.row import SUITE

MAX_PICTURE_BYTES = 5_000_000
MEASURE_SEED = 2  # of the stage `measure`, which plants the copies
MIN_P = 1e-4  # of the share among the shown images, if they are drawn from all
EXTRA = ("tolerance", "left_out")  # the gate's fields beside those of the schema, and ``folds``
MAX_IMAGES = 10**9  # that a gate may report
EXACT = 1e-9  # relative, of figures that follow from others
CLOSE = 1e-3  # relative, of a threshold computed on another machine
CLOSE_RECALL = 0.02
assert MeasureConfig.version == "4"  # another version may calibrate differently: revise this module


@dataclass(frozen=True, eq=False)
class SampleImages:
    """The sample images of a bundle: (n, H, W) uint8, their class indices, their folds."""

    image: np.ndarray
    label: np.ndarray
    fold: np.ndarray


def read_sample_images(bundle: Bundle, folder: Path) -> SampleImages:
    """Read the images that a bundle shows: gray PNGs of the task's size.

    Raises:
        SubmissionError: another size or format, or a damaged picture; names the image.
    """
    manifest, table = bundle.manifest, bundle.previews
    assert table is not None
    where, size = str(folder / PREVIEWS), manifest.image_size
    pictures = [
        read_picture(content, size, f"{where}: image {k}") for k, content in enumerate(table["image"])
    ]
    label = np.array([manifest.classes.index(c) for c in table["class"]])
    return SampleImages(np.stack(pictures), label, table["fold"].to_numpy())


def read_picture(content: Any, size: int, where: str) -> np.ndarray:
    """Return (size, size) uint8; checks the size before it decodes a pixel."""
    from PIL import Image

    if not isinstance(content, bytes) or len(content) > MAX_PICTURE_BYTES:
        raise SubmissionError(where, f"expected bytes of a PNG, at most {MAX_PICTURE_BYTES}")
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if picture.size == (size, size) and picture.mode == "L":
                return np.asarray(picture)
            problem = f"is {picture.mode} of {picture.size}, expected gray of {size} by {size}"
    except Exception as error:  # a damaged picture raises many kinds
        problem = f"cannot be decoded: {type(error).__name__}"
    raise SubmissionError(where, problem)


def check_samples(
    bundle: Bundle, folder: Path, protocol: Protocol, data: RecomputedData | None
) -> list[Check]:
    """Check the images that the bundle shows against the data, and the memorization gate against both."""
    manifest = bundle.manifest
    gate_checks = [] if manifest.memorization is None else _check_gate_fields(manifest, manifest.memorization)
    if bundle.previews is None:
        return [_check_none_shown(manifest), *gate_checks]
    checks: list[Check] = []
    with errors_as_check(checks, "samples"):
        samples = read_sample_images(bundle, folder)
    if checks:
        return [*checks, *gate_checks]
    n = len(samples.image)
    if data is None:
        return [Check("samples", NOT_CHECKED, f"{n} pictures, without data to compare with"), *gate_checks]
    hide_reserve = manifest.submission_type != SUITE  # the control oracle learns from reserve
    faults = [f for k, s in enumerate(data.folds) for f in _copy_faults(samples, s, k, hide_reserve)]
    if manifest.memorization is not None:
        gate_checks += _check_calibration(samples, manifest, manifest.memorization, protocol, data)
    return [*checks_of("samples", faults, f"none of the {n} shown images is a test image"), *gate_checks]


def _check_none_shown(manifest: Manifest) -> Check:
    """Expect no shown images only of a row without images, or with images that may not be shown."""
    if manifest.samples is None:
        if manifest.status == "complete" and manifest.memorization is not None:
            return Check("samples", FAILED, "is missing", "samples")
        return Check("samples", PASSED, "the row has no images")
    if may_show(manifest.record()):
        return Check("samples", FAILED, "is 0, though the row's images may be shown", "samples.shown")
    return Check("samples", NOT_CHECKED, "images that are too similar to patients' are not shown")


def _copy_faults(samples: SampleImages, splits: Splits, fold: int, hide_reserve: bool) -> list[Fault]:
    """Return the exact copies of test images, and of reserve where ``hide_reserve``."""
    hidden = {**splits.tests, **({"reserve": splits.reserve} if hide_reserve else {})}
    names = {
        picture.tobytes(): f"{split}, {image_id}"
        for split, images in hidden.items()
        for picture, image_id in zip(np.asarray(images.image), images.image_id, strict=True)
    }
    own = [(k, names.get(samples.image[k].tobytes())) for k in np.flatnonzero(samples.fold == fold)]
    return [(f"{PREVIEWS}: image {k}", f"is real image '{name}'") for k, name in own if name]


def _check_gate_fields(manifest: Manifest, gate: Memorization) -> list[Check]:
    """Check that interval, tolerance and verdict of the gate follow from its rate and number of images."""
    extra = gate.model_extra or {}
    tolerance = extra.get("tolerance")
    if gate.n > MAX_IMAGES:
        problem = f"is {shortened(gate.n)}, more than any row has"
        return [Check("memorization", FAILED, problem, "memorization.n")]
    if not isinstance(tolerance, (int, float)) or not 0 <= tolerance <= TOLERANCE:
        problem = f"is {shortened(tolerance)}, expected a share up to {TOLERANCE:g}"
        return [Check("memorization", FAILED, problem, "memorization.tolerance")]
    reported, hits = gate.model_dump(), round(gate.rate * gate.n)
    interval, expected_tolerance = clopper_pearson(hits, gate.n), TOLERANCE * gate.expected
    of_fits = ["fit", "by_fit"] if len(manifest.fit_seeds) > 1 else []
    own = [name for name in Memorization.model_fields if name not in ("fit", "by_fit")]
    names = [*own, *EXTRA, *of_fits, *(["folds"] if manifest.folds > 1 else [])]
    expected = {name: reported.get(name) for name in names} | {
        "rate": hits / gate.n,
        "interval": list(interval),
        "tolerance": expected_tolerance,
        "gated": bool(interval[0] > expected_tolerance),
    }
    if manifest.folds == 1 and not of_fits:
        expected["blind"] = bool(gate.planted_recall < max(RECALL, tolerance))
    faults = differences(reported, expected, "memorization.", EXACT) + _fit_faults(manifest, gate)
    success = f"rate {gate.rate:.3g} of {gate.n} images, with a consistent verdict"
    return checks_of("memorization", faults, success)


def _fit_faults(manifest: Manifest, gate: Memorization) -> list[Fault]:
    """Expect a rate of every fit, and the gate of the one that copies most."""
    if len(manifest.fit_seeds) == 1:
        return []
    rates = gate.by_fit or {}
    faults = difference("memorization.by_fit", sorted(rates), sorted(manifest.fit_seeds))
    worst = gate.rate if gate.gated else max(rates.values(), default=0.0)
    return faults + difference("memorization.fit", rates.get(gate.fit or 0), worst, EXACT)


def _check_calibration(
    samples: SampleImages, manifest: Manifest, gate: Memorization, protocol: Protocol, data: RecomputedData
) -> list[Check]:
    """Recompute the threshold, and compare the share of the shown images below it."""
    if protocol.task.mix.filter != "none":
        why = "threshold not recomputed, since a filter decided which images were measured"
        return [Check("memorization", NOT_CHECKED, why)]
    try:
        gates = data.once(
            ("gate", protocol.extractor), lambda: [calibrated_gate(s, protocol) for s in data.folds]
        )
    except BenchmarkError as error:
        return [Check("memorization", NOT_CHECKED, f"could not be recomputed: {error.problem}")]
    faults = [*_number_faults(manifest, gate, gates), *_calibration_faults(gate, gates)]
    hits, n = 0, 0
    for fold, own in enumerate(gates):
        gated = (samples.fold == fold) & np.isin(samples.label, own.labels)
        hits, n = hits + own.gate.hits(samples.image[gated]), n + int(gated.sum())
    rates = gate.by_fit or {manifest.fit_seeds[0]: gate.rate}
    faults += _share_faults(rates.get(min(manifest.fit_seeds), gate.rate), gate.n, hits, n)
    return checks_of("memorization", faults, f"{hits} of {n} shown images lie below the threshold")


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


def calibrated_gate(splits: Splits, protocol: Protocol) -> FoldGate:
    """Calibrate the gate of one fold for the number of images of the largest bracket."""
    from benchmark.protocol.mixing import added_counts

    train, test = splits.train.to_single_label(), splits.test.to_single_label()
    bracket, classes = max(protocol.profile.brackets), tuple(protocol.task.classes)
    counts = added_counts(splits.train, protocol.task.mix, bracket, classes)
    labels = np.repeat(np.arange(len(train.classes)), [counts.get(c, 0) for c in train.classes])
    gated = np.isin(labels, np.unique(test.label))
    numbers = np.bincount(labels[~gated], minlength=len(train.classes)).tolist()
    left_out = {c: n for c, n in zip(train.classes, numbers, strict=True) if n}
    gate = calibrated(labels[gated], train, test, protocol.extractor, "cpu", MEASURE_SEED)
    return FoldGate(gate, len(labels), labels[gated], left_out)


def _number_faults(manifest: Manifest, gate: Memorization, gates: list[FoldGate]) -> list[Fault]:
    """Compare the number of a row's images, and of those that were gated."""
    faults = difference("memorization.n", gate.n, sum(len(g.labels) for g in gates))
    if manifest.samples is not None:
        drawn = len(manifest.fit_seeds) * sum(g.images for g in gates)
        faults += difference("samples.images", manifest.samples.images, drawn)
    left_out = (gate.model_extra or {}).get("left_out", {})
    return faults + difference("memorization.left_out", left_out, gates[0].left_out)


def _calibration_faults(gate: Memorization, gates: list[FoldGate]) -> list[Fault]:
    """Compare threshold, expected rate and planted copies with their mean over the folds."""
    faults: list[Fault] = []
    weights = [len(g.labels) for g in gates]
    for name, close in (("threshold", CLOSE), ("expected", CLOSE), ("planted_recall", CLOSE_RECALL)):
        mean = float(np.average([getattr(g.gate, name) for g in gates], weights=weights))
        if not np.isclose(getattr(gate, name), mean, rtol=close, atol=close * 0.1):
            faults.append((f"memorization.{name}", f"is {getattr(gate, name):.6g}, expected {mean:.6g}"))
    return faults


def _share_faults(rate: float, images: int, hits: int, n: int) -> list[Fault]:
    """Compare the share below the threshold of all images of the shown fit with that of the shown ones."""
    from scipy.stats import fisher_exact

    if not n or images > MAX_IMAGES:
        return []
    all_hits = round(rate * images)
    p = fisher_exact([[hits, n - hits], [all_hits, images - all_hits]]).pvalue
    if p >= MIN_P:
        return []
    shown = f"of the shown ones {hits} of {n} are as close to training images (p = {p:.1g})"
    return [("memorization.rate", f"is {rate:.3g} of {images} images, {shown}")]
