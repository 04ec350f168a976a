"""Conditions of lesion-preserving diffusion as tensors: findings, masks and tokens of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.errors import GeneratorError
from benchmark.generators._clip_tokenizer import token_ids
from benchmark.images.image_set import ImageSet
from benchmark.plugins.generator import SampleRequest

DROPPED = -1.0  # of a mask that is not given; 0 is outside the findings, 1 inside
FULL = 0.9  # share of an image from which a mask locates nothing


@dataclass(frozen=True)
class Conditions:
    """Conditions of N images; a condition that the model lacks is None.

    Attributes:
        findings: (N, K) float32, 1 for every finding of an image; zeros where it is not given.
        mask: (N, C, S, S) float32 in [0, 1], a channel for all findings or one for each; ``DROPPED``
            everywhere where it is not given.
        tokens: (N, L) int64; those of an empty text where it is not given.
    """

    findings: Tensor | None = None
    mask: Tensor | None = None
    tokens: Tensor | None = None

    def to(self, device: str) -> Conditions:
        """Move to a device."""
        return self._each(lambda column: column.to(device))

    def without(self, drop: Tensor, empty_text: Tensor) -> Conditions:
        """Return the conditions, not given where ``drop`` (N,) is true: for classifier-free guidance."""
        changed = self
        if self.findings is not None:
            changed = replace(changed, findings=self.findings * ~drop[:, None])
        if self.mask is not None:
            changed = replace(changed, mask=self.mask.masked_fill(drop[:, None, None, None], DROPPED))
        if self.tokens is not None:
            changed = replace(changed, tokens=torch.where(drop[:, None], empty_text, self.tokens))
        return changed

    def _each(self, change: Any) -> Conditions:
        columns = vars(self).items()
        return Conditions(**{name: None if column is None else change(column) for name, column in columns})


@dataclass(frozen=True, eq=False)
class Encoder:
    """Turns classes, masks and prompts into ``Conditions``.

    Attributes:
        kinds: of ``label``, ``mask``, ``text``, those that the model reads.
        classes: names of the fitted classes.
        by_class: a mask has a channel for every class, instead of one.
        tokenizer: of transformers, with text alone; ``tokens`` is the length of its texts.
    """

    kinds: tuple[str, ...]
    classes: tuple[str, ...]
    by_class: bool
    tokenizer: Any
    tokens: int

    @property
    def mask_channels(self) -> int:
        """Number of channels of a mask."""
        return (len(self.classes) if self.by_class else 1) if "mask" in self.kinds else 0

    def text(self, texts: Sequence[str]) -> Tensor:
        """Return (N, L) tokens."""
        tokens: Tensor = token_ids(self.tokenizer, texts, self.tokens)
        return tokens

    def __call__(self, findings: np.ndarray, masks: np.ndarray | None, prompts: Any) -> Conditions:
        """Return the conditions that the model reads.

        Args:
            findings: (N, K) bool.
            masks: (N, S, S) uint8, 255 inside any finding; or (N, K, S, S), a plane of each finding.
            prompts: (N,) str, or None.
        """
        mask = None
        if "mask" in self.kinds and masks is not None:
            planes = torch.from_numpy(np.asarray(masks)).float() / 255
            present = torch.from_numpy(findings).float()[:, :, None, None]
            each = planes if planes.ndim == 4 else planes[:, None] * present
            mask = each if self.by_class else each.amax(1, keepdim=True)
        return Conditions(
            torch.from_numpy(findings).float() if "label" in self.kinds else None,
            mask,
            None if prompts is None else self.text([str(text) for text in prompts]),
        )


def check_training(train: ImageSet, kinds: Sequence[str], name: str) -> None:
    """Refuse training images that lack a condition.

    Raises:
        GeneratorError: no masks, only empty ones, a full one, or no prompts.
    """
    where = f"generator '{name}': conditions"
    if "text" in kinds and train.prompt is None:
        raise GeneratorError(where, "text needs prompts, which the images lack", "Leave text out.")
    if "mask" not in kinds:
        return
    if train.mask is None:
        raise GeneratorError(where, "mask needs masks, which the images lack", "Leave mask out.")
    covered = np.array([float((mask > 127).mean()) for mask in train.mask])
    if not covered.any():
        raise GeneratorError(where, "every mask is empty", "Give masks of the findings, or leave mask out.")
    if (covered > FULL).any():
        row = int(covered.argmax())
        problem = f"the mask of image '{train.image_id[row]}' covers {covered[row]:.0%} of it"
        raise GeneratorError(where, problem, "Give masks that locate a finding.")


def always_masked(train: ImageSet, index: np.ndarray) -> tuple[int, ...]:
    """Return the positions of the classes whose training images all have a mask that is not empty."""
    if train.mask is None:
        return ()
    empty = np.array([not (mask > 127).any() for mask in train.mask])
    return tuple(int(k) for k in np.unique(index) if not empty[index == k].any())


def check_request(
    request: SampleRequest, index: np.ndarray, kinds: Sequence[str], masked: Sequence[int], name: str
) -> None:
    """Refuse a request with a condition that the model lacks, without one that it needs, or with a bad mask.

    Args:
        index: (N,) position of each requested class among the fitted ones.
        masked: positions of the classes whose training images all have a mask.
    Raises:
        GeneratorError: names the condition and the image.
    """
    where = f"generator '{name}'"
    for kind, column in (("mask", "mask"), ("text", "prompt")):
        given = getattr(request, column) is not None
        if given and kind not in kinds:
            problem = f"was not trained with {kind}, which the request has"
            raise GeneratorError(where, problem, f"Fit it with {kind} in conditions, or leave {column} out.")
        if not given and kind in kinds:
            raise GeneratorError(where, f"needs {kind}", f"Give the request a {column} for every image.")
    if "mask" not in kinds:
        return
    masks = np.asarray(request.mask)
    expected = (len(request), request.image_size, request.image_size)
    if masks.shape != expected:
        raise GeneratorError(f"{where}: mask", f"has shape {masks.shape}, expected {expected}", "Resize it.")
    covered = (masks > 127).mean((1, 2))
    empty = (covered == 0) & np.isin(index, masked)
    for wrong, word in ((empty, "is empty"), (covered > FULL, f"covers more than {FULL:.0%} of the image")):
        if wrong.any():
            problem = f"of image {int(wrong.argmax())} {word}"
            raise GeneratorError(f"{where}: mask", problem, "Give a mask that locates the finding.")


def at_size(mask: Tensor, side: int) -> Tensor:
    """Return masks at another side, a pixel with the share of its area; a mask not given stays so."""
    return mask if mask.shape[-1] == side else F.interpolate(mask, (side, side), mode="area")


def healthy_text(train: ImageSet) -> str:
    """Return the most frequent sentence of the first class, which describes a lesion-free image."""
    if train.prompt is None:
        return ""
    texts, counts = np.unique(train.prompt[train.label == train.label.min()].astype(str), return_counts=True)
    return str(texts[counts.argmax()])
