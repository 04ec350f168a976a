"""Train a classifier on a share of the real training patients."""

from benchmark.stages import predictions
from benchmark.stages.classify import TrainingResult
from benchmark.stages.job import Job
from benchmark.stages.training import ClassifierStageConfig, training_config

CURVE = "curve.parquet"


class LearningCurveConfig(ClassifierStageConfig, stage="learning_curve", version="2", seconds=15.0):
    """Configuration of ``learning_curve``; ``share`` is of the training patients, above 0 and below 1."""

    share: float
    subgroups: tuple[str, ...] = ()


class LearningCurveResult(TrainingResult):
    """A training on a share of the patients; ``counts`` are its images by class."""

    counts: dict[str, int]


def learning_curve(job: Job[LearningCurveConfig]) -> LearningCurveResult:
    """Train one classifier on a share of the training patients, choose its epoch on ``val``, read ``test``.

    ``val`` is whole, as for every row: the curve shows what the training images are worth.
    """
    from benchmark.classifiers import metrics, sampling
    from benchmark.classifiers import train as training

    config, splits, own = job.config, job.splits(), training_config(job)
    images = sampling.subset(splits.train, config.share, job.node.seed)
    trained = training.train(images, images, splits.val, own)
    scores = training.predict(trained.network, splits.test, own, training.normalization(images.image))
    predictions.write(
        job.out / CURVE,
        job.node,
        config.subgroups,
        {"test": splits.test},
        {"test": scores},
        share=config.share,
        images=len(images),
    )
    values = metrics.metric_values(splits.test.label, scores)
    return LearningCurveResult(
        history=trained.history,
        chosen=trained.best,
        steps=trained.steps,
        training_images=len(images),
        counts=images.counts(),
        metrics={"training_images": len(images), **{f"test_{k}": v for k, v in values.items()}},
    )
