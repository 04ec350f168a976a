"""Evaluators: the plane of Lan's Figure 20, the quality filter and the GAN-test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.classifiers import boundary, quality_filter
from benchmark.classifiers import evaluator as evaluating
from benchmark.classifiers.config import TrainingConfig
from benchmark.classifiers.network import build
from benchmark.errors import DataError
from benchmark.tasks.classifier import Budget, ClassifierConfig
from support.samples import blobs

RECIPE = ClassifierConfig(
    name="tiny", timm="resnet10t", timm_kwargs={"channels": [8, 8, 16, 16]}, augmentation="none"
)
CONFIG = TrainingConfig(
    RECIPE, Budget(length=1, batch_size=2), "none", 0, "cpu", "float32", None, predicted=3
)


def flat(points: np.ndarray, slope: np.ndarray, offset: np.ndarray) -> boundary.FeaturePlane:
    return boundary.FeaturePlane(points, slope, offset, 1.0)


def test_plane_of_two_dimensional_features_is_exact():
    """PCA only rotates and shifts two features, so the logits in the plane equal the classifier's."""
    rng = np.random.default_rng(0)
    features, weight, offset = rng.normal(3, 2, (40, 2)), rng.normal(size=(3, 2)), rng.normal(size=3)
    plane = boundary.fit_plane(features, weight, offset, np.arange(40))
    assert plane.logits(plane.points) == pytest.approx(features @ weight.T + offset)
    assert plane.explained == pytest.approx(1)


def test_distance_to_the_line_between_two_classes():
    """For logits 0 and 3x + 4y - 5 the point (3, 4) is |9 + 16 - 5| / 5 = 4 from the boundary."""
    slope, offset = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([0.0, -5.0])
    where = flat(np.array([[3.0, 4.0], [0.0, 0.0], [-1.0, 2.0]]), slope, offset)
    for predicted in ([1, 0, 1], [0, 1, 0]):  # both classes have the same boundary
        assert boundary.boundary_distance(where, np.array(predicted)) == pytest.approx([4.0, 1.0, 0.0])


def test_distance_is_invariant_to_rotation():
    """In two dimensions the distance after PCA equals the distance in the features: 4."""
    rng = np.random.default_rng(1)
    features = np.vstack([[3.0, 4.0], rng.normal(size=(30, 2))])
    plane = boundary.fit_plane(
        features, np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([0.0, -5.0]), np.arange(9)
    )
    assert boundary.boundary_distance(plane, np.ones(31, dtype=int))[0] == pytest.approx(4.0)


def test_the_nearest_of_several_boundaries_counts():
    """For logits x, y and -10 at (2, 1), class 0 meets class 1 at 1/sqrt 2 and the third class at 12."""
    where = flat(
        np.array([[2.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), np.array([0, 0, -10.0])
    )
    assert boundary.boundary_distance(where, np.array([0])) == pytest.approx([1 / np.sqrt(2)])
    assert boundary.boundary_distance(where, np.array([2])) == pytest.approx([11.0])


def test_inseparable_classes_are_infinitely_far():
    """Logits of equal slope have no boundary."""
    where = flat(np.zeros((1, 2)), np.zeros((2, 2)), np.array([0.0, 1.0]))
    assert boundary.boundary_distance(where, np.array([1])).tolist() == [np.inf]


def test_chosen_are_the_misclassified_nearer_than_the_mean():
    """Distances 1, 2, 3, 10 have mean 4: of the misclassified (first, third, last) the last is too far."""
    distance = np.array([1.0, 2.0, 3.0, 10.0])
    limit = boundary.mean_distance(distance)
    assert limit == 4
    chosen = boundary.near_misses(np.array([1, 0, 1, 1]), np.zeros(4, int), distance, limit)
    assert chosen.tolist() == [True, False, True, False]


def test_infinite_distances_are_excluded_from_the_mean():
    """An image at infinite distance is never chosen and does not change the limit."""
    assert boundary.mean_distance(np.array([1.0, 3.0, np.inf])) == 2
    assert boundary.mean_distance(np.array([np.inf])) == 0


@given(st.lists(st.integers(0, 2), min_size=1, max_size=40), st.integers(1, 9), st.integers(0, 9))
def test_the_sample_of_the_plane_is_balanced(labels, most, seed):
    """The rarest class gives the size, up to the maximum; no image occurs twice."""
    label = np.array(labels)
    sample = boundary.balanced_sample(label, most, seed)
    each = min(most, np.unique(label, return_counts=True)[1].min())
    assert set(np.unique(label[sample], return_counts=True)[1]) == {each}
    assert len(set(sample.tolist())) == len(sample) == each * len(np.unique(label))


def test_features_and_last_layer_give_the_logits():
    """Features times the last layer's weights equal the network's output."""
    torch.manual_seed(0)
    network = build(RECIPE, 3).eval()
    evaluator, images = evaluating.Evaluator(network, CONFIG, (0.4, 0.2)), blobs({"a": 3, "b": 3, "c": 3})
    weight, offset = evaluator.last_layer()
    logits = evaluator.penultimate_features(images) @ weight.T + offset
    assert torch.softmax(torch.from_numpy(logits), 1).numpy() == pytest.approx(
        evaluator.scores(images), abs=1e-5
    )


def test_a_single_logit_stands_for_two_classes():
    """CheXNet's logit, with weights w and offset b, becomes logits 0 and w f + b, with equal scores."""
    torch.manual_seed(0)
    network, images = build(RECIPE.model_copy(update={"head": "sigmoid"}), 2).eval(), blobs({"a": 3, "b": 3})
    evaluator = evaluating.Evaluator(network, replace(CONFIG, predicted=2), (0.4, 0.2))
    weight, offset = evaluator.last_layer()
    assert not weight[0].any()
    assert offset[0] == 0
    logits = torch.from_numpy(evaluator.penultimate_features(images) @ weight.T + offset)
    assert torch.softmax(logits, 1).numpy() == pytest.approx(evaluator.scores(images), abs=1e-5)


def test_a_stored_evaluator_scores_the_same(tmp_path):
    """A loaded evaluator scores as the stored one, and so does the mean of both."""
    torch.manual_seed(1)
    network, images = build(RECIPE, 3).eval(), blobs({"a": 3, "b": 3, "c": 3})
    evaluating.save_evaluator(network, (0.4, 0.2), tmp_path)
    assert not [p for p in tmp_path.iterdir() if p.suffix not in (".safetensors", ".json")]
    restored, original = (
        evaluating.load_evaluator(tmp_path, CONFIG, 3, multilabel=False),
        evaluating.Evaluator(network, CONFIG, (0.4, 0.2)),
    )
    assert restored.scores(images) == pytest.approx(original.scores(images), abs=1e-6)
    assert evaluating.mean_scores([original, restored], images) == pytest.approx(
        original.scores(images), abs=1e-6
    )


def test_youden_by_hand():
    """Threshold 0.6 has both positives and 1 of 3 negatives, J = 2/3; threshold 0.8 has J = 1/2."""
    label, score = np.array([0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.7, 0.6, 0.8])
    assert quality_filter.youden_threshold(label, score) == 0.6


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=2, max_size=30))
def test_youden_is_the_best_of_all_thresholds(pairs):
    """The threshold is an observed score, and no observed score has a higher J."""
    label, score = (np.array(v) for v in zip(*pairs, strict=True))
    if 0 < label.sum() < len(label):

        def index(threshold):
            return (score[label == 1] >= threshold).mean() - (score[label == 0] >= threshold).mean()

        chosen = quality_filter.youden_threshold(label, score / 10)
        assert index(chosen * 10) == pytest.approx(max(index(t) for t in np.unique(score)))


