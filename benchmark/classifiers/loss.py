"""The loss of a training."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from benchmark.images.image_set import ImageSet


class Loss:
    """The loss of a batch, given its logits and the positions of its images.

    Cross-entropy, of soft labels where there are pseudo-labels, with class weights on request; with
    multi-label images the weighted binary cross-entropy of Segal et al. 2021, equation 3.

    Args:
        images: all training images.
        weigh_classes: give every class the same total weight (see ``class_weights``).
    """

    def __init__(self, images: ImageSet, device: str, *, weigh_classes: bool) -> None:
        truth = images.label if images.soft is None else images.soft
        self.truth = torch.from_numpy(np.array(truth)).to(device)
        self.multilabel = images.multilabel
        self.weight: Tensor | None = None
        if images.multilabel:
            self.positive, self.negative = (w.to(device) for w in positive_weights(images.label))
        elif weigh_classes:
            self.weight = class_weights(images.label, len(images.classes)).to(device)

    def __call__(self, output: Tensor, rows: np.ndarray) -> Tensor:
        """Return the mean loss of (B, K) float logits."""
        label = self.truth[torch.from_numpy(rows).to(self.truth.device)]
        if not self.multilabel:
            return cross_entropy(output, label, self.weight)
        weight = torch.where(label == 1, self.positive, self.negative)
        return binary_cross_entropy_with_logits(output, label.float(), weight=weight)


def positive_weights(label: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return (K,) weights of the positive and of the negative labels of every class.

    w_P = (N_p + N_n) / N_p and w_N = (N_p + N_n) / N_n (Segal et al. 2021, equation 3, after Guendel et
    al.); 1 for a class without positive or without negative images.
    """
    n, positive = len(label), label.sum(0).astype(np.float64)
    both = (n / np.maximum(positive, 1), n / np.maximum(n - positive, 1))
    w_p, w_n = (np.where((positive > 0) & (positive < n), w, 1.0).astype(np.float32) for w in both)
    return torch.from_numpy(w_p), torch.from_numpy(w_n)


def class_weights(label: np.ndarray, classes: int) -> Tensor:
    """Return (K,) weights of the classes: N / (K N_k) over the K classes that have images; 1 for the others.

    Source: the prior correction of King and Zeng 2001, section 3, with every class as frequent as any other.
    """
    from sklearn.utils.class_weight import compute_class_weight

    present, weight = np.unique(label), np.ones(classes, dtype=np.float32)
    weight[present] = compute_class_weight("balanced", classes=present, y=label)
    return torch.from_numpy(weight)
