"""GAN-test: classifiers of real images read synthetic ones."""

import numpy as np

from benchmark.images.image_set import ImageSet
from benchmark.protocol.mixing import with_labels_like
from benchmark.stages.job import Job
from benchmark.stages.measure import in_proportion
from benchmark.stages.records import ClassValue, Measure, StageResult
from benchmark.stages.training import AddedImages, ClassifierStageConfig, evaluators


class GanTestConfig(ClassifierStageConfig, AddedImages, stage="gan_test", version="1", seconds=5.0):
    """Configuration of ``gan_test``."""


class GanTestResult(StageResult):
    """The metric of every evaluator on synthetic images (``values``) and on real ones (``floors``)."""

    values: list[float]
    floors: list[float]
    per_class: dict[str, ClassValue]


def gan_test(job: Job[GanTestConfig]) -> GanTestResult:
    """Train on real images, test on synthetic ones: report whether they show their requested class.

    The classifiers of ``real_only`` read the row's images, in the proportions of the real test images of the
    same classes. They read these real images as well: the floor. Where an image may have several classes, the
    metric is the AUROC of the requested class. No training happens. Images that the quality filter drops are
    read too, since these same classifiers drop them.

    Source: GAN-test of Shmelkov et al. 2018, How good is my GAN?, section 3.
    """
    from benchmark.classifiers.evaluator import evaluate

    metric, splits = job.config.metric, job.splits()
    networks = evaluators(job, splits)
    real, synthetic = _matched(splits.test, with_labels_like(job.synthetic(), splits.train))
    values, of_class = evaluate(networks, synthetic, metric)
    floors, of_real = evaluate(networks, real, metric)
    per_class = {c: ClassValue(value=v, floor=of_real[c]) for c, v in of_class.items() if c in of_real}
    measures, notes = {}, []
    if values and floors:
        measures[f"gan_test_{metric}"] = Measure(
            value=float(np.mean(values)),
            floor=float(np.mean(floors)),
            n=len(synthetic),
            direction="maximize",
            networks=len(networks),
            per_class=per_class,
        )
    else:
        notes.append(f"{job.node.row}: the GAN-test has no {metric}, since too few classes were requested")
    return GanTestResult(
        values=values,
        floors=floors,
        per_class=per_class,
        metrics={f"gan_test_{c}": v for c, v in of_class.items()},
        measures=measures,
        notes=notes,
    )


def _matched(test: ImageSet, synthetic: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Return real and synthetic images of the same classes in the same proportions, as many as possible."""
    if test.multilabel:
        return test, synthetic
    have = np.bincount(synthetic.label, minlength=len(synthetic.classes))
    real = test.select(np.flatnonzero(have[test.label] > 0))
    want = np.bincount(real.label, minlength=len(synthetic.classes))
    both = (have > 0) & (want > 0)
    share = (have[both] / want[both]).min()
    counts = np.where(both, np.maximum(1, np.floor(share * want)), 0).astype(np.int64)
    return real, in_proportion(synthetic, dict(zip(synthetic.classes, counts.tolist(), strict=True)))
