"""Check a bundle's sample images for copies of test images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.bundles.assemble import may_show
from benchmark.bundles.io import PREVIEWS, Bundle
from benchmark.bundles.schema import Manifest
from benchmark.images.image_set import Splits
from benchmark.verification.check import (
    FAILED,
    NOT_CHECKED,
    PASSED,
    Check,
    Fault,
    checks_of,
    errors_as_check,
)
from benchmark.verification.data import RecomputedData
from benchmark.verification.gate import check_calibration, check_gate_fields, real_copies
from benchmark.verification.protocol import Protocol
from benchmark.verification.row import SUITE
from benchmark.verification.sample_images import SampleImages, read_sample_images


def check_samples(
    bundle: Bundle, folder: Path, protocol: Protocol, data: RecomputedData | None
) -> list[Check]:
    """Check the images that the bundle shows against the data, and the memorization gate against both."""
    manifest = bundle.manifest
    gate_checks = [] if manifest.memorization is None else check_gate_fields(manifest, manifest.memorization)
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
    if not faults:
        faults = _altered_faults(samples, data, ("test", "reserve") if hide_reserve else ("test",))
    if manifest.memorization is not None:
        gate_checks += check_calibration(samples, manifest, manifest.memorization, protocol, data)
    return [*checks_of("samples", faults, f"none of the {n} shown images copies a test image"), *gate_checks]


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


def _altered_faults(samples: SampleImages, data: RecomputedData, hidden: Sequence[str]) -> list[Fault]:
    """Return the splits that the shown images copy, altered or in part, more often than chance explains."""
    faults: list[Fault] = []
    for fold, real in enumerate(real_copies(data)):
        images = samples.image[samples.fold == fold]
        rates = real.copies(images, [name for name in hidden if name in real.banks]) if len(images) else {}
        faults += [
            (
                PREVIEWS,
                f"{round(c.rate * c.n)} of {c.n} shown images look like altered copies of {name} images",
            )
            for name, c in rates.items()
            if c.excess
        ]
    return faults
