"""The sample images of a bundle: no copies of test images, and of training images as the gate says."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.bundles.assemble import may_show
from benchmark.bundles.io import PREVIEWS, Bundle
from benchmark.bundles.schema import Manifest, Memorization
from benchmark.engine.node import STAGE_VERSION
from benchmark.errors import BenchmarkError, SubmissionError
from benchmark.images.image_set import Splits
from benchmark.metrics.memorization import RECALL, TOLERANCE, Gate, calibrated, clopper_pearson
from benchmark.verification.check import Check, Fault, judged, shown
from benchmark.verification.data import Truth
from benchmark.verification.protocol import Protocol
from benchmark.verification.row import SUITE

LARGEST = 5_000_000  # bytes of one picture
MEASURE_SEED = 2  # of the stage `measure`, whose planted copies these are
ODDS = 1e-4  # of a share among the shown images as far from the claimed one, if they are drawn from all
EXTRA = {"tolerance", "left_out"}  # what the gate says beside the fields of the schema, and ``folds``
MOST_JUDGED = 10**9  # images
CLOSE = 1e-3  # relative, of a threshold computed on another machine
assert STAGE_VERSION["measure"] == "3"  # another version may calibrate otherwise: look here again


@dataclass(frozen=True, eq=False)
class Shown:
    """The sample images of a bundle: (n, H, W) uint8, their classes by number, their folds."""

    image: np.ndarray
    label: np.ndarray
    fold: np.ndarray


def read_samples(bundle: Bundle, folder: Path) -> Shown:
    """The images that a bundle shows; nothing but gray PNGs of the task's size.

    Raises:
        SubmissionError: another size or format, or a damaged picture; names the image.
    """
    manifest, table = bundle.manifest, bundle.previews
    assert table is not None
    where, size = str(folder / PREVIEWS), manifest.image_size
    pictures = [_picture(b, size, f"{where}: image {k}") for k, b in enumerate(table["image"])]
    label = np.array([manifest.classes.index(c) for c in table["class"]])
    return Shown(np.stack(pictures), label, table["fold"].to_numpy())


def _picture(content: Any, size: int, where: str) -> np.ndarray:
    """(size, size) uint8; the size is looked at before a pixel is decoded."""
    from PIL import Image

    if not isinstance(content, bytes) or len(content) > LARGEST:
        raise SubmissionError(where, f"expected bytes of a PNG, at most {LARGEST}")
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if picture.size != (size, size) or picture.mode != "L":
                raise SubmissionError(
                    where, f"is {picture.mode} of {picture.size}, expected gray of {size} by {size}"
                )
            return np.asarray(picture)
    except SubmissionError:
        raise
    except Exception as error:  # a damaged picture raises many kinds
        raise SubmissionError(where, f"cannot be decoded: {type(error).__name__}") from None


def check_samples(bundle: Bundle, folder: Path, protocol: Protocol, truth: Truth | None) -> list[Check]:
    """The images that the bundle shows against the data, and the memorization gate against both."""
    manifest = bundle.manifest
    checks = _gate_arithmetic(manifest)
    if bundle.previews is None:
        return [_check_none_shown(manifest), *checks]
    try:
        shown = read_samples(bundle, folder)
    except SubmissionError as error:
        return [Check("samples", False, error.problem, error.where), *checks]
    if truth is None:
        return [Check("samples", None, f"{len(shown.image)} pictures, not held against the data"), *checks]
    hidden = manifest.submission_type != SUITE  # oracle alone learns from reserve
    faults = [f for k, splits in enumerate(truth.folds) for f in _copy_faults(shown, splits, k, hidden)]
    good = f"none of the {len(shown.image)} that are shown is a test image"
    return [*judged("samples", faults, good), *checks, *_against_gate(shown, manifest, protocol, truth)]


def _check_none_shown(manifest: Manifest) -> Check:
    """A row has no images, or none that may be shown."""
    if manifest.samples is None:
        has = manifest.status == "complete" and manifest.memorization is not None
        return Check(
            "samples", not has, "missing" if has else "the row has no images", "samples" if has else ""
        )
    if may_show(manifest.record()):
        return Check("samples", False, "is 0, though the row's images may be shown", "samples.shown")
    return Check(
        "samples", None, "images too close to those of patients are not shown, so they were not seen"
    )


def _copy_faults(shown: Shown, splits: Splits, fold: int, hidden: bool) -> list[Fault]:
    """Exact copies of images that no generator may see: of tests, and where ``hidden`` of reserve."""
    sets = {**splits.tests, **({"reserve": splits.reserve} if hidden else {})}
    unseen = {
        picture.tobytes(): f"{name}, {id_}"
        for name, images in sets.items()
        for picture, id_ in zip(np.asarray(images.image), images.image_id, strict=True)
    }
    own = np.flatnonzero(shown.fold == fold)
    found = [(k, unseen[shown.image[k].tobytes()]) for k in own if shown.image[k].tobytes() in unseen]
    return [(f"{PREVIEWS}: image {k}", f"is real image '{which}'") for k, which in found]


def _gate_arithmetic(manifest: Manifest) -> list[Check]:
    """What the gate says follows from its rate, its number and what is to be expected."""
    gate = manifest.memorization
    if gate is None:
        return []
    tolerance = (gate.model_extra or {}).get("tolerance")
    if gate.n > MOST_JUDGED:
        return [Check("memorization", False, f"is {shown(gate.n)}, more than any row has", "memorization.n")]
    if not isinstance(tolerance, (int, float)) or not 0 <= tolerance <= TOLERANCE:
        return [Check("memorization", False, f"is {shown(tolerance)}, no share", "memorization.tolerance")]
    faults: list[Fault] = []
    extra, said = EXTRA | ({"folds"} if manifest.folds > 1 else set()), set(gate.model_extra or {})
    faults += [(f"memorization.{name}", "is nothing that the gate says") for name in sorted(said - extra)]
    faults += [(f"memorization.{name}", "is missing") for name in sorted(extra - said)]
    hits = gate.rate * gate.n
    if abs(hits - round(hits)) > 1e-6 * max(gate.n, 1):
        faults.append(("memorization.rate", f"is {gate.rate}, no share of {gate.n} images"))
    interval = clopper_pearson(round(hits), gate.n)
    if not np.allclose(gate.interval, interval, atol=1e-9):
        faults.append(("memorization.interval", f"is {list(gate.interval)}, expected {list(interval)}"))
    if not np.isclose(tolerance, TOLERANCE * gate.expected, rtol=1e-9):
        faults.append(("memorization.tolerance", f"is {tolerance}, expected {TOLERANCE * gate.expected}"))
    if gate.gated != (interval[0] > TOLERANCE * gate.expected):
        faults.append(("memorization.gated", f"is {gate.gated}, the interval says {not gate.gated}"))
    if gate.blind != (gate.planted_recall < max(RECALL, tolerance)) and manifest.folds == 1:
        faults.append(("memorization.blind", f"is {gate.blind}, the planted copies say {not gate.blind}"))
    return judged("memorization", faults, f"rate {gate.rate:.3g} of {gate.n} images follows from its parts")


def _against_gate(shown: Shown, manifest: Manifest, protocol: Protocol, truth: Truth) -> list[Check]:
    """The threshold, computed again, and the share of the shown images below it."""
    gate = manifest.memorization
    if gate is None:
        return []
    if protocol.task.mix.filter != "none":
        why = "a filter decided which images were measured, so the threshold was not computed again"
        return [Check("memorization", None, why)]
    try:
        gates = [calibrated_gate(splits, protocol) for splits in truth.folds]
    except BenchmarkError as error:
        return [Check("memorization", None, f"was not computed again: {error.problem}")]
    faults = [*_number_faults(manifest, gate, gates), *_calibration_faults(gate, gates)]
    hits, n = 0, 0
    for k, own in enumerate(gates):
        mine = (shown.fold == k) & np.isin(shown.label, own.labels)
        hits, n = hits + own.gate.hits(shown.image[mine]), n + int(mine.sum())
    faults += _share_faults(gate, hits, n)
    return judged("memorization", faults, f"{hits} of {n} shown images lie below the threshold")


@dataclass(frozen=True, eq=False)
class FoldGate:
    """The gate of one fold: a row's images, the classes of those that are judged, the others by class."""

    gate: Gate
    images: int
    labels: np.ndarray
    left_out: dict[str, int]


