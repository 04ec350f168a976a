"""The images of a training, and their order."""

from dataclasses import dataclass

import numpy as np

from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet, Splits, concatenate
from benchmark.plugins.generator import positions
from benchmark.protocol.mixing import added_counts, first_of_each, with_labels_like
from benchmark.tasks.rules import Mix

HELD_OUT = 6  # one in six synthetic patients chooses the epoch of a training without real images


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """The images of one training.

    Attributes:
        real: determine the normalization.
        train: all training images.
        val: choose the epoch.
    """

    real: ImageSet
    train: ImageSet
    val: ImageSet


def subset(train: ImageSet, share: float, seed: int) -> ImageSet:
    """Return the images of a share of the training patients, in the order of ``train``.

    Each patient belongs to the rarest of their classes (by patients); of each class the first patients of a
    random order are taken. At least one patient of every class is included. With the same seed, the subset
    of a share contains those of all smaller shares.

    Args:
        share: above 0, at most 1.
        seed: of the order.
    """
    patients, of_image = np.unique(train.patient_id, return_inverse=True)
    n_classes = len(train.classes)
    member = np.zeros((len(patients), n_classes + 1), dtype=bool)
    if train.multilabel:
        for k in range(n_classes):
            member[of_image[train.label[:, k] == 1], k] = True
        member[:, n_classes] = ~member.any(1)  # an image without any class
    else:
        member[of_image, train.label] = True
    own = _rarest_class(member)
    order = np.random.default_rng([seed, 29]).permutation(len(patients))
    chosen = np.zeros(len(patients), dtype=bool)
    for k in range(n_classes + 1):
        members = order[own[order] == k]
        chosen[members[: round(share * len(members))]] = True
        chosen[order[member[order, k]][:1]] = True
    return train.select(np.flatnonzero(chosen[of_image]))


def stratum(images: ImageSet) -> np.ndarray:
    """Return (N,) one class index per image; of several classes the rarest, K for an image without any."""
    if not images.multilabel:
        return images.label
    return np.where(images.label.any(1), _rarest_class(images.label), images.label.shape[1])


def _rarest_class(member: np.ndarray) -> np.ndarray:
    """Return (N,) the rarest of the classes of each row of (N, K) memberships."""
    rarest_first = np.argsort(member.sum(0), kind="stable")
    return rarest_first[member[:, rarest_first].argmax(1)]


def training_images(
    splits: Splits, synthetic: ImageSet | None, mix: Mix, bracket: int, classes: tuple[str, ...]
) -> TrainingImages:
    """Return the images of one training: real ones, with the bracket added, or the bracket alone.

    A training on synthetic images alone chooses its epoch on synthetic images too, those of every
    ``HELD_OUT``-th synthetic patient of each class, so that it uses no real image except the test's (Segal
    et al. 2021, 4.5).

    Raises:
        DataError: a class has fewer synthetic images than the bracket although no filter dropped any; or too
            few remain to choose an epoch with.
    """
    train = splits.train
    if synthetic is None or bracket == 0:
        return TrainingImages(train, train, splits.val)
    counts, train = added_counts(train, mix, bracket, classes), train.as_lazy()
    chosen = first_of_each(synthetic.as_lazy(), counts, or_fewer=mix.filter != "none")
    chosen = with_labels_like(chosen, train)
    if mix.training == "add":
        return TrainingImages(train, concatenate([train, chosen]), splits.val)
    held = _held_out(chosen)
    if not held.any():
        raise DataError(
            "training on synthetic images alone",
            f"no class has {HELD_OUT} patients, of whom one would choose the epoch",
            "Raise the bracket, or mix.surplus if a filter dropped many.",
        )
    learned = chosen.select(np.flatnonzero(~held))
    return TrainingImages(learned, learned, chosen.select(np.flatnonzero(held)))


def _held_out(images: ImageSet) -> np.ndarray:
    """Return (N,) bool, the images of every ``HELD_OUT``-th patient; a patient counts for its first image."""
    index = images.to_single_label().label if images.multilabel else images.label
    _, first, patient = np.unique(images.patient_id, return_index=True, return_inverse=True)
    order = np.argsort(first)
    turn = np.empty(len(first), np.int64)
    turn[order] = positions(index[first[order]])
    held: np.ndarray = (turn % HELD_OUT == HELD_OUT - 1)[patient]
    return held


def draw_order(label: np.ndarray, *, oversample: bool, seed: int, epoch: int) -> np.ndarray:
    """Return the order of one epoch: every image once, or minority classes repeatedly.

    Args:
        label: (N,) class indices.
        oversample: draw every class as often as the largest one, the extra draws with replacement.
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
    """The positions of the batch of any step, without a state to save.

    Epochs follow each other without a gap, so every batch is full.
    """

    def __init__(self, label: np.ndarray, batch_size: int, *, oversample: bool, seed: int) -> None:
        self.label, self.batch_size, self.oversample, self.seed = label, batch_size, oversample, seed
        self._orders: dict[int, np.ndarray] = {}
        self.per_epoch = len(self._order(0))

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            order = draw_order(self.label, oversample=self.oversample, seed=self.seed, epoch=epoch)
            self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1} | {epoch: order}
        return self._orders[epoch]

    def __getitem__(self, step: int) -> np.ndarray:
        """Return the (batch_size,) positions of this step's batch."""
        first = step * self.batch_size
        at = np.arange(first, first + self.batch_size)
        epochs = at // self.per_epoch
        return np.concatenate(
            [self._order(int(e))[at[epochs == e] % self.per_epoch] for e in np.unique(epochs)]
        )
