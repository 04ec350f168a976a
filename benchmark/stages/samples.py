"""Check what a generator draws, and make it an image set at the classifier's size."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmark.errors import GeneratorError
from benchmark.images.decoding import resized
from benchmark.images.image_set import ImageSet
from benchmark.plugins.generator import SampleRequest, Samples


def check_samples(drawn: Any, request: SampleRequest, name: str) -> Samples:
    """Return samples with uint8 pixels, after comparing them with the request.

    Raises:
        GeneratorError: not ``Samples``; a column of another shape or type; NaN, or pixels out of range.
    """
    where, n, size = f"generator '{name}'", len(request), request.image_size
    if not isinstance(drawn, Samples):
        raise GeneratorError(
            where,
            f"sample() gave {type(drawn).__name__}, expected Samples",
            "Return plugins.generator.Samples.",
        )
    shapes = {"image": (n, size, size), "mask": (n, size, size), "labels": (n, len(request.classes))}
    shapes |= {"patient_id": (n,), "source_id": (n,)}
    for column, expected in shapes.items():
        value = getattr(drawn, column)
        if value is None and column != "image":
            continue
        if np.shape(value) != expected:
            raise GeneratorError(
                where,
                f"sample() gave {column} of shape {np.shape(value)}, expected {expected}",
                "Return one entry per requested image, at the requested size.",
            )
    if drawn.mask is not None and np.asarray(drawn.mask).dtype != np.uint8:
        raise GeneratorError(
            where,
            f"sample() gave mask of type {np.asarray(drawn.mask).dtype}, expected uint8",
            "Return 255 inside the finding and 0 elsewhere.",
        )
    added_shares([drawn.card], where)
    return replace(drawn, image=_pixels(np.asarray(drawn.image), where))


def added_shares(cards: Sequence[Mapping[str, Any]], where: str = "") -> dict[str, tuple[int, int]]:
    """Return the sums of the ``shares`` of several cards: n, of, by name.

    Raises:
        GeneratorError: a share is not two counts, the first at most the second.
    """
    sums: dict[str, tuple[int, int]] = {}
    for card in cards:
        shares = card.get("shares", {})
        pairs = shares.items() if isinstance(shares, Mapping) else [("shares", shares)]
        for name, pair in pairs:
            if not (isinstance(pair, (list, tuple)) and [type(n) for n in pair] == [int, int]) or not (
                0 <= pair[0] <= pair[1]
            ):
                problem = f"sample() gave the share '{name}' as {pair!r}, expected [n, of]"
                raise GeneratorError(where, problem, "Return two counts, the first at most the second.")
            n, of = sums.get(name, (0, 0))
            sums[name] = (n + pair[0], of + pair[1])
    return sums


def _pixels(image: np.ndarray, where: str) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    if not np.isfinite(image).all():
        raise GeneratorError(where, "sample() gave NaN or infinite pixels", "Lower the learning rate.")
    if image.size and (image.min() < 0 or image.max() > 1):
        raise GeneratorError(
            where,
            f"sample() gave pixels in [{image.min():.3g}, {image.max():.3g}]",
            "Return uint8, or float in [0, 1].",
        )
    return np.round(image * 255).astype(np.uint8)


def image_set(samples: Samples, request: SampleRequest, name: str, size: int, unit: str = "0") -> ImageSet:
    """Return checked samples as an image set with square images of ``size`` pixels.

    Patients get the name of the row and the fitted unit as a prefix, so that a synthetic
    patient never has the id of a real one. Conditions of the request are columns of the set.
    """
    classes = np.array(request.classes)[request.label]
    ids = np.array([f"{name}-{unit}-{c}-{i:06d}" for c, i in zip(classes, request.index, strict=True)])
    patients = ids
    if samples.patient_id is not None:
        patients = np.array([f"{name}-{unit}-{patient}" for patient in samples.patient_id])
    mask = samples.mask if samples.mask is not None else request.mask
    if mask is not None:  # binary, whatever the size
        mask = np.where(resized(np.asarray(mask, np.uint8), size) > 127, 255, 0).astype(np.uint8)
    labels = samples.labels if samples.labels is not None else request.labels
    return ImageSet(
        image=resized(samples.image, size),
        label=np.asarray(request.label, np.int64),
        classes=request.classes,
        image_id=ids,
        patient_id=patients,
        origin=np.full(len(ids), f"synthetic:{name}"),
        source_id=samples.source_id if samples.source_id is not None else request.source_id,
        reported_labels=None if labels is None else np.asarray(labels, np.int8),
        mask=mask,
        **{c: getattr(request, c) for c in ("prompt", "view", "age", "sex", "laterality", "severity")},
        card=samples.card,
    )
