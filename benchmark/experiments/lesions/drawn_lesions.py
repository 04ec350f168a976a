"""Images of requested lesions, by a fitted generator of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmark.errors import GeneratorError, unknown_name
from benchmark.experiments.fitted_row import FittedRow
from benchmark.experiments.lesions.lesion_masks import LesionShapes
from benchmark.experiments.lesions.lesion_request import LesionRequest
from benchmark.experiments.lesions.lesion_sentences import LesionSentences, joined
from benchmark.images.image_set import NEGATIVE, POSITIVE, ImageSet
from benchmark.stages.drawing import draw_findings
from benchmark.utils.training_state import as_in_a_worker

CARRIERS = {
    "side": {"mask", "prompt", "laterality"}, "zone": {"mask", "prompt"}, "size": {"mask", "prompt"},
    "severity": {"mask", "prompt", "severity"},
}  # fmt: skip
SEED = 21  # of the masks, beside the seed of the noise


@dataclass(frozen=True, eq=False)
class LesionColumns:
    """Conditions of N images with the same lesions.

    Attributes:
        masks: (N, L, S, S) uint8, one of each lesion, or None.
        prompts: (N,) str, or None.
    """

    masks: np.ndarray | None
    prompts: np.ndarray | None


def draw_lesions(
    row: FittedRow, lesions: Sequence[LesionRequest], count: int, seed: int | None = None
) -> ImageSet:
    """Draw images that all show the requested lesions, each with masks and a sentence drawn for it.

    Raises:
        GeneratorError: nothing that the generator reads tells an attribute; the finding does not occur so in
            the training images; several lesions that the generator cannot draw at once.
    """
    columns = lesion_columns(row, lesions, count, row.fit_seed if seed is None else seed)
    union = None if columns.masks is None else columns.masks.max(1)
    findings = list(dict.fromkeys(lesion.finding for lesion in lesions))
    if len(findings) == 1:
        given: dict[str, Any] = {"mask": union, "prompt": columns.prompts}
        for name, value in (("laterality", lesions[0].side), ("severity", lesions[0].severity)):
            given[name] = [value] if value and name in row.conditions else None
        own = {name: column for name, column in given.items() if column is not None}
        return row.draw(findings[0], count, own, seed)
    return _several(row, lesions, columns, count, seed)


def lesion_columns(row: FittedRow, lesions: Sequence[LesionRequest], count: int, seed: int) -> LesionColumns:
    """Return the conditions that the row's generator reads of the requested lesions."""
    for lesion in lesions:
        _check(row, lesion)
    train, reads = row.learned.train, row.conditions & {"mask", "prompt"}
    if not reads:
        return LesionColumns(None, None)
    if train is None or ("mask" in reads and train.mask is None):
        problem = "follow training masks, and the training images of this row have none"
        raise GeneratorError(f"row '{row.name}': lesions", problem, "Give --mask and --prompt.")
    if "mask" not in reads:
        sentences = LesionSentences(train, others_tell=False)
        text = joined([sentences.write(lesion, None) for lesion in lesions])
        return LesionColumns(None, np.array([text] * count))
    rng, shapes = np.random.default_rng([seed, SEED]), LesionShapes(train)
    masks = np.array([[shapes.draw(lesion, rng) for lesion in lesions] for _ in range(count)])
    prompts = None
    if "prompt" in reads:
        sentences = LesionSentences(train, others_tell=True)
        texts = [
            [sentences.write(shapes.described(lesion, mask), int(mask.sum())) for lesion, mask in pairs]
            for pairs in (zip(lesions, own, strict=True) for own in masks)
        ]
        prompts = np.array([joined(text) for text in texts])
    return LesionColumns(masks.astype(np.uint8) * np.uint8(255), prompts)


def _check(row: FittedRow, lesion: LesionRequest) -> None:
    """Refuse a finding that was not fitted, and an attribute that nothing tells the generator."""
    where = f"row '{row.name}': lesion: finding '{lesion.finding}'"
    if lesion.finding not in row.labels:
        raise unknown_name("finding", lesion.finding, list(row.labels), f"row '{row.name}': lesion")
    reads = sorted({"label", *row.conditions})
    needed = dict(CARRIERS)
    if lesion.size is not None and lesion.severity is not None:  # the mask follows the size
        needed["severity"] = CARRIERS["severity"] - {"mask"}
    for name in lesion.attributes:
        if not needed[name] & row.conditions:
            problem = f"cannot be requested of a generator that reads {', '.join(reads)}"
            remedy = f"Leave it out, or choose a row that reads one of: {', '.join(sorted(needed[name]))}."
            raise GeneratorError(f"{where}: {name}", problem, remedy)


def _several(
    row: FittedRow, lesions: Sequence[LesionRequest], columns: LesionColumns, count: int, seed: int | None
) -> ImageSet:
    """Draw images of several findings at once."""
    learned, fits = row.learned, row.fits[lesions[0].finding]
    size, classes = learned.size, learned.classes
    number = [classes.index(lesion.finding) for lesion in lesions]
    findings = np.zeros((count, len(classes)), bool)
    findings[:, number] = True
    planes = None
    if columns.masks is not None:
        planes = np.zeros((count, len(classes), size, size), np.uint8)
        for k, masks in zip(number, columns.masks.swapaxes(0, 1), strict=True):
            planes[:, k] |= masks
    with as_in_a_worker():
        own = replace(
            fits,
            seed=fits.seed if seed is None else seed,
            config=fits.config.model_copy(update=row.machine()),
        )
        image = draw_findings(own, findings, planes, columns.prompts)
    ids = np.array([f"{row.name}-lesions-{i:06d}" for i in range(count)])
    return ImageSet(
        image=image,
        label=np.full(count, number[0], np.int64),
        classes=classes,
        image_id=ids,
        patient_id=ids,
        origin=np.full(count, f"synthetic:{row.name}"),
        prompt=columns.prompts,
        reported_labels=np.where(findings, POSITIVE, NEGATIVE).astype(np.int8),
        mask=None if planes is None else row.at_own_size(planes.max(1)),
    )