def test_an_image_is_plausible_where_its_class_is_the_most_probable():
    """In a single-label task the argmax decides."""
    scores = np.array([[0.6, 0.4], [0.6, 0.4], [0.3, 0.7]])
    assert quality_filter.passes_filter(np.array([0, 1, 1]), scores).tolist() == [True, False, True]


def test_a_multi_label_image_is_plausible_at_the_threshold_of_its_class():
    """0.3 reaches the first class's threshold 0.3; 0.9 does not reach the second's, 0.95."""
    scores = np.array([[0.3, 0.9], [0.3, 0.9]])
    assert quality_filter.passes_filter(np.array([0, 1]), scores, np.array([0.3, 0.95])).tolist() == [
        True,
        False,
    ]


def test_a_finding_missing_from_val_is_an_error():
    """The error names the class and the remedy."""
    images = blobs({"a": 2, "b": 2})
    multilabel = replace(images, label=np.array([[1, 0]] * 2 + [[0, 0]] * 2, np.uint8))
    thresholds = quality_filter.youden_thresholds(
        multilabel, np.array([[0.9, 0.1]] * 2 + [[0.2, 0.1]] * 2), ["a"]
    )
    assert thresholds == {"a": 0.9}
    with pytest.raises(DataError, match="class 'b': val has 0 images with it among 4"):
        quality_filter.youden_thresholds(multilabel, np.zeros((4, 2)), ["a", "b"])


class Fixed:
    """An evaluator that returns given scores."""

    def __init__(self, scores):
        self.given = np.array(scores)

    def scores(self, images):
        return self.given


def test_gan_test_values_are_means_over_evaluators_and_classes():
    """Recalls (1, 1/2) and (0, 1) give balanced accuracies 3/4 and 1/2 and class means 1/2 and 3/4."""
    images = blobs({"a": 2, "b": 2})
    one = Fixed([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
    two = Fixed([[0.1, 0.9], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]])
    values, of_class = evaluating.evaluate([one, two], images, "balanced_accuracy")
    assert values == [0.75, 0.5]
    assert of_class == {"a": 0.5, "b": 0.75}


def test_multi_label_gan_test_is_the_auroc_of_the_requested_class():
    """Positives 0.9 and 0.4 against negatives 0.5 and 0.1: three of four pairs are in order."""
    images = replace(blobs({"a": 2, "b": 2}), label=np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.uint8))
    values, of_class = evaluating.evaluate([Fixed([[0.9, 0], [0.4, 0], [0.5, 1], [0.1, 1]])], images, "auroc")
    assert of_class == {"a": 0.75, "b": 1.0}
    assert values == [0.875]


def test_an_undefined_metric_is_left_out():
    """Images of one class have no AUROC, but have a recall."""
    values, of_class = evaluating.evaluate([Fixed([[0.9, 0.1]] * 2)], blobs({"a": 2, "b": 0}), "auroc")
    assert values == []
    assert of_class == {"a": 1.0}
