"""Training of a downstream classifier."""

from __future__ import annotations

from dataclasses import replace
from threading import Event

import numpy as np
import pytest

from benchmark.classifiers import train as training
from benchmark.classifiers.config import TrainingConfig
from benchmark.classifiers.loss import class_weights, positive_weights
from benchmark.classifiers.metrics import metric_values
from benchmark.classifiers.schedule import total_steps
from benchmark.errors import ClassifierError
from benchmark.images.lazy import LazyImages
from benchmark.tasks.classifier import Budget, ClassifierConfig
from benchmark.utils import signals
from support.samples import blobs

RECIPE = ClassifierConfig(
    name="tiny", timm="resnet10t", timm_kwargs={"channels": [8, 8, 16, 16]}, learning_rate=3e-3, dropout=0.1,
    augmentation="none",
)  # fmt: skip
COUNTS = {"a": 40, "b": 30, "c": 20}


def setting(folder, **changes):
    budget = Budget(length=60, batch_size=16, evaluations=6)
    given = {"classifier": RECIPE, "budget": budget, "balance": "none", "seed": 0, "device": "cpu",
             "precision": "float32", "scratch": folder}  # fmt: skip
    return TrainingConfig(**(given | changes))


@pytest.fixture(scope="module")
def images():
    return blobs(COUNTS, seed=1, prefix="train"), blobs({"a": 10, "b": 10, "c": 10}, seed=2, prefix="val")


def weights(trained):
    return {k: v.numpy() for k, v in trained.network.state_dict().items()}


def test_learns_separable_classes(images, tmp_path):
    """After 150 steps the classifier separates bright squares whose place depends on the class."""
    real, val = images
    longer = setting(tmp_path, budget=Budget(length=150, batch_size=16, evaluations=6))
    trained = training.train(real, real, val, longer)
    fresh = blobs({"a": 30, "b": 30, "c": 30}, seed=3)
    scores = training.predict(trained.network, fresh, longer, training.normalization(real.image))
    assert np.allclose(scores.sum(1), 1)
    assert (scores.argmax(1) == np.repeat([0, 1, 2], 30)).mean() > 0.9


def test_learns_multi_label_images(tmp_path):
    """Each class lights its own square, in any combination; the classifier recognizes them on new images."""
    rng = np.random.default_rng(0)

    def squares(n, prefix):
        base = blobs({"a": n, "b": 0, "c": 0}, prefix=prefix, seed=int(rng.integers(99)))
        label = rng.integers(0, 2, (n, 3)).astype(np.uint8)
        image = rng.integers(0, 120, (n, 16, 16), dtype=np.uint8)
        for i, k in np.argwhere(label):
            image[i, 6:12, 5 * k : 5 * k + 5] += 120
        return replace(base, image=image, label=label)

    real, val, fresh = squares(120, "train"), squares(40, "val"), squares(80, "test")
    given = setting(tmp_path, budget=Budget(length=150, batch_size=16, evaluations=6), metric="auroc")
    trained = training.train(real, real, val, given)
    scores = training.predict(trained.network, fresh, given, training.normalization(real.image))
    assert metric_values(fresh.label, scores)["auroc"] > 0.95
    assert abs(scores.sum(1) - 1).max() > 0.1


def test_weighted_cross_entropy_is_equation_3():
    """Two of eight images positive: w_P = 8/2 and w_N = 8/6; a class without positives is not weighted."""
    label = np.zeros((8, 2), np.uint8)
    label[:2, 0] = 1
    positive, negative = positive_weights(label)
    assert positive.tolist() == [4.0, 1.0]
    assert negative.tolist() == pytest.approx([8 / 6, 1.0])


def test_class_weights_are_inversely_proportional_to_frequency():
    """Of 10 images in three classes, 6, 3 and 1 weigh 10/18, 10/9 and 10/3; an empty class has weight 1."""
    label = np.repeat([0, 1, 2], [6, 3, 1])
    weight = class_weights(label, 4).numpy()
    assert weight == pytest.approx([10 / 18, 10 / 9, 10 / 3, 1.0])
    assert weight[label].mean() == pytest.approx(1.0)


def test_soft_labels_train_to_their_probability(tmp_path):
    """Noise images with soft labels (0.8, 0.2) are predicted near 0.8."""
    rng = np.random.default_rng(1)
    noise = replace(
        blobs({"a": 200, "b": 0}),
        image=rng.integers(0, 255, (200, 16, 16), dtype=np.uint8),
        soft=np.tile(np.array([0.8, 0.2], np.float32), (200, 1)),
    )
    val = blobs({"a": 4, "b": 4}, prefix="val")
    given = setting(tmp_path, metric="accuracy", budget=Budget(length=120, batch_size=32, evaluations=1))
    trained = training.train(noise, noise, val, given)
    scores = training.predict(trained.network, noise, given, training.normalization(noise.image))
    assert scores[:, 0].mean() == pytest.approx(0.8, abs=0.08)


