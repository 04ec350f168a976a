"""Distances between classes: closed forms, equal sizes, overlapping labels, and the sexes."""

import numpy as np
import pytest

from benchmark.metrics import class_distances as module
from benchmark.metrics.class_distances import correlation, distances
from benchmark.plugins.metric import Side, Unmeasured

CLASSES = ("none", "near", "far", "rare")
CENTERS = {"none": 0.0, "near": 1.0, "far": 4.0, "rare": 9.0}


def whitened(n: int, seed: int, d: int = 3) -> np.ndarray:
    """Return rows with sample mean 0 and identity sample covariance, exactly."""
    x = np.random.default_rng(seed).normal(size=(n, d))
    x -= x.mean(0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T


def side(counts: dict[str, int], seed: int, centers=CENTERS, sex=None, **given) -> Side:
    """Return features whose classes are unit Gaussians around their centers on the first axis."""
    label = np.repeat(np.arange(len(CLASSES)), [counts[c] for c in CLASSES])
    features = np.concatenate([whitened(counts[c], seed + k) for k, c in enumerate(CLASSES) if counts[c]])
    features[:, 0] += np.array([centers[c] for c in CLASSES])[label]
    images = np.random.default_rng(seed).integers(0, 256, (len(label), 4, 4), dtype=np.uint8)
    every = {"features": features, "images": images, "labels": np.eye(4, dtype=bool)[label], "sex": sex}
    return Side(label, CLASSES, every | given)


def measured(real: Side, fake: Side, **params):
    return module.Metric(module.Params(**params), "cpu").measure(real, fake)


EQUAL = dict.fromkeys(CLASSES, 40)


def test_distances_of_gaussians_have_the_closed_form():
    """Unit Gaussians at 0, 1, 4 and 9 have the squared differences as distances, 0 on the diagonal."""
    value = measured(side(EQUAL, 1), side(EQUAL, 11))
    at = np.array([0.0, 1.0, 4.0, 9.0])
    np.testing.assert_allclose(value.matrix.values, (at[:, None] - at) ** 2, atol=1e-6)
    assert value.per_class == pytest.approx({"none": 0.0, "near": 1.0, "far": 16.0, "rare": 81.0}, abs=1e-6)
    assert (value.value, value.n, value.matrix.names) == (pytest.approx(1.0), 40, CLASSES)


def test_distance_to_another_baseline():
    """With ``far`` as baseline the distances are those to 4."""
    value = measured(side(EQUAL, 1), side(EQUAL, 11), baseline="far")
    assert value.per_class == pytest.approx({"none": 16.0, "near": 9.0, "far": 0.0, "rare": 25.0}, abs=1e-6)


def test_merged_classes_lower_the_correlation():
    """Drawing the rare class as if it were healthy, or all classes alike, loses the correlation."""
    real = side(EQUAL, 1)
    merged = measured(real, side(EQUAL, 11, CENTERS | {"rare": 0.0})).value
    alike = measured(real, side(EQUAL, 11, dict.fromkeys(CLASSES, 0.0))).value
    assert merged < 0.5
    assert alike == pytest.approx(0.0, abs=0.6)
    assert correlation(np.ones(3), np.arange(3.0)) == 0.0


def test_all_classes_count_with_as_many_images():
    """The smallest class gives the number of images; one with fewer than 20 is left out."""
    value = measured(side({"none": 90, "near": 25, "far": 60, "rare": 5}, 1), side(EQUAL, 11))
    assert (value.matrix.names, value.n) == (CLASSES[:3], 25)


def test_sizes_do_not_move_the_distances():
    """Between equal distributions a set of 25 images is as far from 400 as 400 are from 400."""
    counts = {"none": 400, "near": 400, "far": 400, "rare": 25}
    matrices = []
    for seed in range(20):
        features = np.random.default_rng(seed).normal(size=(sum(counts.values()), 3))
        alike = side(counts, seed, features=features)
        matrices.append(measured(alike, alike).matrix.values)
    mean = np.mean(matrices, axis=0)
    assert mean[0, 3] == pytest.approx(mean[0, 1], rel=0.25)


def test_an_image_with_two_labels_is_in_both_sets():
    """Every image of the rarest class also has the label ``near``, so the set of ``near`` holds both."""
    real = side(EQUAL, 1)
    labels = real.labels.copy()
    labels[real.label == 3, 1] = True
    both = side(EQUAL, 1, labels=labels)
    value = measured(both, both)
    assert value.per_class["near"] > 2


def test_too_few_classes_are_not_measured():
    """Two classes have one distance, which correlates with nothing."""
    few = side({"none": 40, "near": 40, "far": 5, "rare": 5}, 1)
    assert measured(few, few) == Unmeasured("fewer than 3 classes have 20 images")


def test_distance_between_the_sexes():
    """Women 3 further on the second axis have distance 9; it is absent where the sex is not known."""
    women, men = whitened(80, 5), whitened(80, 6)
    women[:, 1] += 3
    by_sex = side(EQUAL, 1, sex=np.repeat(["female", "male"], 80), features=np.concatenate([women, men]))
    assert measured(by_sex, side(EQUAL, 1)).details == {"between_sexes_real": pytest.approx(9.0)}
    assert set(measured(by_sex, by_sex).details) == {"between_sexes_real", "between_sexes"}


def test_matrix_is_symmetric_and_never_negative():
    """Rounding gives no negative distance of equal sets."""
    sets = [whitened(30, 1)] * 3
    assert distances(sets).min() >= 0
    np.testing.assert_array_equal(distances(sets), distances(sets).T)
