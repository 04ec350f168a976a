"""Augmentation pipelines of training batches (docs/classifiers.md).

A pipeline takes a batch (N, 1, H, W) of floats in [0, 1] on any device and a CPU generator, the only source
of randomness, and returns (N, 1, H, W) floats in [0, 1].
"""

from torch import Generator, Tensor

from benchmark.classifiers.augment import lan
from benchmark.classifiers.augment.affine import mild_affine, segal, zhang
from benchmark.classifiers.augment.draws import Pipeline
from benchmark.classifiers.augment.schaudt import schaudt


def none(batch: Tensor, rng: Generator) -> Tensor:
    """Return the batch itself."""
    return batch


PIPELINES: dict[str, Pipeline] = {
    "none": none,
    "mild_affine": mild_affine,
    "schaudt": schaudt,
    "zhang": zhang,
    "segal": segal,
    **lan.PIPELINES,
}
