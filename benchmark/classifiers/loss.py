"""What a training minimizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmark.images.image_set import ImageSet

if TYPE_CHECKING:
    from torch import Tensor


class Loss:
    """The loss of a batch, given its logits and the positions of its images.

    Cross-entropy, of soft labels where a teacher has guessed some, with class weights where they are asked
    for; where an image may have several classes, the weighted binary cross-entropy of Segal et al. 2021,
    equation 3.

    Args:
        images: every image that is trained on.
        weigh_classes: every class weighs as much as any other (see ``class_weights``).
    """

    def __init__(self, images: ImageSet, device: str, *, weigh_classes: bool) -> None:
        import torch

        truth = images.label if images.soft is None else images.soft
        self.truth = torch.from_numpy(np.array(truth)).to(device)
        self.multilabel = images.multilabel
        self.weight: Tensor | None = None
        if images.multilabel:
            self.positive, self.negative = (w.to(device) for w in positive_weights(images.label))
        elif weigh_classes:
            self.weight = class_weights(images.label, len(images.classes)).to(device)

    def __call__(self, output: Tensor, rows: np.ndarray) -> Tensor:
        """The mean loss of (B, K) float logits."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

        label = self.truth[torch.from_numpy(rows).to(self.truth.device)]
        if not self.multilabel:
            return cross_entropy(output, label, self.weight)
        weight = torch.where(label == 1, self.positive, self.negative)
        return binary_cross_entropy_with_logits(output, label.float(), weight=weight)


def positive_weights(label: np.ndarray) -> tuple[Tensor, Tensor]:
    """(K,) weights of the positive and of the negative labels of every class.

    w_P = (N_p + N_n) / N_p and w_N = (N_p + N_n) / N_n (Segal et al. 2021, equation 3, after Guendel et
    al.); a class without positive (or negative) images has no such label to weigh, and 1 stands there.
    """
    import torch

    n, positive = len(label), label.sum(0).astype(np.float64)
    both = (n / np.maximum(positive, 1), n / np.maximum(n - positive, 1))
    w_p, w_n = (np.where((positive > 0) & (positive < n), w, 1.0).astype(np.float32) for w in both)
    return torch.from_numpy(w_p), torch.from_numpy(w_n)


def class_weights(label: np.ndarray, classes: int) -> Tensor:
    """(K,) weights of the classes: N / (K N_k) over the K classes that have images; 1 for the others.

    Source: the prior correction of King and Zeng 2001, section 3, with every class as frequent as any other.
    """
    import torch

    count = np.bincount(label, minlength=classes)
    weight = np.where(count > 0, len(label) / (np.count_nonzero(count) * np.maximum(count, 1)), 1.0)
    return torch.from_numpy(weight.astype(np.float32))