def test_a_class_outside_the_task_is_not_predicted(images, tmp_path):
    """Trained on three classes of which two belong to the task, the two scores sum to one."""
    real, val = images
    given = setting(tmp_path, predicted=2)
    trained = training.train(real, real, val, given)
    scores = training.predict(trained.network, val, given, training.normalization(real.image))
    assert scores.shape == (30, 2)
    assert np.allclose(scores.sum(1), 1)


def test_normalization_reads_lazy_images_in_blocks():
    """Mean and deviation of lazy images equal those of the array, up to rounding."""
    image = blobs({"a": 700, "b": 3}).image
    unread = LazyImages.each(lambda i: image[i], len(image), 16)
    assert training.normalization(unread) == pytest.approx((image.mean() / 255, image.std() / 255), rel=1e-6)


def test_selects_the_best_validation_epoch(images, tmp_path):
    """The chosen epoch has the highest validation balanced accuracy; ties go to the lower loss."""
    real, val = images
    trained = training.train(real, real, val, setting(tmp_path))
    best = max(trained.history, key=lambda h: (h["val_balanced_accuracy"], -h["val_loss"]))
    assert trained.best == best
    assert [h["step"] for h in trained.history] == [10, 20, 30, 40, 50, 60]


def test_killed_training_ends_in_the_same_bytes(images, tmp_path, monkeypatch):
    """A training killed halfway and restarted gives the same bytes as an uninterrupted one."""
    real, val = images
    monkeypatch.setattr(training, "SAVE_EVERY_SECONDS", 0.0)
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole = training.train(real, real, val, setting(tmp_path / "whole"))

    def die(share):
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(real, real, val, setting(tmp_path / "broken", progress=die))
    resumed = training.train(real, real, val, setting(tmp_path / "broken"))
    assert resumed.history == whole.history
    assert all(np.array_equal(v, weights(whole)[k]) for k, v in weights(resumed).items())


def test_a_preempted_training_goes_on_from_its_last_update(images, tmp_path, monkeypatch):
    """Asked to leave after 14 updates, between two evaluations, it saves and ends.
    Then it makes the other 46; history and weights are those of an undisturbed training."""
    real, val = images
    for name in ("whole", "moved"):
        (tmp_path / name).mkdir()
    whole, made = training.train(real, real, val, setting(tmp_path / "whole")), []
    update = training.Training.update

    def counted(self, step):
        made.append(step)
        if step == 13:
            signals.ask_to_end()
        return update(self, step)

    monkeypatch.setattr(training.Training, "update", counted)
    monkeypatch.setattr(signals, "_end_asked", Event())
    with pytest.raises(signals.Preempted):
        training.train(real, real, val, setting(tmp_path / "moved"))
    monkeypatch.setattr(signals, "_end_asked", Event())
    resumed = training.train(real, real, val, setting(tmp_path / "moved"))
    assert made == list(range(60))
    assert resumed.history == whole.history
    assert all(np.array_equal(v, weights(whole)[k]) for k, v in weights(resumed).items())


def test_early_stopping_ends_the_training(images, tmp_path):
    """With a learning rate that changes nothing, patience 2 stops six evaluations after the third."""
    real, val = images
    still = RECIPE.model_copy(update={"learning_rate": 1e-12})
    budget = Budget(length=60, batch_size=16, evaluations=6, patience=2)
    val = replace(val, image=np.zeros_like(val.image))  # every evaluation is the same
    trained = training.train(real, real, val, setting(tmp_path, classifier=still, budget=budget))
    assert trained.steps == 10 * len(trained.history) < 60
    assert trained.steps == trained.best["step"] + 20


def test_a_recipe_may_set_its_batch_size(images, tmp_path):
    """Two epochs of 90 images in batches of 30 are six updates, whatever the budget's batch size."""
    real, val = images
    classifier = RECIPE.model_copy(update={"batch_size": 30})
    budget = Budget(unit="epochs", length=2, batch_size=16, evaluations=2)
    assert training.train(real, real, val, setting(tmp_path, classifier=classifier, budget=budget)).steps == 6


def test_same_seed_same_bytes_other_seed_other_bytes(images, tmp_path):
    """A training is a function of its images and its seed."""
    real, val = images
    a, b, c = (training.train(real, real, val, setting(tmp_path, seed=s)) for s in (0, 0, 1))
    assert a.history == b.history
    assert a.history != c.history


@pytest.mark.parametrize(("unit", "expected"), [("steps", 60), ("epochs", 60 * 6)])
def test_budget_in_steps_or_epochs(unit, expected):
    """Steps are taken as given; 60 epochs of 90 images in batches of 16 are 60 * 6 steps."""
    assert total_steps(Budget(unit=unit, length=60, batch_size=16), 16, 90) == expected


def test_steps_do_not_depend_on_the_bracket():
    """With a budget in steps every row trains for the same number of steps."""
    budget = Budget(unit="steps", length=400, batch_size=32)
    assert total_steps(budget, 32, 700) == total_steps(budget, 32, 2000)


def test_non_finite_loss_is_an_error(images, tmp_path):
    """The error of a diverging training names the classifier, the seed and the remedy."""
    real, val = images
    diverging = RECIPE.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(ClassifierError, match="'tiny', seed 0"):
        training.train(real, real, val, setting(tmp_path, classifier=diverging))
