"""Which images a training sees, and in what order."""

from __future__ import annotations

import numpy as np

from benchmark.errors import DataError
from benchmark.records import ImageSet, concatenate


def with_bracket(train: ImageSet, synthetic: ImageSet | None, bracket: int) -> ImageSet:
    """The real training images and the first ``bracket`` synthetic ones of each class.

    Raises:
        DataError: a class has fewer synthetic images than the bracket.
    """
    if synthetic is None or bracket == 0:
        return train
    chosen = []
    for k, name in enumerate(train.classes):
        rows = np.flatnonzero(synthetic.label == k)[:bracket]
        if len(rows) < bracket:
            raise DataError(f"synthetic class '{name}'", f"has {len(rows)} images, bracket needs {bracket}")
        chosen.append(rows)
    return concatenate([train, synthetic.select(np.concatenate(chosen))])


def draw_order(label: np.ndarray, *, oversample: bool, seed: int, epoch: int) -> np.ndarray:
    """The order of one epoch: every image once, or minority classes drawn again.

    Args:
        label: (N,) class indices.
        oversample: draw every class as often as the largest one, the extra draws with replacement.
        seed, epoch: name the order; no other state.
    Returns:
        (M,) positions; M = N, or classes times the size of the largest class.
    """
    rng = np.random.default_rng([seed, epoch, 11])
    if not oversample:
        return rng.permutation(len(label))
    largest = np.bincount(label).max()
    parts = []
    for k in np.unique(label):
        rows = np.flatnonzero(label == k)
        parts.append(np.concatenate([rows, rng.choice(rows, largest - len(rows), replace=True)]))
    return rng.permutation(np.concatenate(parts))


class Batches:
    """Positions of the batch of any step, without a state to save.

    Epochs follow each other without a gap, so every batch is full.
    """

    def __init__(self, label: np.ndarray, batch_size: int, *, oversample: bool, seed: int) -> None:
        self.label, self.batch_size, self.oversample, self.seed = label, batch_size, oversample, seed
        self._orders: dict[int, np.ndarray] = {}
        self.per_epoch = len(self._order(0))

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = draw_order(
                self.label, oversample=self.oversample, seed=self.seed, epoch=epoch
            )
        return self._orders[epoch]

    def __getitem__(self, step: int) -> np.ndarray:
        """Positions (batch_size,) of this step's batch."""
        first = step * self.batch_size
        at = np.arange(first, first + self.batch_size)
        epochs = at // self.per_epoch
        return np.concatenate(
            [self._order(int(e))[at[epochs == e] % self.per_epoch] for e in np.unique(epochs)]
        )