def calibrated_gate(splits: Splits, protocol: Protocol) -> FoldGate:
    """The gate of one fold for as many images as the largest bracket has."""
    from benchmark.protocol.mixing import added_counts

    train, test = splits.train.to_single_label(), splits.test.to_single_label()
    bracket, classes = max(protocol.profile.brackets), tuple(protocol.task.classes)
    counts = added_counts(splits.train, protocol.task.mix, bracket, classes)
    labels = np.repeat(np.arange(len(train.classes)), [counts.get(c, 0) for c in train.classes])
    judged_too = np.isin(labels, np.unique(test.label))
    seen = labels[judged_too]
    numbers = np.bincount(labels[~judged_too], minlength=len(train.classes)).tolist()
    left_out = {c: n for c, n in zip(train.classes, numbers, strict=True) if n}
    gate = calibrated(seen, train, test, protocol.extractor, "cpu", MEASURE_SEED)
    return FoldGate(gate, len(labels), seen, left_out)


def _number_faults(manifest: Manifest, said: Memorization, gates: list[FoldGate]) -> list[Fault]:
    """How many images a row has, and how many of them the gate judged."""
    faults: list[Fault] = []
    images, n = sum(g.images for g in gates), sum(len(g.labels) for g in gates)
    if manifest.samples is not None and manifest.samples.images != images:
        faults.append(("samples.images", f"is {manifest.samples.images}, the largest bracket has {images}"))
    if said.n != n:
        faults.append(("memorization.n", f"is {said.n}, expected {n}"))
    extra = said.model_extra or {}
    if extra.get("left_out", {}) != gates[0].left_out:
        faults.append(("memorization.left_out", f"is {extra.get('left_out')}, expected {gates[0].left_out}"))
    return faults


def _calibration_faults(said: Memorization, gates: list[FoldGate]) -> list[Fault]:
    """Threshold, expected rate and planted copies, the mean over the folds as the bundle has it."""
    faults: list[Fault] = []
    for name, close in (("threshold", CLOSE), ("expected", CLOSE), ("planted_recall", 0.02)):
        values, weights = [getattr(g.gate, name) for g in gates], [len(g.labels) for g in gates]
        true = float(np.average(values, weights=weights))
        if not np.isclose(getattr(said, name), true, rtol=close, atol=close * 0.1):
            faults.append((f"memorization.{name}", f"is {getattr(said, name):.6g}, expected {true:.6g}"))
    return faults


def _share_faults(gate: Memorization, hits: int, n: int) -> list[Fault]:
    """Two shares of one kind of image: of all, as claimed, and of those that are shown."""
    from scipy.stats import fisher_exact

    if not n or gate.n > MOST_JUDGED:
        return []
    all_hits = round(gate.rate * gate.n)
    p = fisher_exact([[hits, n - hits], [all_hits, gate.n - all_hits]]).pvalue
    if p >= ODDS:
        return []
    return [(
        "memorization.rate",
        f"is {gate.rate:.3g} of {gate.n} images, of those that are shown {hits} of {n} lie as close to "
        f"training images (p = {p:.1g})",
    )]  # fmt: skip
