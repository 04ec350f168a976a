"""Train a classifier with a row's images and read the test splits once."""

import numpy as np

from benchmark.images import plots
from benchmark.images.image_set import ImageSet
from benchmark.stages import predictions
from benchmark.stages.job import SYNTHETIC_IMAGES, Job
from benchmark.stages.records import NetworkSize, StageResult
from benchmark.stages.training import AddedImages, ClassifierStageConfig, training_config

PREDICTIONS = "predictions.parquet"


class ClassifyConfig(ClassifierStageConfig, AddedImages, stage="classify", version="5", seconds=15.0):
    """Configuration of ``classify``.

    Attributes:
        subgroups: columns of the images that the predictions repeat.
        keep_network: write the network, since other stages evaluate images with it.
    """

    subgroups: tuple[str, ...] = ()
    keep_network: bool = False


class TrainingResult(StageResult):
    """A training: ``chosen`` is the entry of ``history`` with the best epoch."""

    chosen: dict[str, float]
    steps: int
    training_images: int


class ClassifyResult(TrainingResult):
    """A training of a row; ``metrics`` are of every test split."""

    parameters: NetworkSize


def classify(job: Job[ClassifyConfig]) -> ClassifyResult:
    """Train one classifier with one bracket and one seed, choose its epoch on ``val``, read the tests."""
    from benchmark.classifiers import evaluator, metrics, network, sampling
    from benchmark.classifiers import train as training

    config, splits, own = job.config, job.splits(), training_config(job)
    synthetic = job.synthetic() if SYNTHETIC_IMAGES in job.inputs else None
    images = sampling.training_images(splits, synthetic, config.mix, config.bracket, config.classes)
    trained = training.train(images.real, images.train, images.val, own)
    normal = training.normalization(images.real.image)
    if config.keep_network:
        evaluator.save_evaluator(trained.network, normal, job.out)
    tests = splits.tests
    scores = {n: training.predict(trained.network, s, own, normal) for n, s in tests.items()}
    predictions.write(job.out / PREDICTIONS, job.node, config.subgroups, tests, scores)
    _confusion_picture(job, splits.test, scores["test"])
    return ClassifyResult(
        history=trained.history,
        chosen=trained.best,
        steps=trained.steps,
        parameters=NetworkSize(**network.parameter_counts(trained.network)),
        training_images=len(images.train),
        metrics={
            f"{name}_{metric}": value
            for name, images in tests.items()
            for metric, value in metrics.metric_values(images.label, scores[name]).items()
        },
    )


def _confusion_picture(job: Job[ClassifyConfig], test: ImageSet, scores: np.ndarray) -> None:
    """Draw the confusion matrix, where an image has one class."""
    from sklearn.metrics import confusion_matrix

    if not test.multilabel:
        names = test.classes[: scores.shape[1]]
        counts = confusion_matrix(test.label, scores.argmax(1), labels=range(len(names)))
        plots.confusion_picture(counts, names, job.out / "confusion.png")
