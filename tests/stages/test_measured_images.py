"""What metrics read of images: partners of real images, and labels that evaluators see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmark.images.image_set import ImageSet
from benchmark.stages.measured_images import other_patients, predicted_labels
from support.samples import blobs


def test_partner_of_a_real_image_is_another_patient_of_its_class():
    """Every image has a partner with its class and another patient; a class of one patient has none."""
    images = blobs({"a": 9, "b": 6}, per_patient=3)
    partners = other_patients(images)
    row = {image.tobytes(): i for i, image in enumerate(images.image)}
    at = np.array([row[partner.tobytes()] for partner in partners])
    assert (images.label[at] == images.label).all()
    assert (images.patient_id[at] != images.patient_id).all()
    assert other_patients(blobs({"a": 3}, per_patient=3)) is None


class _Fixed:
    """Gives fixed probabilities by image id."""

    def __init__(self, scores: dict[str, list[float]]) -> None:
        self.by_id = scores

    def scores(self, images: ImageSet) -> np.ndarray:
        return np.array([self.by_id[i] for i in images.image_id])


def test_predicted_labels_use_the_thresholds_of_val():
    """With several labels per image Youden's threshold on val decides: 0.3 for a, and 0.8 for b."""
    val = blobs({"a": 2, "b": 2})
    val = replace(val, label=np.array([[1, 0], [0, 0], [1, 1], [0, 1]], np.uint8))
    network = _Fixed(dict(zip(val.image_id, [[0.3, 0.5], [0.2, 0.1], [0.9, 0.8], [0.1, 0.9]], strict=True)))
    scores = np.array([[[0.29, 0.8], [0.3, 0.79]]])
    assert predicted_labels(scores, [network], val).tolist() == [[[False, True], [True, False]]]
    none = replace(val, label=np.array([[1, 0]] * 4, np.uint8))
    assert predicted_labels(scores, [network], none) is None
    assert predicted_labels(scores, [network], blobs({"a": 2, "b": 2})).tolist() == [[[False, True]] * 2]
