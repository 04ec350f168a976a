"""Augmentation of training batches, on their device, by batch and seed alone (docs/augmentation.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmark.classifiers.augment import lan
from benchmark.classifiers.augment.mild import mild_affine
from benchmark.classifiers.augment.schaudt import schaudt
from benchmark.classifiers.augment.segal import segal
from benchmark.classifiers.augment.zhang import zhang

if TYPE_CHECKING:
    from torch import Generator, Tensor


def none(batch: Tensor, rng: Generator) -> Tensor:
    """The batch itself."""
    return batch


PIPELINES: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "none": none,
    "mild_affine": mild_affine,
    "schaudt": schaudt,
    "zhang": zhang,
    "segal": segal,
    **lan.PIPELINES,
}
